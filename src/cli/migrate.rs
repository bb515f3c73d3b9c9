//! `grantor migrate`

use clap::Args;

use super::{ConfigArgs, Failure};
use crate::{
    store::{FirstStart, Migrations, Store},
    telemetry,
};

#[derive(Args)]
#[command(after_help = "\
'grantor serve' migrates at start, too, unless database.migrate = false.

Example:
  grantor migrate --database-url postgres://grantor@db/grantor")]
pub(super) struct Migrate {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        telemetry::begin_quietly(&config);
        let _first_start = FirstStart::begin(&config).await.map_err(anyhow::Error::new)?;
        let pending = Store::pending_migrations(&config).await.map_err(anyhow::Error::new)?;
        let store = Store::open(&config, Migrations::Apply).await.map_err(anyhow::Error::new)?;
        store.close().await;
        if pending.is_empty() {
            say!("The database {} is up to date.", config.database_url)?;
        }
        for migration in pending {
            say!("Applied {migration}")?;
        }
        Ok(())
    }
}
