//! Redeeming an authorization code (OAuth 2.1 §4.1.3).

use std::time::Duration;

use super::{TokenRequest, narrowed_target, token_response};
use crate::{
    audit::{Actor, AuditEvent, AuditName},
    clock::Timestamp,
    error::{Error, Result},
    oauth::{Client, OAuthError, pkce::CodeVerifier, scope::OPENID, token_response::TokenResponse},
    secret::{self, SecretHash},
    server::Server,
    store::{
        Swapped,
        audit_events::RecordEvent,
        authorization_codes::AuthorizationCode,
        grants::{Grant, RevokeGrant, SpendAuthorizationCode, Standing},
    },
    tokens::{
        access_token::{self, Subject},
        id_token,
        refresh_token::{self, RefreshToken},
        terms::Terms,
    },
};

/// A page that runs its effect twice sends the same code twice; with a `code_challenge` only it can.
const PATIENCE_WITH_DOUBLE_USE: Duration = Duration::from_secs(5);

pub(super) async fn exchange(server: &Server, request: &TokenRequest<'_>) -> Result<TokenResponse> {
    let presented = request.params.required("code")?;
    let verifier = request.params.get("code_verifier").map(CodeVerifier::parse).transpose()?;
    let code_hash = SecretHash::of(presented);
    let code = server.store().authorization_code(&code_hash).await?.ok_or_else(unknown_code)?;
    check(&code, request, verifier.as_ref())?;
    let terms = Terms::of(server, &request.client, &code.scope, &narrowed_target(request.params, &code.resources)?).await?;
    let now = server.clock().now();
    if code.expires_at <= now {
        return Err(OAuthError::invalid_grant("The code has expired: send the person to the authorization endpoint again.").into());
    }

    let grant = spend(server, request, &code, &terms, now).await?;
    let access_token = access_token::issue(server, &request.client, Subject::Person(&grant), &terms).await?;
    let refresh_token = if request.client.gets_refresh_tokens() {
        let first = RefreshToken { grant_id: grant.id, generation: grant.generation };
        Some(refresh_token::issue(server, &request.client.id, first).await?)
    } else {
        None
    };
    let id_token = if grant.scope.contains(OPENID) {
        Some(id_token::issue(server, &request.client, &grant, code.nonce.as_deref(), &access_token).await?)
    } else {
        None
    };
    Ok(token_response(terms, access_token, refresh_token, id_token))
}

/// Everything that must match. A request with wrong parameters neither spends nor revokes (§7.5.2).
fn check(code: &AuthorizationCode, request: &TokenRequest<'_>, verifier: Option<&CodeVerifier<'_>>) -> Result<(), OAuthError> {
    if code.client_id != request.client.id {
        return Err(unknown_code());
    }
    // §10.2: it may be absent; if sent, it must be the one asked for.
    if request.params.get("redirect_uri").is_some_and(|redirect_uri| redirect_uri != code.redirect_uri) {
        return Err(OAuthError::invalid_grant("The redirect_uri is not the one of the authorization request."));
    }
    match (&code.code_challenge, verifier) {
        (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => Ok(()),
        (Some(_), Some(_)) => {
            Err(OAuthError::invalid_grant("The code_verifier does not match the code_challenge of the authorization request."))
        }
        (Some(_), None) => Err(OAuthError::missing("code_verifier")),
        // §3.2.4: whoever sends one believes in a challenge that somebody took away.
        (None, Some(_)) => Err(OAuthError::invalid_grant("The authorization request had no code_challenge: send no code_verifier.")),
        (None, None) => Ok(()),
    }
}

/// Of racing requests one gets the grant. The others mean that the code leaked, or that a page was too quick.
async fn spend(server: &Server, request: &TokenRequest<'_>, code: &AuthorizationCode, terms: &Terms, now: Timestamp) -> Result<Grant> {
    let grant = new_grant(server, &request.client, code, terms, now);
    let spend = SpendAuthorizationCode { code_hash: code.hash.clone(), grant_id: grant.id, now, expires_at: grant.expires_at };
    if server.store().write(spend).await? == Swapped::Done {
        return Ok(grant);
    }
    Err(match server.store().grant_of_code(&code.hash).await? {
        Some(first) => {
            refuse_reuse(server, request, &first, now).await?;
            OAuthError::invalid_grant("The code was used before: a code works once.").into()
        }
        None => OAuthError::invalid_grant("The person or the client was disabled meanwhile, or the code has expired.").into(),
    })
}

/// The row that [`SpendAuthorizationCode`] writes.
fn new_grant(server: &Server, client: &Client, code: &AuthorizationCode, terms: &Terms, now: Timestamp) -> Grant {
    let expires_at = if client.gets_refresh_tokens() {
        now.after(server.config().tokens.refresh_token_ttl).max(access_token::last_expiry(server, terms, now))
    } else {
        access_token::last_expiry(server, terms, now)
    };
    Grant {
        id: secret::new_id(now),
        person_id: code.person_id,
        client_id: code.client_id.clone(),
        scope: code.scope.clone(),
        resources: code.resources.clone(),
        auth_time: code.auth_time,
        amr: code.amr.clone(),
        claims_request: code.claims_request.clone(),
        sid: code.sid,
        created_at: now,
        generation: 0,
        last_used_at: now,
        expires_at,
        standing: Standing::Stands,
    }
}

/// A second, otherwise valid use ends what the first one obtained (§4.1.3), unless it comes right behind it.
async fn refuse_reuse(server: &Server, request: &TokenRequest<'_>, first: &Grant, now: Timestamp) -> Result<(), Error> {
    let is_double_use = now.since(first.created_at) <= PATIENCE_WITH_DOUBLE_USE;
    server.metrics().code_reused();
    let event = AuditEvent::new(now, AuditName::CodeReused, Actor::Client(request.client.id.clone()), request.origin)
        .about(first.person_id)
        .of_client(&first.client_id)
        .of_grant(first.id)
        .with("revoked", !is_double_use);
    if is_double_use {
        server.store().write(RecordEvent(event)).await?;
    } else if server.store().write(RevokeGrant { grant_id: first.id, event }).await? == Swapped::Done {
        // Of several who find the reuse, the one who revokes says so.
        tracing::warn!(client.id = %first.client_id, grant.id = %first.id, "authorization code reused: what it obtained is revoked");
    }
    Ok(())
}

fn unknown_code() -> OAuthError {
    OAuthError::invalid_grant("The code is unknown, or was issued to another client.")
}
