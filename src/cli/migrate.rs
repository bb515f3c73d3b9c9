//! `grantor migrate`

use clap::Args;

use super::{CommonArgs, Failure, print_json};
use crate::{
    config::Config,
    store::{
        FirstStart, Migrations, Store,
        transfer::{self, Plan},
    },
    telemetry,
};

#[derive(Args)]
#[command(after_help = "\
'grantor serve' migrates at start, too, unless database.migrate = false.

Migrations go forward only, and the version before can go on serving while they run and after them.

Examples:
  grantor migrate --plan             what is pending, what it does, how many rows and how long; writes nothing
  grantor migrate --plan --json
  grantor migrate --database-url postgres://grantor@db/grantor")]
pub(super) struct Migrate {
    #[command(flatten)]
    common: CommonArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = self.common.config.load()?;
        telemetry::begin_quietly(&config);
        if self.plan {
            let plan = transfer::plan(&config.database_url).await.map_err(anyhow::Error::new)?;
            return if self.common.json { print_json(&plan) } else { told(&config, &plan) };
        }
        let _first_start = FirstStart::begin(&config).await.map_err(anyhow::Error::new)?;
        let pending = Store::pending_migrations(&config).await.map_err(anyhow::Error::new)?;
        let store = Store::open(&config, Migrations::Apply).await.map_err(anyhow::Error::new)?;
        store.close().await;
        if self.common.json {
            return print_json(&serde_json::json!({ "applied": pending }));
        }
        if pending.is_empty() {
            say!("The database {} is up to date.", config.database_url)?;
        }
        for migration in pending {
            say!("Applied {migration}")?;
        }
        Ok(())
    }
}

fn told(config: &Config, plan: &Plan) -> Result<(), Failure> {
    let database = &config.database_url;
    let target = plan.target;
    match plan.schema {
        _ if plan.migrations.is_empty() => return say!("The database {database} is up to date: schema version {target}."),
        Some(schema) => say!("The database {database} is of schema version {schema}; this Grantor works with {target}.")?,
        None => say!("The database {database} is new: its tables are made, of schema version {target}.")?,
    }
    for migration in &plan.migrations {
        say!("{:04} {}: {}", migration.version, migration.name, migration.does)?;
        match migration.holds_up.as_slice() {
            [] => say!("     no row is touched: a moment")?,
            tables => say!(
                "     goes through {} rows, about {} s, while writes to {} wait",
                migration.rows,
                migration.about_seconds,
                tables.join(", ")
            )?,
        }
    }
    say!("Nothing was done. The version that serves now can go on meanwhile; there is no way back but a backup.")
}
