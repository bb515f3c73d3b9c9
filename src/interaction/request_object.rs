//! Request objects (RFC 9101, `OpenID` Core §6): fetched where they are registered, verified by the client's keys.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    client_auth,
    error::{Error, Result},
    jose::{Jws, Unverified},
    oauth::{
        Client, ErrorCode, JwsAlgorithm, OAuthError, Params,
        request_object::{self, Carried, invalid},
    },
    outbound::OutboundError,
    server::{Server, of_all_who_wait},
};

const ACCEPT: &str = "application/oauth-authz-req+jwt, application/jwt";

/// The parameters of a request, with those of its object if it carries one.
pub(super) async fn unfolded<'p>(server: &Server, client: &Client, params: &'p Params) -> Result<Cow<'p, Params>> {
    let Some(carried) = Carried::by(params)? else { return Ok(Cow::Borrowed(params)) };
    params.check()?;
    let object = match carried {
        Carried::ByValue(object) => Cow::Borrowed(object),
        Carried::ByReference(uri) => Cow::Owned(fetched(server, client, uri).await?),
    };
    let claims = verified(server, client, carried, object.trim()).await?;
    let (issuer, now) = (&server.config().issuer, server.clock().now());
    Ok(Cow::Owned(request_object::assembled(params, &claims, &client.id, issuer, now)?))
}

/// The contents of a URI that the client registered, byte for byte with its fragment (`OpenID` Core §6.2). Nothing is cached: the
/// object is small, and a client that changes it need not wait. But however many ask, it is fetched once at a time.
async fn fetched(server: &Server, client: &Client, uri: &str) -> Result<String> {
    if !client.metadata.request_uris.iter().any(|registered| registered == uri) {
        return Err(unusable("The request_uri must be one that the client is registered with in request_uris, its fragment included."));
    }
    let url = uri.split('#').next().unwrap_or(uri);
    server
        .request_objects()
        .join((client.trust, url.to_owned()), fetch(server, client, url))
        .await
        .map_err(|shared| of_all_who_wait(&shared))
}

async fn fetch(server: &Server, client: &Client, url: &str) -> Result<String> {
    let answer = server.connections().documents(client.trust).get(url, ACCEPT).await.map_err(|error| {
        tracing::debug!(client.id = %client.id, %error, "a request object could not be fetched");
        match error {
            OutboundError::Busy => Error::unavailable("too many documents of clients are being fetched"),
            _ => unusable("The request_uri must be reachable over https and answer in seconds, with 64 KiB at most."),
        }
    })?;
    if answer.status() != http::StatusCode::OK {
        return Err(unusable("The request_uri must answer 200 with the request object."));
    }
    String::from_utf8(answer.into_body()).map_err(|_| unusable("The request_uri must answer with a request object."))
}

/// `invalid_request_uri` (§7).
fn unusable(description: &'static str) -> Error {
    OAuthError::new(ErrorCode::InvalidRequestUri, description).into()
}

/// The claims of an object that the client signed with the algorithm that it registered (`OpenID` Core §6.3.2; RFC 9101 §6.2).
async fn verified(server: &Server, client: &Client, carried: Carried<'_>, object: &str) -> Result<Map<String, Value>> {
    if request_object::is_unsigned(object) {
        return Err(carried.unsigned().into());
    }
    let refused = |reason| match reason {
        Unverified::Busy => Error::unavailable("too many key sets are being fetched"),
        reason => invalid(format!("The request object cannot be used: {reason}.")).into(),
    };
    let jws = Jws::parse(object).map_err(refused)?;
    if !jws.is_typed(request_object::TYPES) {
        return Err(invalid("The typ of the request object must be oauth-authz-req+jwt, or JWT, or left out.").into());
    }
    let allowed = JwsAlgorithm::of_request_objects(client.metadata.request_object_signing_alg.as_deref());
    client_auth::verify_jws(server, client, &jws, allowed).await.map_err(refused)
}
