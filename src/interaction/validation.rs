//! From parameters to a request: who asks and where the answer goes first, everything else after (OAuth 2.1 §4.1.1, §4.1.2.1).

use crate::{
    error::{Error, Result},
    oauth::{AuthorizationRequest, ClientId, OAuthError, Params, authorization_request::Reply},
    server::Server,
};

/// Why a request is not followed, and who may be told.
pub(crate) enum Refusal {
    /// Client or redirect URI cannot be trusted: the person is told, nothing is redirected.
    Page(OAuthError),
    /// The client is told.
    Reply(Reply, OAuthError),
}

/// Checks a request, also one that was checked before the person signed in.
pub(crate) async fn validate(server: &Server, params: &Params) -> Result<Result<AuthorizationRequest, Refusal>> {
    for name in ["client_id", "redirect_uri"] {
        if params.is_repeated(name) {
            return page("client_id and redirect_uri may each be sent only once.");
        }
    }
    let Some(client_id) = params.get("client_id") else { return page("The parameter 'client_id' is missing.") };
    let client = match ClientId::parse(client_id) {
        Ok(client_id) => server.client(&client_id).await?,
        Err(_) => None,
    };
    let Some(client) = client else {
        return page("No client with this client_id is registered and enabled; 'grantor client list' shows those that are.");
    };
    let Some(return_address) = client.return_address(params.get("redirect_uri")) else {
        return page(
            "The redirect_uri is not one that the client is registered with: compare it byte for byte with what \
             'grantor client show' prints, or give all that it shall have to 'grantor client update --redirect-uri'.",
        );
    };
    let reply = Reply::new(return_address, params);
    Ok(AuthorizationRequest::parse(client, reply.clone(), params).map_err(|error| Refusal::Reply(reply, error)))
}

#[expect(clippy::unnecessary_wraps, reason = "the caller returns it as it is")]
fn page(description: &'static str) -> Result<Result<AuthorizationRequest, Refusal>, Error> {
    Ok(Err(Refusal::Page(OAuthError::invalid_request(description))))
}
