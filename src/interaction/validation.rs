//! From parameters to a request: who asks and where the answer goes first, everything else after (OAuth 2.1 §4.1.1, §4.1.2.1).

use super::request_object;
use crate::{
    error::{Error, Result},
    oauth::{AuthorizationRequest, Client, ClientId, OAuthError, Params, authorization_request::Reply},
    server::Server,
    tokens::id_token,
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
    let unfolded = match request_object::unfolded(server, &client, params).await {
        Ok(params) => params,
        Err(Error::Protocol(error)) => return Ok(Err(without_its_object(&client, params, error))),
        Err(fault) => return Err(fault),
    };
    let params = unfolded.as_ref();
    let Some(return_address) = client.return_address(params.get("redirect_uri")) else {
        return page(
            "The redirect_uri is not one that the client is registered with: compare it byte for byte with what \
             'grantor client show' prints, or give all that it shall have to 'grantor client update --redirect-uri'.",
        );
    };
    let reply = Reply::new(return_address, &client, params);
    let limited = match AuthorizationRequest::parse(client, reply.clone(), params) {
        Ok(request) => at_its_resources(server, with_known_prompts(server, request)).await?,
        Err(error) => Err(error),
    };
    let hinted = match limited {
        Ok(request) => with_hint(server, request).await?,
        Err(error) => Err(error),
    };
    Ok(hinted.map_err(|error| Refusal::Reply(reply, error)))
}

/// What is registered of the resources (RFC 8707 §2) limits the scope.
async fn at_its_resources(server: &Server, request: AuthorizationRequest) -> Result<Result<AuthorizationRequest, OAuthError>> {
    let registered = server.resources(&request.resources).await?;
    Ok(request.at(&registered))
}

/// A request object that cannot be used says nothing: whom to tell is what stands outside of it.
fn without_its_object(client: &Client, params: &Params, error: OAuthError) -> Refusal {
    match client.return_address(params.get("redirect_uri")) {
        Some(return_address) => Refusal::Reply(Reply::new(return_address, client, params), error),
        None => Refusal::Page(error),
    }
}

/// `prompt=create` is a value that we know where people may sign up, and only there.
fn with_known_prompts(server: &Server, mut request: AuthorizationRequest) -> AuthorizationRequest {
    request.prompt.create &= server.config().sign_up.open;
    request
}

/// Verifies `id_token_hint` (`OpenID` Core §3.1.2.2): this server issued it, and to this client.
async fn with_hint(server: &Server, mut request: AuthorizationRequest) -> Result<Result<AuthorizationRequest, OAuthError>> {
    let Some(token) = &request.id_token_hint else { return Ok(Ok(request)) };
    let hint = id_token::recognise_hint(server, token).await?.filter(|hint| hint.aud == request.client.id.as_str());
    let Some(hint) = hint else {
        return Ok(Err(OAuthError::invalid_request("The id_token_hint is not an ID token that this server issued to this client.")));
    };
    request.hinted_sub = Some(hint.sub);
    Ok(Ok(request))
}

#[expect(clippy::unnecessary_wraps, reason = "the caller returns it as it is")]
fn page(description: &'static str) -> Result<Result<AuthorizationRequest, Refusal>, Error> {
    Ok(Err(Refusal::Page(OAuthError::invalid_request(description))))
}
