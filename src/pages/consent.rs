//! Consent: what an app asks for, in plain words, with Allow and Deny.

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};

use super::{
    PAGE,
    error::PageError,
    flow::Resumed,
    form, render,
    views::{Consent, ErrorKind, Lasts, ScopeLine},
};
use crate::{
    error::Result,
    interaction::{self, Next},
    oauth::{OAuthError, Params, Scope, scope::OFFLINE_ACCESS},
    server::Server,
    store::browser_sessions::BrowserSession,
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        session::Browser,
    },
};

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// `GET /consent`
pub(crate) async fn get(State(server): State<Server>, RawQuery(query): RawQuery, browser: Browser) -> Result<Response, PageError> {
    let params = Params::parse(&query.unwrap_or_default());
    let resumed = match Resumed::open(&server, params.get("request").unwrap_or_default()).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    match (interaction::proceed(&server, &resumed.visit(&browser)).await?, &browser.session) {
        (Next::AskConsent(scope), Some(session)) => Ok(show(&server, &resumed, session, &scope).await?),
        (next, _) => Ok(resumed.follow(&server, next)?),
    }
}

/// `POST /consent`
pub(crate) async fn post(State(server): State<Server>, caller: Caller, browser: Browser, request: Request) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let resumed = match Resumed::open(&server, params.get("request").unwrap_or_default()).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let Some(session) = &browser.session else { return Ok(see_other(&resumed.url("/login"))?) };
    let bound = params.get("bound").unwrap_or_default();
    if !server.master_key().consent_form_is_bound(&parts(session, &resumed), bound) {
        return Err(PageError::of(ErrorKind::OtherAccount));
    }
    let next = match params.get("decision") {
        Some("allow") => interaction::give_consent(&server, &resumed.visit(&browser), session, caller.origin).await?,
        Some("deny") => Next::Answer(interaction::deny(&server, &resumed.request, session, caller.origin).await?),
        _ => return Err(PageError::for_developer(OAuthError::invalid_request("The form has no decision: press Allow or Deny."))),
    };
    Ok(resumed.follow(&server, next)?)
}

/// A form counts only for the session, the person and the request for which it was shown.
fn parts<'a>(session: &'a BrowserSession, resumed: &'a Resumed) -> [&'a [u8]; 3] {
    [session.id.as_bytes(), session.person_id.as_bytes(), resumed.sealed.as_bytes()]
}

async fn show(server: &Server, resumed: &Resumed, session: &BrowserSession, scope: &Scope) -> Result<Response> {
    let config = server.config();
    let person = server.store().person(session.person_id).await?;
    let scopes: Vec<ScopeLine<'_>> =
        scope.tokens().map(|token| ScopeLine::new(PAGE, token, config.scopes.get(token).map(String::as_str))).collect();
    let lasts = if scope.contains(OFFLINE_ACCESS) {
        Lasts::UntilRemoved { days: config.tokens.refresh_token_ttl.as_secs().div_ceil(SECONDS_OF_A_DAY) }
    } else {
        Lasts::UntilSignOut
    };
    let page = Consent {
        page: PAGE,
        app: resumed.app(),
        person: person.as_ref().map_or("", |person| &person.email),
        other_account_url: &resumed.other_account_url(),
        scopes: &scopes,
        lasts,
        request: &resumed.sealed,
        bound: &server.master_key().bind_consent_form(&parts(session, resumed)),
    };
    render(&page, ContentPolicy::Flow)
}
