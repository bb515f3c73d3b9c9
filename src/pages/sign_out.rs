//! Signing out because an app asks for it (`OpenID` RP-Initiated Logout §2): at once, or when the person says so.

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use http::StatusCode;

use super::{
    error::PageError,
    form, render,
    signed_out::{self, Onward, SignedOut},
    views::{self, ErrorKind},
};
use crate::{
    error::Result,
    interaction::Pending,
    logout::{LogoutRequest, Step, WayBack},
    oauth::{OAuthError, Params},
    server::Server,
    store::browser_sessions::BrowserSession,
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        page::Page,
        session::Browser,
    },
};

/// Sets these forms apart from others that are bound.
const FORM: &[u8] = b"sign out";

/// Takes up a logout request: the logout endpoint's whole work.
pub(crate) async fn begin(
    server: &Server,
    caller: &Caller,
    page: &Page,
    mut browser: Browser,
    params: &Params,
) -> Result<Response, PageError> {
    let request = match LogoutRequest::validate(server, params).await? {
        Ok(request) => request,
        Err(error) => return explain(server, page, &browser, error).await,
    };
    let page = &page.in_one_of(request.ui_locales());
    match (request.step(server, browser.session.as_ref()).await?, &browser.session) {
        (Step::Ask, Some(session)) => Ok(ask(server, page, session, &request, None).await?),
        (Step::SignOut | Step::Ask, _) => sign_out(server, caller, page, &mut browser, &request).await,
        (Step::Nothing, _) => Ok(go_on(server, page, &SignedOut::here(&[]), &request, request.goes_on_by_itself()).await?),
    }
}

/// Takes up a request that another site's page posted, to which no browser adds our cookies (`SameSite=Lax`). It is checked as
/// any other; who is signed in is seen by the `GET` to which this leads.
pub(crate) async fn begin_by_post(server: &Server, params: &Params) -> Result<Response, PageError> {
    let request = LogoutRequest::validate(server, params).await?.map_err(PageError::for_developer)?;
    let sealed = seal(server, &request).await?;
    Ok(see_other(&format!("/sign-out?request={sealed}"))?)
}

/// `GET /sign-out`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    caller: Caller,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    let params = opened(&server, &Params::parse(&query.unwrap_or_default())).await?;
    begin(&server, &caller, &page, browser, &params).await
}

/// `POST /sign-out`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    mut browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let form = form(&server, request).await?;
    let params = opened(&server, &form).await?;
    let request = LogoutRequest::validate(&server, &params).await?.map_err(PageError::for_developer)?;
    let page = page.in_one_of(request.ui_locales());
    if let Some(session) = &browser.session {
        let sealed = form.get("request").unwrap_or_default();
        if !server.root_key().consent_form_is_bound(&parts(session, sealed), form.get("bound").unwrap_or_default()) {
            return Err(PageError::of(ErrorKind::OtherAccount));
        }
    }
    match form.get("decision") {
        Some("sign_out") => sign_out(&server, &caller, &page, &mut browser, &request).await,
        Some("stay") => Ok(see_other("/account")?),
        _ => Err(PageError::for_developer(OAuthError::invalid_request("The form has no decision: press one of its buttons."))),
    }
}

async fn seal(server: &Server, request: &LogoutRequest) -> Result<String> {
    Pending { params: request.params.clone(), asked_at: server.clock().now(), chosen: None }.seal(server).await
}

/// The parameters of a sealed request. They are checked anew on every page: the client may have changed meanwhile.
async fn opened(server: &Server, params: &Params) -> Result<Params, PageError> {
    let pending = Pending::open(server, params.get("request").unwrap_or_default()).await?;
    pending.map(|pending| pending.params).map_err(|_| PageError::of(ErrorKind::Expired))
}

fn parts<'a>(session: &'a BrowserSession, sealed: &'a str) -> [&'a [u8]; 4] {
    [FORM, session.id.as_bytes(), session.person_id.as_bytes(), sealed.as_bytes()]
}

/// Asks the person, or tells what is wrong with the request and asks all the same (§4: who wants to sign out, can).
async fn ask(server: &Server, page: &Page, session: &BrowserSession, request: &LogoutRequest, remedy: Option<&str>) -> Result<Response> {
    let sealed = seal(server, request).await?;
    let person = server.store().person(session.person_id).await?;
    let view = views::SignOut {
        page,
        app: request.client.as_ref().map(|client| client.name.as_str()),
        person: person.as_ref().map_or("", |person| &person.email),
        returns_to: request.way_back().map(WayBack::display_host),
        bound: &server.root_key().bind_consent_form(&parts(session, &sealed)),
        request: &sealed,
        remedy,
    };
    render(&view, ContentPolicy::Flow)
}

async fn explain(server: &Server, page: &Page, browser: &Browser, error: OAuthError) -> Result<Response, PageError> {
    let Some(session) = &browser.session else { return Err(PageError::for_developer(error)) };
    let mut response = ask(server, page, session, &LogoutRequest::bare(), Some(&error.description)).await?;
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Ok(response)
}

/// Where a hint or the person says so, the browser then goes back by itself (§3).
async fn sign_out(
    server: &Server,
    caller: &Caller,
    page: &Page,
    browser: &mut Browser,
    request: &LogoutRequest,
) -> Result<Response, PageError> {
    let client_id = request.client.as_ref().map(|client| &client.id);
    let notices = browser.sign_out(server, caller, client_id).await?;
    Ok(go_on(server, page, &SignedOut::here(&notices), request, true).await?)
}

async fn go_on(server: &Server, page: &Page, done: &SignedOut<'_>, request: &LogoutRequest, by_itself: bool) -> Result<Response> {
    let onward = request.way_back().map(|way_back| if by_itself { Onward::ByItself(way_back) } else { Onward::ByLink(way_back) });
    signed_out::follow(server, page, &SignedOut { onward, ..*done }).await
}
