//! The samples of `grantor demo`, over HTTP only, as anyone would write them: an app on a server, a single-page app, a program
//! that speaks for itself, and the API that they call.

mod access_token;
mod api;
mod api_call;
mod callback;
mod client;
mod discovery;
mod exchange;
mod guard;
mod machine;
mod pages;
mod sessions;
mod spa;
mod step;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use oauth2::{ClientId, ClientSecret, RedirectUrl, Scope};
use url::Url;

pub use self::api::{READ, SampleApi, WRITE};
use self::client::{Client, Registration};
use self::machine::Machine;
use self::sessions::{SessionCookie, Sessions};
pub use self::spa::SinglePageApp;
use crate::outbound::{Limits, Outbound, Reach};

/// The app on a server, a confidential client. What it must be told; everything else it discovers.
pub struct SampleApp {
    /// The authorization server, exactly as it calls itself.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    /// Where browsers find the app, such as `http://127.0.0.1:8081`.
    pub base_url: String,
    /// Asked for at every sign-in; none asks for what the client is registered for.
    pub scopes: Vec<String>,
    /// Where the API is that it calls.
    pub api_url: String,
    /// The other app, to which the first page points.
    pub spa_url: String,
    /// The id and secret of the machine client, which runs at the press of a button.
    pub machine: (String, String),
}

struct App {
    client: Client,
    sessions: Sessions,
    cookie: SessionCookie,
    base_url: Url,
    api_url: Url,
    spa_url: String,
    machine: Machine,
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
        let api_url = Url::parse(&self.api_url).context("the sample API's URL is not a URL")?;
        let outbound = Outbound::new(Limits::default(), Reach::loopback(), None)?;
        let machine = Machine {
            issuer: self.issuer.clone(),
            client_id: ClientId::new(self.machine.0),
            client_secret: ClientSecret::new(self.machine.1),
            api_url: api_url.clone(),
            outbound: outbound.clone(),
        };
        let registration = Registration {
            issuer: self.issuer,
            client_id: ClientId::new(self.client_id),
            client_secret: ClientSecret::new(self.client_secret),
            redirect_uri: RedirectUrl::new(Self::redirect_uri(&self.base_url))?,
            scopes: self.scopes.into_iter().map(Scope::new).collect(),
        };
        let app = Arc::new(App {
            client: Client::new(registration, outbound),
            sessions: Sessions::default(),
            cookie: SessionCookie::for_port(port),
            base_url,
            api_url,
            spa_url: self.spa_url,
            machine,
        });
        Ok(Router::new()
            .route("/", get(pages::home))
            .route("/start", get(pages::start))
            .route("/callback", get(pages::callback))
            .route("/session", get(pages::session))
            .route("/refresh", post(pages::refresh))
            .route("/introspect", post(pages::introspect))
            .route("/call-api", post(pages::call_api))
            .route("/revoke", post(pages::revoke))
            .route("/sign-out", post(pages::sign_out))
            .route("/signed-out", get(pages::signed_out))
            .route("/machine", get(pages::machine).post(pages::run_machine))
            .route("/style.css", get(pages::style))
            .fallback(pages::not_found)
            .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
            .with_state(app))
    }
}

#[cfg(test)]
mod tests;
