//! `grantor config`

mod calibrate;

use clap::Subcommand;

use super::{ConfigArgs, Failure};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor config check --config /etc/grantor.toml
  grantor config show
  grantor config calibrate --target 250ms")]
pub(super) enum Command {
    /// Report every mistake in the configuration; exit code 2 if there is one
    Check(ConfigArgs),
    /// Print the configuration in effect and where each value comes from, secrets masked
    Show(ConfigArgs),
    /// Measure password hashing on this machine and suggest parameters
    Calibrate(calibrate::Calibrate),
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(config) => {
                config.load()?;
                say!("The configuration is in order.")?;
            }
            Self::Calibrate(calibrate) => calibrate.run().await?,
            Self::Show(config) => say!("{}", config.load()?.show().trim_end())?,
        }
        Ok(())
    }
}
