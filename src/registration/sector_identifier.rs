//! Which sites share one sector (`OpenID` Registration §5): the file that a client names must list its redirect URIs.

use http::StatusCode;

use crate::{
    error::{Error, Result},
    oauth::{Client, registration::WrongMember},
    outbound::OutboundError,
    server::Server,
};

/// Whether the file is to be read again for a client that changed: for no other is it fetched.
pub(super) fn differs(before: &Client, after: &Client) -> bool {
    before.metadata.sector_identifier_uri != after.metadata.sector_identifier_uri || before.redirect_uris != after.redirect_uris
}

/// Fetches the file, if the client names one, and looks for every redirect URI in it. It is not kept: what was registered was right.
pub(super) async fn verify(server: &Server, client: &Client) -> Result<()> {
    let Some(uri) = &client.metadata.sector_identifier_uri else { return Ok(()) };
    // Not why: it would tell what is there in the network of this server.
    let answer = server.connections().documents(client.trust).get(uri, "application/json").await.map_err(|error| match error {
        OutboundError::Busy => Error::unavailable("too many documents of clients are being fetched"),
        _ => wrong("cannot be fetched by this server"),
    })?;
    if answer.status() != StatusCode::OK {
        return Err(wrong("must be answered with 200 and the file itself, without a redirect"));
    }
    let listed: Vec<String> = serde_json::from_slice(answer.body()).map_err(|_| wrong("must hold a JSON array of redirect URIs"))?;
    let is_listed = |uri: &str| listed.iter().any(|known| known == uri);
    if client.redirect_uris.iter().all(|uri| is_listed(uri.as_str())) {
        Ok(())
    } else {
        Err(wrong("must list every one of the redirect_uris, spelled as they are"))
    }
}

fn wrong(remedy: &'static str) -> Error {
    Error::Protocol(WrongMember { member: "sector_identifier_uri", remedy: remedy.into() }.into())
}
