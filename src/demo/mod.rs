//! The sample app of `grantor demo`: a confidential client like any other, over HTTP only.

mod access_token;
mod callback;
mod client;
mod discovery;
mod exchange;
mod guard;
mod pages;
mod sessions;
mod step;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use oauth2::{ClientId, ClientSecret, RedirectUrl, Scope};
use url::Url;

use self::client::{Client, Registration};
use self::sessions::{SessionCookie, Sessions};
use crate::outbound::{Limits, Outbound};

/// What the app must be told; everything else it discovers.
pub struct SampleApp {
    /// The authorization server, exactly as it calls itself.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    /// Where browsers find the app, such as `http://127.0.0.1:8081`.
    pub base_url: String,
    /// Asked for at every sign-in; none asks for what the client is registered for.
    pub scopes: Vec<String>,
}

struct App {
    client: Client,
    sessions: Sessions,
    cookie: SessionCookie,
    base_url: Url,
}

impl SampleApp {
    /// The redirect URI to register for an app at `base_url`.
    pub fn redirect_uri(base_url: &str) -> String {
        format!("{}/callback", base_url.trim_end_matches('/'))
    }

    /// # Errors
    ///
    /// If `base_url` is not an `http` URL, or no HTTP client can be made.
    pub fn router(self) -> anyhow::Result<Router> {
        let base_url = Url::parse(&self.base_url).context("the sample app's base URL is not a URL")?;
        let port = base_url.port_or_known_default().context("the sample app's base URL has no port")?;
        let registration = Registration {
            issuer: self.issuer,
            client_id: ClientId::new(self.client_id),
            client_secret: ClientSecret::new(self.client_secret),
            redirect_uri: RedirectUrl::new(Self::redirect_uri(&self.base_url))?,
            scopes: self.scopes.into_iter().map(Scope::new).collect(),
        };
        let app = Arc::new(App {
            client: Client::new(registration, Outbound::new(Limits::default())?),
            sessions: Sessions::default(),
            cookie: SessionCookie::for_port(port),
            base_url,
        });
        Ok(Router::new()
            .route("/", get(pages::home))
            .route("/start", get(pages::start))
            .route("/callback", get(pages::callback))
            .route("/session", get(pages::session))
            .route("/refresh", post(pages::refresh))
            .route("/introspect", post(pages::introspect))
            .route("/revoke", post(pages::revoke))
            .route("/sign-out", post(pages::sign_out))
            .route("/signed-out", get(pages::signed_out))
            .route("/style.css", get(pages::style))
            .fallback(pages::not_found)
            .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
            .with_state(app))
    }
}

#[cfg(test)]
mod tests;
