//! What clients send to the endpoints that know them: token, revocation, introspection.

use axum::extract::{FromRequest, MatchedPath, Request};

use super::{caller, form, json_error::JsonError, rate_limit};
use crate::{
    audit::Origin,
    client_auth::{self, AuthenticatedClient},
    oauth::Params,
    server::Server,
};

/// A form of a client that proved who it is, and sends no more than it may.
pub(crate) struct ClientRequest {
    pub client: AuthenticatedClient,
    pub params: Params,
    pub origin: Origin,
}

impl FromRequest<Server> for ClientRequest {
    type Rejection = JsonError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, JsonError> {
        let (parts, body) = request.into_parts();
        let params = form::read_body(server, &parts, body).await?;
        let client = client_auth::authenticate(server, &parts.headers, &params).await?;
        let origin = caller::origin(&parts.extensions);
        rate_limit::count_client(server, parts.extensions.get::<MatchedPath>(), &client, origin.address)?;
        Ok(Self { client, params, origin })
    }
}
