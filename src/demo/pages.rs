//! The pages of the sample app. Every button that changes something answers 303, so that reloading repeats nothing.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use rust_i18n::t;
use uuid::Uuid;

use super::App;
use super::access_token::DecodedToken;
use super::callback::{CallbackError, ExpectedIssuer, TrustedCode};
use super::client::{Failure, Tokens};
use super::exchange::{Exchange, Kind, masked};
use super::sessions::{Session, SharedSession, SignedIn};
use super::step::{Action, Outcome, Step};

/// The server's look, in colours of the app's own, so that a person sees which of the two is asking.
pub const STYLE: &str = concat!(include_str!("../../static/app.css"), include_str!("../../static/demo.css"));

#[derive(Template)]
#[template(path = "demo/home.html")]
struct Home<'a> {
    issuer: &'a str,
    spa_url: &'a str,
}

#[derive(Template)]
#[template(path = "demo/machine.html")]
struct MachinePage {
    /// What it did when its button was pressed.
    step: Option<Step>,
}

#[derive(Template)]
#[template(path = "demo/session.html")]
struct SignedInPage<'a> {
    step: &'a Step,
    tokens: &'a Tokens,
    decoded: Option<DecodedToken>,
    issuer: &'a str,
}

#[derive(Template)]
#[template(path = "demo/signed_out.html")]
struct SignedOut {
    account_url: String,
}

#[derive(Template)]
#[template(path = "demo/problem.html")]
struct Problem {
    title: Cow<'static, str>,
    text: Cow<'static, str>,
    failure: Option<Failure>,
    exchanges: Vec<Exchange>,
}

/// `GET /`
pub async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some((_, session)) = session_of(&app, &headers)
        && session.lock().await.signed_in.is_some()
    {
        return Redirect::to("/session").into_response();
    }
    page(StatusCode::OK, &Home { issuer: app.client.issuer(), spa_url: &app.spa_url })
}

/// `GET /machine`
pub async fn machine() -> Response {
    page(StatusCode::OK, &MachinePage { step: None })
}

/// `POST /machine` runs the machine client. Nobody's session changes by it, so reloading may repeat it.
pub async fn run_machine(State(app): State<Arc<App>>) -> Response {
    page(StatusCode::OK, &MachinePage { step: Some(app.machine.run().await) })
}

/// `GET /start` sends the browser to the server with a new authorization request.
pub async fn start(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let pending = match app.client.begin().await {
        Ok(pending) => pending,
        Err(failure) => return Problem::of(failure, Vec::new()).into_response(),
    };
    let (id, session) = session_of(&app, &headers).unwrap_or_else(|| app.sessions.insert(Session::default()));
    let redirect = Redirect::to(pending.authorization_request.as_str());
    session.lock().await.begin(pending);
    ([(header::SET_COOKIE, app.cookie.set(id))], redirect).into_response()
}

/// `GET /callback` receives the authorization response.
pub async fn callback(State(app): State<Arc<App>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let announces_iss = match app.client.announces_iss().await {
        Ok(announces) => announces,
        Err(failure) => return Problem::of(failure, Vec::new()).into_response(),
    };
    let expected = ExpectedIssuer { issuer: app.client.issuer(), announces_iss };
    let Some((id, session)) = session_of(&app, &headers) else {
        return Problem::from(CallbackError::UnknownState).into_response();
    };
    let trusted = match TrustedCode::from_query(&query, &mut *session.lock().await, expected) {
        Ok(trusted) => trusted,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut response_url = app.base_url.clone();
    response_url.set_path("/callback");
    response_url.set_query(Some(&query));
    let wire = app.client.wire();
    wire.navigated(Kind::AuthorizationRequest, &trusted.pending.authorization_request);
    wire.navigated(Kind::AuthorizationResponse, &response_url);
    let outcome = app.client.redeem(&wire, trusted).await;
    let exchanges = wire.into_exchanges();
    let tokens = match outcome {
        Ok(tokens) => tokens,
        Err(failure) => return Problem::of(failure, exchanges).into_response(),
    };
    let signed_in = SignedIn { tokens, last: Step { outcome: Outcome::SignedIn, exchanges } };
    // A new id at sign-in: whoever planted the old one in this browser learns nothing.
    app.sessions.remove(id);
    let session = std::mem::take(&mut *session.lock().await);
    let (id, _) = app.sessions.insert(session.sign_in(signed_in));
    ([(header::SET_COOKIE, app.cookie.set(id))], Redirect::to("/session")).into_response()
}

/// `GET /session` shows the tokens and the last step.
pub async fn session(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let Some((_, session)) = session_of(&app, &headers) else { return to_home() };
    let session = session.lock().await;
    let Some(signed_in) = &session.signed_in else { return to_home() };
    let shown = SignedInPage {
        step: &signed_in.last,
        tokens: &signed_in.tokens,
        decoded: DecodedToken::decode(signed_in.tokens.access_token.secret()),
        issuer: app.client.issuer(),
    };
    page(StatusCode::OK, &shown)
}

/// `POST /refresh`
pub async fn refresh(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    take(Action::Refresh, &app, &headers).await
}

/// `POST /introspect`
pub async fn introspect(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    take(Action::Introspect, &app, &headers).await
}

/// `POST /call-api`
pub async fn call_api(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    take(Action::CallApi, &app, &headers).await
}

/// `POST /revoke`
pub async fn revoke(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    take(Action::Revoke, &app, &headers).await
}

/// `POST /sign-out` forgets the session of the app; the one with the server goes on.
pub async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(id) = app.cookie.read(&headers) {
        app.sessions.remove(id);
    }
    ([(header::SET_COOKIE, app.cookie.remove())], Redirect::to("/signed-out")).into_response()
}

/// `GET /signed-out`
pub async fn signed_out(State(app): State<Arc<App>>) -> Response {
    let account_url = format!("{}/account", app.client.issuer().trim_end_matches('/'));
    page(StatusCode::OK, &SignedOut { account_url })
}

/// `GET /style.css`
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

pub async fn not_found() -> Response {
    let (title, text) = (t!("demo.problem.not_found"), t!("demo.problem.not_found_text"));
    page(StatusCode::NOT_FOUND, &Problem { title, text, failure: None, exchanges: Vec::new() })
}

/// A form that another site sent.
pub fn foreign_form() -> Response {
    let (title, text) = (t!("demo.problem.foreign_form"), t!("demo.problem.foreign_form_text"));
    page(StatusCode::FORBIDDEN, &Problem { title, text, failure: None, exchanges: Vec::new() })
}

impl Problem {
    fn of(failure: Failure, exchanges: Vec<Exchange>) -> Self {
        Self { title: failure.title(), text: failure.advice(), failure: Some(failure), exchanges }
    }

    fn status(&self) -> StatusCode {
        match self.failure {
            Some(Failure::Unreachable | Failure::Unexpected) => StatusCode::BAD_GATEWAY,
            Some(Failure::Refused { .. }) | None => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<CallbackError> for Problem {
    fn from(error: CallbackError) -> Self {
        let (title, text) = match error {
            CallbackError::Refused(failure) => return Self::of(failure, Vec::new()),
            CallbackError::UnknownState => (t!("demo.problem.state"), t!("demo.problem.state_text")),
            CallbackError::WrongIssuer => (t!("demo.problem.issuer"), t!("demo.problem.issuer_text")),
            CallbackError::Malformed => (t!("demo.problem.malformed"), t!("demo.problem.malformed_text")),
        };
        Self { title, text, failure: None, exchanges: Vec::new() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        page(self.status(), &self)
    }
}

/// Takes one step with the tokens of a signed-in browser, then shows it.
async fn take(action: Action, app: &App, headers: &HeaderMap) -> Response {
    let Some((_, session)) = session_of(app, headers) else { return to_home() };
    let mut session = session.lock().await;
    let Some(signed_in) = &mut session.signed_in else { return to_home() };
    signed_in.last = Step::take(action, &app.client, &app.api_url, &mut signed_in.tokens).await;
    Redirect::to("/session").into_response()
}

fn session_of(app: &App, headers: &HeaderMap) -> Option<(Uuid, SharedSession)> {
    let id = app.cookie.read(headers)?;
    Some((id, app.sessions.session(id)?))
}

fn to_home() -> Response {
    Redirect::to("/").into_response()
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the sample app cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
