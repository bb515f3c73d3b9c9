//! Logout tokens (`OpenID` Back-Channel Logout §2.4): that a person's session at a client ended.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::{id_token, subject};
use crate::{error::Result, jose::TokenType, oauth::Client, secret, server::Server};

/// §4: at most two minutes, so that a captured one is soon worth nothing.
const TIME_TO_LIVE: Duration = Duration::from_mins(2);

/// The payload. It never has a `nonce`, by which it could pass for an ID token (§4.1).
#[derive(Serialize)]
struct LogoutTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    /// `NumericDate`.
    iat: i64,
    /// `NumericDate`.
    exp: i64,
    jti: Uuid,
    events: Events,
    sid: String,
}

#[derive(Serialize)]
struct Events {
    #[serde(rename = "http://schemas.openid.net/event/backchannel-logout")]
    backchannel_logout: Empty,
}

/// `{}`
#[derive(Serialize)]
struct Empty {}

/// Signs a token for one attempt to tell the client: with what its ID tokens are signed with (§2.6).
pub(crate) async fn issue(server: &Server, client: &Client, person_id: Uuid, session_id: Uuid) -> Result<String> {
    let now = server.clock().now();
    let claims = LogoutTokenClaims {
        iss: server.config().issuer.as_str(),
        sub: subject::of(server, client, person_id).await?,
        aud: client.id.as_str(),
        iat: now.as_seconds(),
        exp: now.after(TIME_TO_LIVE).as_seconds(),
        jti: secret::new_id(now),
        events: Events { backchannel_logout: Empty {} },
        sid: subject::of_session(server, client, session_id).await?,
    };
    server.keys().signing_key(id_token::algorithm(client)).await?.sign(TokenType::LogoutToken, &claims)
}
