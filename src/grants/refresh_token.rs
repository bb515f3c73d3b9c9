//! Refreshing (OAuth 2.1 §4.3): the successor replaces the token, a retry gets the same successor, reuse ends the grant.

use std::time::Duration;

use super::{TokenRequest, narrowed_scope, narrowed_target, token_response};
use crate::{
    audit::{Actor, AuditEvent, AuditName},
    clock::Timestamp,
    error::Result,
    oauth::{OAuthError, Scope, resource::Target, scope::OPENID, token_response::TokenResponse},
    server::Server,
    store::{
        Swapped,
        audit_events::RecordEvent,
        grants::{Grant, RevokeGrant, Standing, UseRefreshToken},
    },
    tokens::{
        access_token::{self, Subject},
        id_token,
        refresh_token::{self, RefreshToken},
        terms::Terms,
    },
};

pub(super) async fn exchange(server: &Server, request: &TokenRequest<'_>) -> Result<TokenResponse> {
    let presented = request.params.required("refresh_token")?;
    let token = refresh_token::recognise(server, &request.client.id, presented).await?.ok_or_else(unknown)?;
    let now = server.clock().now();

    let mut attempt = Attempt::load(server, request, token, now).await?;
    if attempt.turn == Turn::Current && attempt.swap(server, request, now).await? == Swapped::Missed {
        // Somebody was quicker: what they did decides, and nobody swaps twice.
        attempt = Attempt::load(server, request, token, now).await?;
        if attempt.turn == Turn::Current {
            return Err(ended().into());
        }
    }
    let generation = match attempt.turn {
        Turn::Current => token.generation + request.client.refresh_rotation.step(),
        Turn::Retry => {
            server.metrics().refresh_token_retried();
            record_retry(server, request, &attempt.grant, now).await?;
            attempt.grant.generation
        }
        Turn::Reuse => return Err(end_reused(server, request, &attempt.grant, token, now).await?.into()),
    };

    let Attempt { grant, terms, .. } = attempt;
    let terms = terms.ok_or_else(ended)?;
    let successor = RefreshToken { grant_id: grant.id, generation };
    let refresh_token = refresh_token::issue(server, &request.client.id, successor).await?;
    let access_token = access_token::issue(server, &request.client, Subject::Person(&grant), &terms).await?;
    let id_token = if terms.scope.contains(OPENID) {
        Some(id_token::issue(server, &request.client, &grant, None, &access_token).await?)
    } else {
        None
    };
    Ok(token_response(terms, access_token, Some(refresh_token), id_token))
}

/// Where a genuine token stands in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Current,
    /// The one before the current, within `refresh_retry_window` of its rotation: the answer was lost.
    Retry,
    /// Any other older token: it leaked.
    Reuse,
}

/// A use of a token that broke no rule, before anything is changed.
struct Attempt {
    grant: Grant,
    turn: Turn,
    /// None for reuse, which gets nothing.
    terms: Option<Terms>,
}

impl Attempt {
    /// All refusals are decided here, before rotation.
    async fn load(server: &Server, request: &TokenRequest<'_>, token: RefreshToken, now: Timestamp) -> Result<Self> {
        let grant = server.store().grant(token.grant_id).await?.ok_or_else(unknown)?;
        let tokens = &server.config().tokens;
        let has_idled = now.since(grant.last_used_at) >= tokens.refresh_token_idle_ttl;
        if grant.standing != Standing::Stands || grant.expires_at <= now || has_idled {
            return Err(ended().into());
        }
        let turn = turn(&grant, token, is_within_window(server, now.since(grant.last_used_at)));
        // Reuse is told from a leaked token whatever else the request says.
        let terms = match turn {
            Turn::Reuse => None,
            Turn::Current | Turn::Retry => {
                let (scope, target) = narrowed(request, &grant)?;
                Some(Terms::of(server, &request.client, &scope, &target).await?)
            }
        };
        Ok(Self { grant, turn, terms })
    }

    async fn swap(&self, server: &Server, request: &TokenRequest<'_>, now: Timestamp) -> Result<Swapped> {
        let verb = UseRefreshToken {
            grant_id: self.grant.id,
            generation: self.grant.generation,
            rotation: request.client.refresh_rotation,
            now,
            idle_since: now.before(server.config().tokens.refresh_token_idle_ttl),
        };
        server.store().write(verb).await
    }
}

/// What the request narrows the grant to, and the client's registration of today.
fn narrowed(request: &TokenRequest<'_>, grant: &Grant) -> Result<(Scope, Target), OAuthError> {
    let client = &request.client;
    let scope = narrowed_scope(request.params, &grant.scope)?.limited_to(&client.scope);
    if scope.is_empty() {
        return Err(OAuthError::invalid_scope("The client is no longer registered for any scope of this grant."));
    }
    let target = narrowed_target(request.params, &grant.resources)?;
    if !target.resources.iter().all(|resource| client.resources.contains(resource)) {
        return Err(OAuthError::invalid_target("The client is no longer registered for a resource of this grant."));
    }
    Ok((scope, target))
}

/// Whether the time since a rotation is within the window for a retry. While the database was away, or late, the answer may have
/// been lost and nobody could ask again: that does not count.
fn is_within_window(server: &Server, age: Duration) -> bool {
    // Less than, so that a window of zero is none, even to a loser whose clock is behind the winner's.
    let window = server.config().tokens.refresh_retry_window;
    age < window || age.saturating_sub(server.store().away_within(age)) < window
}

fn turn(grant: &Grant, token: RefreshToken, is_within_window: bool) -> Turn {
    match grant.generation - token.generation {
        0 => Turn::Current,
        1 if is_within_window => Turn::Retry,
        _ => Turn::Reuse,
    }
}

async fn record_retry(server: &Server, request: &TokenRequest<'_>, grant: &Grant, now: Timestamp) -> Result<()> {
    let event = AuditEvent::new(now, AuditName::RefreshTokenRetried, Actor::Client(request.client.id.clone()), request.origin)
        .about(grant.person_id)
        .of_client(&grant.client_id)
        .of_grant(grant.id);
    server.store().write(RecordEvent(event)).await
}

/// Of several who find the reuse, the one who revokes writes the event.
async fn end_reused(server: &Server, request: &TokenRequest<'_>, grant: &Grant, token: RefreshToken, now: Timestamp) -> Result<OAuthError> {
    let event = AuditEvent::new(now, AuditName::RefreshTokenReused, Actor::Client(request.client.id.clone()), request.origin)
        .about(grant.person_id)
        .of_client(&grant.client_id)
        .of_grant(grant.id)
        .with("generation_presented", token.generation)
        .with("generation_current", grant.generation);
    if server.store().write(RevokeGrant { grant_id: grant.id, event }).await? == Swapped::Done {
        server.metrics().refresh_token_reused();
        tracing::warn!(client.id = %grant.client_id, grant.id = %grant.id, "refresh token reused: chain revoked");
    }
    Ok(OAuthError::invalid_grant(
        "This refresh token was used before: everything that it obtained has been ended. The person must sign in again.",
    ))
}

fn unknown() -> OAuthError {
    OAuthError::invalid_grant("The refresh token is unknown, or was issued to another client.")
}

fn ended() -> OAuthError {
    OAuthError::invalid_grant("The refresh token has expired or was revoked: the person must sign in again.")
}
