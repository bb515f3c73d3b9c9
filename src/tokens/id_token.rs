//! ID tokens (`OpenID` Core §2, §3.1.3.6).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{person_claims, subject};
use crate::{
    error::Result,
    jose::{self, TokenType},
    oauth::{Algorithm, Client, claims::ACR_ONE_FACTOR},
    server::Server,
    store::grants::Grant,
};

/// What is registered for clients that say nothing (`OpenID` Registration §2).
const DEFAULT_ALGORITHM: Algorithm = Algorithm::Rs256;

/// The payload of an ID token.
#[derive(Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    azp: &'a str,
    /// `NumericDate`.
    iat: i64,
    /// `NumericDate`.
    exp: i64,
    /// `NumericDate`.
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'static str,
    amr: &'a [String],
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// What the `claims` parameter asked for (§5.5).
    #[serde(flatten)]
    person: Map<String, Value>,
}

/// What the ID tokens of a client, and its logout tokens, are signed with.
pub(super) fn algorithm(client: &Client) -> Algorithm {
    client.metadata.id_token_signed_response_alg.unwrap_or(DEFAULT_ALGORITHM)
}

/// Signs the ID token that goes with an access token. At refresh there is no `nonce` (§12.2).
pub(crate) async fn issue(server: &Server, client: &Client, grant: &Grant, nonce: Option<&str>, access_token: &str) -> Result<String> {
    let config = server.config();
    let now = server.clock().now();
    let algorithm = algorithm(client);
    let sid = match grant.sid {
        Some(session_id) => Some(subject::of_session(server, client, session_id).await?),
        None => None,
    };
    let claims = IdTokenClaims {
        iss: config.issuer.as_str(),
        sub: subject::of(server, client, grant.person_id).await?,
        aud: client.id.as_str(),
        azp: client.id.as_str(),
        iat: now.as_seconds(),
        exp: now.after(config.tokens.access_token_ttl).as_seconds(),
        auth_time: grant.auth_time.as_seconds(),
        nonce,
        acr: ACR_ONE_FACTOR,
        amr: &grant.amr,
        at_hash: half_hash(algorithm, access_token),
        sid,
        person: asked_for(server, client, grant).await?,
    };
    server.keys().signing_key(algorithm).await?.sign(TokenType::IdToken, &claims)
}

/// A claim is no longer told when the person is gone.
async fn asked_for(server: &Server, client: &Client, grant: &Grant) -> Result<Map<String, Value>> {
    let allowed = grant.claims_request.as_ref().filter(|allowed| !allowed.wanted.id_token.is_empty());
    let Some(allowed) = allowed else { return Ok(Map::new()) };
    let person = server.store().person(grant.person_id).await?;
    Ok(person.map_or_else(Map::new, |person| person_claims::of_id_token(&person, client, allowed)))
}

/// Who an ID token of ours is about, when a client shows it as a hint (§3.1.2.1, RP-Initiated Logout §2).
#[derive(Debug)]
pub(crate) struct Hint {
    /// As that client knows the person: compare it with [`subject::of`].
    pub sub: String,
    /// The client that it was issued to.
    pub aud: String,
    /// The session at which it was issued, as that client knows it: compare it with [`subject::of_session`].
    pub sid: Option<String>,
}

/// The members that every ID token of ours has; a signed answer of `UserInfo`, of the same `typ`, has no `auth_time`.
#[derive(Deserialize)]
struct HintClaims {
    iss: String,
    sub: String,
    aud: String,
    sid: Option<String>,
    #[serde(rename = "auth_time")]
    _auth_time: i64,
}

/// What an ID token says that this issuer signed at any time: expired, or with a key that is retired, it is as good a hint
/// (§3.1.2.1, RP-Initiated Logout §4).
pub(crate) async fn recognise_hint(server: &Server, token: &str) -> Result<Option<Hint>> {
    let Some(header) = jose::header(token) else { return Ok(None) };
    let is_id_token = header.typ.as_deref() == Some(TokenType::IdToken.as_str());
    let Some(kid) = header.kid.filter(|_| is_id_token) else { return Ok(None) };
    let claims = server.keys().recognise::<HintClaims>(&kid, token).await?;
    let ours = claims.filter(|claims| claims.iss == server.config().issuer.as_str());
    Ok(ours.map(|HintClaims { sub, aud, sid, .. }| Hint { sub, aud, sid }))
}

/// The left half of the hash that the algorithm of the ID token uses (§3.1.3.6); of Ed25519 that is SHA-512.
fn half_hash(algorithm: Algorithm, access_token: &str) -> String {
    match algorithm {
        Algorithm::EdDsa => BASE64_URL_SAFE_NO_PAD.encode(&sha2::Sha512::digest(access_token)[..32]),
        Algorithm::Es256 | Algorithm::Rs256 | Algorithm::Ps256 => BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16]),
    }
}
