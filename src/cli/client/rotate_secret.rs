//! `grantor client rotate-secret`

use std::time::Duration;

use clap::Args;

use super::{event, known, refuse_declared, shown::Shown};
use crate::{
    audit::AuditName,
    cli::{CommonArgs, Failure},
    config::parse_duration,
    oauth::{
        Client, ClientId,
        client::{ClientType, LONGEST_OVERLAP},
    },
    server::Server,
    store::client_secrets::{Former, RotateClientSecret},
};

#[derive(Args)]
#[command(after_help = "\
The new secret works at once, and the one before until its end: give the client the new one in between. Two are valid at
most: of three the oldest ends now. 'grantor client show' tells when each was made, and when it ends.

Examples:
  grantor client rotate-secret shop
  grantor client rotate-secret shop --overlap 12h
  grantor client rotate-secret shop --now      it leaked: the one before is refused within a second")]
pub(in crate::cli) struct RotateSecret {
    #[command(flatten)]
    common: CommonArgs,
    /// The client's id
    #[arg(value_parser = super::client_id)]
    client_id: ClientId,
    /// How long the secret of before still works: 30m, 12h, 7d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = overlap)]
    overlap: Duration,
    /// End the secret of before at once
    #[arg(long, conflicts_with = "overlap")]
    now: bool,
}

fn overlap(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|overlap| !overlap.is_zero() && *overlap <= LONGEST_OVERLAP)
        .ok_or_else(|| "a duration from 1s to 365d, written like 30m, 12h or 7d; to end it at once: --now".to_owned())
}

/// Why there is no secret to be made.
fn refuse(server: &Server, client: &Client) -> Result<(), Failure> {
    if client.client_type == ClientType::Public {
        return Err(Failure::Refused(format!("'{}' is a public client: it has no secret", client.id)));
    }
    if !client.has_secrets() {
        return Err(Failure::Refused(format!("'{}' authenticates by private_key_jwt: change its keys instead", client.id)));
    }
    let now = server.clock().now();
    if client.valid_secrets(now).any(|secret| secret.is_declared && secret.ends_at.is_none()) {
        refuse_declared(client, "change the file of its secret and run 'grantor apply'")?;
    }
    Ok(())
}

impl RotateSecret {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self { common, client_id, overlap, now: is_emergency } = self;
        let rotated = common.config.with_server(async |server| {
            let client = known(server, &client_id).await?;
            refuse(server, &client)?;
            let now = server.clock().now();
            let ends_at = if is_emergency { now } else { now.after(overlap) };
            let event = event(server, AuditName::ClientSecretRotated, &client.id).with("ends_at", ends_at.to_string());
            let secret = client.new_secret();
            let verb = RotateClientSecret {
                client_id: client.id.clone(),
                secret: client.kept(&secret, server.sealing_key().await?, now),
                former: if is_emergency { Former::EndNow } else { Former::EndAt(ends_at) },
                event,
            };
            server.store().write(verb).await?;
            Ok((known(server, &client_id).await?, secret))
        });
        let (client, secret) = rotated.await?;
        Shown::of(&client, Some(&secret)).print(common.json)
    }
}
