//! `grantor keys rewrap`

use clap::Args;
use serde_json::json;

use crate::{
    cli::{CommonArgs, Failure, print_json},
    sealing::rewrap::{Counted, Rewrap, Rewrapped, Unopened},
};

#[derive(Args)]
#[command(after_help = "\
Changes the master key. Give the new one as GRANTOR_MASTER_KEY (or _FILE) and the one before as GRANTOR_MASTER_KEY_PREVIOUS (or
_FILE), to every server first, which then goes on with either; then run this. Whatever the database keeps sealed is sealed under
the new key, while servers run, and opened once more at the end. Interrupted, it goes on where it was when it is run again.

Afterwards restart the servers without the one before. Keep that with the backups that were made with it.

Example:
  GRANTOR_MASTER_KEY_FILE=new.key GRANTOR_MASTER_KEY_PREVIOUS_FILE=master.key grantor keys rewrap")]
pub(in crate::cli) struct RewrapKeys {
    #[command(flatten)]
    common: CommonArgs,
}

/// The fingerprints, and what was done.
struct Told {
    key: String,
    previous: Option<String>,
    rewrapped: Rewrapped,
}

impl RewrapKeys {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let told = self.common.config.with_server(async |server| {
            let master_keys = server.master_keys();
            let rewrap = Rewrap { store: server.store(), master_keys, clock: server.clock() };
            let rewrapped = rewrap.run(&mut |counted: Counted| tell!("{} sealed anew so far", counted.resealed)).await?;
            let previous = master_keys.previous().map(|previous| previous.fingerprint().to_owned());
            Ok(Told { key: master_keys.key().fingerprint().to_owned(), previous, rewrapped })
        });
        let Told { key, previous, rewrapped } = told.await?;
        match rewrapped {
            Rewrapped::Stuck(unopened) => Err(Failure::Refused(stuck(&unopened))),
            Rewrapped::Done(counted) if self.common.json => {
                let Counted { keys, client_secrets, resealed } = counted;
                print_json(&json!({
                    "master_key": key,
                    "master_key_previous": previous,
                    "keys": keys,
                    "client_secrets": client_secrets,
                    "resealed": resealed,
                }))
            }
            Rewrapped::Done(counted) => done(&key, previous.as_deref(), counted),
        }
    }
}

fn done(key: &str, previous: Option<&str>, counted: Counted) -> Result<(), Failure> {
    let Counted { keys, client_secrets, resealed } = counted;
    say!("Everything is sealed under the master key {key}: {keys} keys, client secrets: {client_secrets}. Sealed anew now: {resealed}.")?;
    match previous {
        Some(previous) => say!(
            "Nothing in the database needs {previous} any more: restart the servers without master_key_previous, and keep it with the backups \
             that were made with it."
        ),
        None => Ok(()),
    }
}

/// What is to be done about what no key opens.
fn stuck(unopened: &[Unopened]) -> String {
    let line = |unopened: &Unopened| match unopened {
        Unopened::Key { kid } => format!("  the key {kid}: restore its row from a backup, or delete it"),
        Unopened::ClientSecret { client_id } => {
            format!("  a secret of the client {client_id}: 'grantor client rotate-secret {client_id} --now' makes another")
        }
    };
    let lines: Vec<String> = unopened.iter().map(line).collect();
    format!(
        "neither of the two master keys opens these, and nothing of them was changed; everything else is sealed under the new key:\n{}\nThen run \
         this again. Until then servers need both keys.",
        lines.join("\n")
    )
}
