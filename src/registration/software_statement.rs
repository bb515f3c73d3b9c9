//! Software statements (RFC 7591 §2.3): what someone whom the operator trusts says of a client.

use serde_json::{Map, Value};

use crate::{
    error::Result,
    jose::{ClientKeys, Jws},
    oauth::{ErrorCode, JwsAlgorithm, OAuthError, json, registration::WrongMember},
    server::Server,
};

/// The member that holds one.
const MEMBER: &str = "software_statement";
/// Kept with the client, and told with every answer.
const LONGEST: usize = 8 * 1024;
/// What a JWT says of itself (RFC 7519 §4.1), not of a client.
const OF_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The document with what its statement claims in the place of what it says itself, and the statement as it was (§3.1.1).
pub(super) fn merged(server: &Server, mut document: Map<String, Value>) -> Result<(Map<String, Value>, Option<String>)> {
    let statement = match document.remove(MEMBER) {
        Some(Value::String(statement)) => statement,
        None | Some(Value::Null) if server.config().registration.require_software_statement => {
            let remedy = "must be given: an issuer that this server believes signs one".into();
            return Err(OAuthError::from(WrongMember { member: MEMBER, remedy }).into());
        }
        None | Some(Value::Null) => return Ok((document, None)),
        Some(_) => return Err(invalid("It must be a JWT in a string.").into()),
    };
    for (member, value) in claims(server, &statement)? {
        if !OF_THE_JWT.contains(&member.as_str()) {
            document.insert(member, value);
        }
    }
    Ok((document, Some(statement)))
}

/// The claims of a statement whose issuer is believed, signed with one of its keys, in its time. What is not signed is not one.
fn claims(server: &Server, statement: &str) -> Result<Map<String, Value>, OAuthError> {
    let jws = (statement.len() <= LONGEST).then(|| Jws::parse(statement).ok()).flatten();
    let jws = jws.filter(|jws| JwsAlgorithm::ASYMMETRIC.contains(&jws.algorithm));
    let jws = jws.ok_or_else(|| invalid("It must be a JWT of at most 8 KiB that is signed with a private key."))?;
    let unverified: Map<String, Value> = jws.unverified_claims().map_err(|_| invalid("Its claims must be a JSON object."))?;
    let issuers = &server.config().registration.software_statement_issuers;
    let keys = unverified.get("iss").and_then(Value::as_str).and_then(|iss| issuers.get(iss));
    let keys = keys.and_then(|keys| ClientKeys::of(keys).ok()).ok_or_else(|| {
        let description = "The iss of the software_statement is not an issuer that the operator of this server believes.";
        OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, description)
    })?;
    let claims: Map<String, Value> = keys.verify(&jws).map_err(|_| invalid("Its signature must match a key of its issuer."))?;
    let now = server.clock().now().as_seconds();
    if json::members_have_nul(&claims) {
        return Err(invalid("Its claims must not contain the character NUL."));
    }
    let is_within =
        |name: &str, holds: fn(i64, i64) -> bool| claims.get(name).is_none_or(|at| at.as_i64().is_some_and(|at| holds(now, at)));
    if is_within("exp", |now, exp| now < exp) && is_within("nbf", |now, nbf| now >= nbf) {
        Ok(claims)
    } else {
        Err(invalid("It must not have expired, or be of a time to come."))
    }
}

fn invalid(description: &'static str) -> OAuthError {
    let description = format!("The software_statement cannot be used. {description}").into();
    OAuthError { code: ErrorCode::InvalidSoftwareStatement, description }
}
