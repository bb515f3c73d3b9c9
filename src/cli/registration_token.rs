//! `grantor registration-token`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::{CommonArgs, Failure, print_json, print_table};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    config::parse_duration,
    secret::{self, Secret},
    server::Server,
    store::{
        Saved,
        registrations::{InsertRegistrationToken, RegistrationToken, RevokeRegistrationToken},
    },
};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor registration-token create --uses 5 --ttl 2d
  grantor registration-token list
  grantor registration-token revoke 018f3a9e-5f0c-7c43-9d2b-1f6f0a2b3c4d")]
pub(super) enum Command {
    /// Make a token with which clients can be registered
    Create(Create),
    /// List the tokens
    List(List),
    /// End a token; the clients that it let register stay
    Revoke(Revoke),
}

#[derive(Args)]
#[command(after_help = "\
Whoever has the token sends it to the registration endpoint, as Authorization: Bearer TOKEN, while registration.mode is token.

Examples:
  grantor registration-token create
  grantor registration-token create --uses 20 --ttl 30d --json")]
pub(super) struct Create {
    #[command(flatten)]
    common: CommonArgs,
    /// How many clients can be registered with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    uses: i64,
    /// How long it works: 30m, 12h, 7d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = ttl)]
    ttl: Duration,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    common: CommonArgs,
    /// The id that 'grantor registration-token list' shows
    id: Uuid,
}

/// Longer ones are forgotten about.
const LONGEST: Duration = Duration::from_hours(24 * 365);

fn ttl(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|ttl| !ttl.is_zero() && *ttl <= LONGEST)
        .ok_or_else(|| "a duration from 1s to 365d, written like 30m, 12h or 7d".to_owned())
}

/// A token as `--json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_token: Option<&'a str>,
    uses_left: i64,
    created_at: String,
    expires_at: String,
}

impl<'a> Shown<'a> {
    fn of(token: &RegistrationToken, secret: Option<&'a Secret>) -> Self {
        Self {
            id: token.id,
            registration_token: secret.map(Secret::expose),
            uses_left: token.uses_left,
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
        }
    }
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

fn event(server: &Server, name: AuditName, id: Uuid) -> AuditEvent {
    AuditEvent::new(server.clock().now(), name, Actor::Operator, Origin::default()).with("registration_token", id.to_string())
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, uses, ttl } = self;
        let secret = Secret::generate();
        let token = common.config.with_server(async |server| {
            let now = server.clock().now();
            let token = RegistrationToken { id: secret::new_id(now), uses_left: uses, created_at: now, expires_at: now.after(ttl) };
            let event = event(server, AuditName::RegistrationTokenCreated, token.id).with("uses", uses);
            server.store().write(InsertRegistrationToken { token: token.clone(), hash: secret.hash(), event }).await?;
            Ok(token)
        });
        let token = token.await?;
        if common.json {
            return print_json(&Shown::of(&token, Some(&secret)));
        }
        say!("id                  {}", token.id)?;
        say!("registration_token  {}", secret.expose())?;
        say!("uses_left           {}", token.uses_left)?;
        say!("expires_at          {}", token.expires_at)?;
        tell!("\nKeep the registration_token: it is not stored and cannot be shown again.");
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let tokens = self.common.config.with_server(async |server| Ok(server.store().registration_tokens().await?)).await?;
        let shown: Vec<Shown<'_>> = tokens.iter().map(|token| Shown::of(token, None)).collect();
        if self.common.json {
            return print_json(&shown);
        }
        let row = |token: Shown<'_>| vec![token.id.to_string(), token.uses_left.to_string(), token.created_at, token.expires_at];
        print_table(&["ID", "USES_LEFT", "CREATED_AT", "EXPIRES_AT"], &shown.into_iter().map(row).collect::<Vec<_>>())
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, id } = self;
        let saved = common.config.with_server(async |server| {
            let event = event(server, AuditName::RegistrationTokenRevoked, id);
            Ok(server.store().write(RevokeRegistrationToken { id, event }).await?)
        });
        match saved.await? {
            Saved::Conflict => Err(Failure::Refused(format!(
                "there is no registration token {id}; 'grantor registration-token list' shows those that there are"
            ))),
            Saved::Done if common.json => print_json(&serde_json::json!({ "id": id, "revoked": true })),
            Saved::Done => say!("The registration token {id} is revoked."),
        }
    }
}
