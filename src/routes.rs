//! Every URL of the server, on one page.

mod documents;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, future::RouteFuture, get, post},
};
use futures_util::future::Either;
use tower::Service;

use crate::{
    config::RegistrationMode,
    endpoints::{
        authorize, end_session, health, introspect, jwks, metadata, method_not_allowed, metrics, register, revoke, token, userinfo,
        webfinger,
    },
    error::Error,
    oauth::metadata::{paths, places},
    pages::{
        self, account, consent,
        error::{self, PageError},
        login, select_account, sign_out, signed_out, signup,
    },
    server::Server,
    web::{
        assets, cors, headers,
        json_error::JsonError,
        page,
        proxies::Proxies,
        rate_limit,
        request_log::{self, Limited, Logged},
        session,
    },
};

use documents::Documents;

/// Whoever serves the routes says of each request where it comes from, as an extension.
pub use crate::web::caller::Peer;

const IN_JSON: request_log::Envelope = |error: Error| JsonError::from(error).into_response();

/// The whole server as a service.
#[derive(Clone)]
pub struct Routes {
    proxies: Arc<Proxies>,
    documents: Arc<Documents>,
    router: Router,
}

impl Routes {
    /// The routes of a server that was started.
    pub fn new(server: &Server) -> Self {
        let proxies = Proxies::new(&server.config().proxies);
        Self { proxies: Arc::new(proxies), documents: Arc::new(Documents::new(server)), router: router(server) }
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(response) = self.documents.answer(&request) {
            return Either::Left(ready(Ok(response)));
        }
        self.proxies.reveal(&mut request);
        Either::Right(self.router.call(request))
    }
}

/// What the listener for Prometheus answers; `lost_lines` tells how many log lines were lost.
pub fn for_prometheus(server: &Server, lost_lines: fn() -> u64) -> Router {
    let page = async move |State(server): State<Server>| metrics::get(&server, lost_lines()).await;
    Router::new().route("/metrics", get(page)).with_state(server.clone())
}

/// Everything is below the issuer's path, but for the documents about the issuer whose place is
/// at the root of its origin, and what is asked by machines that know only the port.
fn router(server: &Server) -> Router {
    let below_the_path = Router::new().merge(for_programs(server)).merge(for_people(server)).merge(health(server));
    let placed = match server.config().issuer.path() {
        "" => below_the_path,
        path => {
            let with_a_slash = Router::new().route(&format!("{path}/"), get(pages::home));
            Router::new().nest(path, below_the_path).merge(as_pages(server, with_a_slash, Limited::ByAddress)).merge(health(server))
        }
    };
    placed.merge(well_known(server)).merge(elsewhere(server)).with_state(server.clone())
}

/// The metadata in all its places, and `WebFinger`; what else clients look for there is not found, and they may read that.
fn well_known(server: &Server) -> Router<Server> {
    let issuer = &server.config().issuer;
    let roots = BTreeSet::from([String::new(), issuer.path().to_owned()]);
    let not_found =
        roots.iter().fold(Router::new(), |router, root| router.route(&format!("{root}/.well-known/{{*name}}"), any(metadata::not_found)));
    let router = not_found.route(paths::WEBFINGER, get(webfinger::get));
    let router = places(issuer).iter().fold(router, |router, place| router.route(place, get(metadata::get)));
    for_any_origin(server, router, Logged::Failures, Limited::Elsewhere)
}

/// Answers in JSON, without cookies.
fn for_programs(server: &Server) -> Router<Server> {
    let documents = Router::new().route(paths::JWKS, get(jwks::get));
    let shared = Router::new()
        .route(paths::TOKEN, post(token::post))
        .route(paths::REVOKE, post(revoke::post))
        .route(paths::USERINFO, get(userinfo::get).post(userinfo::post));
    let shared = match server.config().registration.mode {
        RegistrationMode::Off => shared,
        RegistrationMode::Token | RegistrationMode::Open => {
            let managed = get(register::get).put(register::put).delete(register::delete);
            shared.route(paths::REGISTER, post(register::post)).route(&format!("{}/{{client_id}}", paths::REGISTER), managed)
        }
    };
    let others = Router::new().route(paths::INTROSPECT, post(introspect::post));
    for_any_origin(server, documents, Logged::Failures, Limited::Elsewhere)
        .merge(for_any_origin(server, shared, Logged::All, Limited::ByAddress))
        .merge(in_json(server, others, Logged::All, Limited::ByAddress))
}

fn health(server: &Server) -> Router<Server> {
    let routes = Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready));
    in_json(server, routes, Logged::Failures, Limited::Elsewhere)
}

fn for_any_origin(server: &Server, router: Router<Server>, logged: Logged, limited: Limited) -> Router<Server> {
    // Around what logs and ends requests, so that every status can be read.
    let layers = (headers::on_everything(server), cors::allow_any_origin(), request_log::around(server, IN_JSON, logged, limited));
    router.method_not_allowed_fallback(method_not_allowed).layer(layers)
}

fn in_json(server: &Server, router: Router<Server>, logged: Logged, limited: Limited) -> Router<Server> {
    let layers = (headers::on_everything(server), request_log::around(server, IN_JSON, logged, limited));
    router.method_not_allowed_fallback(method_not_allowed).layer(layers)
}

/// Answers with pages and redirects; the browser's session is at hand.
fn for_people(server: &Server) -> Router<Server> {
    let from_our_pages = || from_fn_with_state(server.clone(), pages::refuse_cross_site);
    let for_anyone = Router::new()
        .route("/", get(pages::home))
        .route("/login", get(login::get).head(authorize::head).post(login::post))
        .route("/signup", get(signup::get).head(authorize::head).post(signup::post))
        .route("/signed-out", get(signed_out::get))
        .layer(from_our_pages())
        // Always asked for by other sites: what it takes is not decided by where a request comes from.
        .route(paths::AUTHORIZE, get(authorize::get).head(authorize::head).post(authorize::post))
        .route(paths::END_SESSION, get(end_session::get).head(authorize::head).post(end_session::post));
    let when_signed_in = Router::new()
        .route("/consent", get(consent::get).head(authorize::head).post(consent::post))
        .route("/select-account", get(select_account::get).head(authorize::head).post(select_account::post))
        .route("/account", get(account::get))
        .route("/account/sign-out", post(account::sign_out))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/account/sessions/end", post(account::end_session))
        .route("/account/apps/end", post(account::end_app))
        .route("/sign-out", get(sign_out::get).head(authorize::head).post(sign_out::post))
        .layer(from_fn_with_state(server.clone(), rate_limit::by_person))
        .layer(from_our_pages());
    let with_session = |router: Router<Server>| {
        router
            .method_not_allowed_fallback(async || PageError::method_not_allowed())
            .layer(session::layer(server))
            .layer(from_fn(session::secure_removal))
    };
    as_pages(server, with_session(for_anyone), Limited::ByAddress)
        .merge(as_pages(server, with_session(when_signed_in), Limited::Elsewhere))
        .merge(as_pages(server, Router::new().route(assets::ROUTE, get(pages::asset)), Limited::Elsewhere))
}

/// Nothing is there.
fn elsewhere(server: &Server) -> Router<Server> {
    as_pages(server, Router::new().fallback(error::elsewhere), Limited::ByAddress)
}

fn as_pages(server: &Server, router: Router<Server>, limited: Limited) -> Router<Server> {
    let layers = (headers::on_everything(server), request_log::around(server, PageError::envelope, Logged::All, limited));
    router.layer(layers).layer(from_fn_with_state(server.clone(), page::around))
}

#[cfg(test)]
mod tests;
