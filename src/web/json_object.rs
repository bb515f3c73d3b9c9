//! The body of a request that is a JSON object of bounded size (RFC 7591 §3.1).

use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    form::{self, NoForm},
    json_error::JsonError,
};
use crate::{
    oauth::{OAuthError, json},
    server::Server,
};

/// More than any registration needs.
const LARGEST: usize = 32 * 1024;

/// An object, whatever its members.
pub(crate) struct JsonObject(pub Map<String, Value>);

impl FromRequest<Server> for JsonObject {
    type Rejection = JsonError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, JsonError> {
        let (parts, body) = request.into_parts();
        if !form::says_that_it_is(&parts.headers, "application/json") {
            let error = OAuthError::invalid_request("Send a JSON object: Content-Type: application/json.");
            return Err(JsonError::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
        let limit = LARGEST.min(server.config().limits.request_body);
        let body = form::bytes(&parts, body, limit).await.map_err(|no_form| match no_form {
            NoForm::TooLarge => JsonError::too_large(),
            NoForm::NotAForm | NoForm::Cut => no_object(),
        })?;
        let object: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| no_object())?;
        if json::members_have_nul(&object) {
            return Err(OAuthError::invalid_request("The body contains the character NUL.").into());
        }
        Ok(Self(object))
    }
}

fn no_object() -> JsonError {
    OAuthError::invalid_request("The body must be a JSON object.").into()
}
