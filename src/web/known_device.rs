//! The cookie of a known device: see `accounts/known_device.rs`.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, response::Response};
use http::{
    HeaderValue,
    header::{COOKIE, SET_COOKIE},
    request::Parts,
};
use tower_sessions::cookie::{Cookie, SameSite};

use super::session::cookie_name;
use crate::{
    accounts::known_device::{Devices, KNOWN_FOR},
    server::Server,
};

/// What is between the names of the two cookies.
const KIND: &str = "device-";

/// What the browser that sent a request shows of earlier sign-ins.
pub(crate) struct KnownDevice(pub Devices);

impl FromRequestParts<Server> for KnownDevice {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Infallible> {
        let name = cookie_name(&server.config().issuer, KIND);
        let headers = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = headers.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name);
        Ok(Self(cookie.map_or_else(Devices::default, |cookie| Devices::parse(cookie.value()))))
    }
}

impl KnownDevice {
    /// Has the browser keep that someone signed in to this account.
    pub(crate) fn keep(self, server: &Server, email_key: &str, mut response: Response) -> Response {
        let issuer = &server.config().issuer;
        let cookie = Cookie::build((cookie_name(issuer, KIND), self.0.with(server, email_key).to_text()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(issuer.is_https())
            .max_age(time::Duration::try_from(KNOWN_FOR).unwrap_or(time::Duration::MAX))
            .build();
        if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}
