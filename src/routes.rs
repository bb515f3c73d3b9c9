//! Every URL of the server, on one page.

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    endpoints::{authorize, health, introspect, jwks, metadata, method_not_allowed, revoke, token},
    error::Error,
    oauth::metadata::paths,
    pages::{self, account, consent, error::PageError, login, signed_out},
    server::Server,
    web::{assets, cors, headers, json_error::JsonError, page, request_log, session},
};

/// The whole server as a service.
pub fn router(server: &Server) -> Router {
    Router::new()
        .merge(for_programs(server))
        .merge(for_people(server))
        .layer(from_fn_with_state(server.clone(), headers::on_everything))
        .with_state(server.clone())
}

/// Answers in JSON, without cookies.
fn for_programs(server: &Server) -> Router<Server> {
    let envelope: request_log::Envelope = |error: Error| JsonError::from(error).into_response();
    let from_any_origin = Router::new()
        .route(paths::METADATA, get(metadata::get))
        .route(paths::JWKS, get(jwks::get))
        .route(paths::TOKEN, post(token::post))
        .route(paths::REVOKE, post(revoke::post))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state((server.clone(), envelope), request_log::around))
        .layer(from_fn(cors::allow_any_origin));
    let others = Router::new()
        .route(paths::INTROSPECT, post(introspect::post))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state((server.clone(), envelope), request_log::around));
    from_any_origin.merge(others)
}

/// Answers with pages and redirects; the browser's session is at hand.
fn for_people(server: &Server) -> Router<Server> {
    let envelope: request_log::Envelope = PageError::envelope;
    let with_forms = Router::new()
        .route("/", get(async || headers::see_other("/account").map_err(PageError::from)))
        .route("/login", get(login::get).head(authorize::head).post(login::post))
        .route("/consent", get(consent::get).head(authorize::head).post(consent::post))
        .route("/account", get(account::get))
        .route("/account/sign-out", post(account::sign_out))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/account/sessions/end", post(account::end_session))
        .route("/account/apps/end", post(account::end_app))
        .route("/signed-out", get(signed_out::get))
        .layer(from_fn_with_state(server.clone(), pages::refuse_cross_site));
    Router::new()
        // Always asked for by other sites: what it takes is not decided by where a request comes from.
        .route(paths::AUTHORIZE, get(authorize::get).head(authorize::head))
        .merge(with_forms)
        .method_not_allowed_fallback(async || PageError::method_not_allowed())
        .layer(session::layer(server))
        .layer(from_fn(session::secure_removal))
        .route(assets::ROUTE, get(pages::asset))
        .fallback(async || -> Response { PageError::not_found().into_response() })
        .layer(from_fn_with_state((server.clone(), envelope), request_log::around))
        .layer(from_fn_with_state(server.clone(), page::around))
}
