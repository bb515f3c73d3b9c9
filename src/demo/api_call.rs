//! A call of the sample API by one of the apps (OAuth 2.1 §5.1.1): the access token in the header, and what comes of it.

use http::{Request, header};
use oauth2::AccessToken;
use url::Url;

use super::client::{Failure, Wire};
use super::exchange::Kind;
use super::step::Outcome;

/// Reads the notes. The API's own words are in the exchange that `wire` keeps.
pub async fn read_notes(wire: &Wire<'_>, api_url: &Url, token: &AccessToken) -> Result<Outcome, Failure> {
    let url = api_url.join("/notes").map_err(|_| Failure::Unexpected)?;
    let request = Request::get(url.as_str())
        .header(header::AUTHORIZATION, format!("Bearer {}", token.secret()))
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|_| Failure::Unexpected)?;
    let status = wire.send(Kind::ApiCall, request).await.map_err(|error| Failure::from(&error))?.status();
    if status.is_success() {
        Ok(Outcome::ApiAccepted)
    } else if status.is_client_error() {
        Ok(Outcome::ApiRefused)
    } else {
        Err(Failure::Unexpected)
    }
}
