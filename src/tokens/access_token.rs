//! JWT access tokens (RFC 9068). Issuing one writes nothing; whether it still stands is looked up by its grant.

use serde_json::{Map, Value};

use super::{person_claims, subject, terms::Terms};
use crate::{
    clock::Timestamp,
    error::Result,
    jose::{self, TokenType},
    oauth::{
        Client, ClientId,
        claims::{ACR_ONE_FACTOR, AccessTokenClaims},
    },
    secret,
    server::Server,
    store::grants::Grant,
};

/// Whom a token speaks for.
pub(crate) enum Subject<'a> {
    /// A person, who allowed it by this grant.
    Person(&'a Grant),
    /// The client itself (RFC 9068 §2.2: then `sub` is the `client_id`).
    Client,
}

/// Signs a token on these terms.
pub(crate) async fn issue(server: &Server, client: &Client, subject: Subject<'_>, terms: &Terms) -> Result<String> {
    let config = server.config();
    let now = server.clock().now();
    let grant = match subject {
        Subject::Person(grant) => Some(grant),
        Subject::Client => None,
    };
    let sub = match grant {
        Some(grant) => subject::of(server, client, grant.person_id).await?,
        None => client.id.to_string(),
    };
    let claims = AccessTokenClaims {
        iss: config.issuer.as_str().to_owned(),
        sub,
        aud: terms.audience.clone(),
        client_id: client.id.to_string(),
        scope: terms.scope.clone(),
        jti: secret::new_id(now),
        iat: now.as_seconds(),
        exp: now.after(terms.lifetime).as_seconds(),
        auth_time: grant.map(|grant| grant.auth_time.as_seconds()),
        acr: grant.map(|_| ACR_ONE_FACTOR.to_owned()),
        amr: grant.map_or_else(Vec::new, |grant| grant.amr.clone()),
        gid: grant.map(|grant| grant.id),
        person: granted_claims(server, terms, grant).await?,
    };
    server.keys().access_token_key(terms.algorithm).await?.sign(TokenType::AccessToken, &claims)
}

/// What the operator lets client and resources know of the person. Nobody is looked up for those who get nothing.
async fn granted_claims(server: &Server, terms: &Terms, grant: Option<&Grant>) -> Result<Map<String, Value>> {
    let Some(grant) = grant.filter(|_| !terms.claims.is_empty()) else { return Ok(Map::new()) };
    let person = server.store().person(grant.person_id).await?;
    Ok(person.map_or_else(Map::new, |person| person_claims::of_access_token(&person, &terms.claims)))
}

/// A token of ours that has not expired, and the client that it was issued to. Whether it was revoked is another question: [`stands`].
pub(crate) struct Recognised {
    pub claims: AccessTokenClaims,
    pub client_id: ClientId,
}

/// Checks type, signature, issuer and time (RFC 9068 §4, RFC 8725 §3). `None` for whatever is not a live access token of ours.
pub(crate) async fn recognise(server: &Server, token: &str) -> Result<Option<Recognised>> {
    let Some(kid) = kid_of_access_token(token) else { return Ok(None) };
    let Some(claims) = server.keys().verify::<AccessTokenClaims>(&kid, token).await? else { return Ok(None) };
    let is_ours = claims.iss == server.config().issuer.as_str() && server.clock().now() < Timestamp::from_seconds(claims.exp);
    let client_id = ClientId::parse(&claims.client_id).ok();
    Ok(client_id.filter(|_| is_ours).map(|client_id| Recognised { claims, client_id }))
}

/// RFC 8725 §3.11: a JWT of another type is not taken for an access token.
fn kid_of_access_token(token: &str) -> Option<String> {
    let header = jose::header(token)?;
    let is_access_token = header.typ.is_some_and(|typ| {
        let typ = typ.strip_prefix("application/").unwrap_or(&typ).to_owned();
        typ.eq_ignore_ascii_case(TokenType::AccessToken.as_str())
    });
    header.kid.filter(|_| is_access_token)
}

/// Whether everything behind the token still stands: the grant, the person, the client, and the token itself. One statement.
pub(crate) async fn stands(server: &Server, token: &Recognised) -> Result<bool> {
    if let Some(grant_id) = token.claims.gid {
        server.store().grant_stands_behind(grant_id, token.claims.jti).await
    } else {
        let iat = Timestamp::from_seconds(token.claims.iat);
        server.store().client_stands_behind(&token.client_id, iat, token.claims.jti).await
    }
}

/// When a grant that obtained its last token now, on these terms, can be forgotten.
pub(crate) fn last_expiry(server: &Server, terms: &Terms, now: Timestamp) -> Timestamp {
    // While a code can be presented, its grant must be there to say that it is spent.
    now.after(terms.lifetime.max(server.config().tokens.authorization_code_ttl))
}
