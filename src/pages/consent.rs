//! Consent: what an app asks for, in plain words, with Allow and Deny.

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::{
    error::PageError,
    flow::Resumed,
    form, render,
    views::{Consent, ErrorKind, Lasts, ScopeLine},
};
use crate::{
    error::Result,
    interaction::{self, Next},
    oauth::{OAuthError, Params, Resource, Scope, client::Trust, scope::OFFLINE_ACCESS},
    server::Server,
    store::browser_sessions::BrowserSession,
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        page::Page,
        session::Browser,
    },
};

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// `GET /consent`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    let params = Params::parse(&query.unwrap_or_default());
    let resumed = match Resumed::open(&server, &page, params.get("request").unwrap_or_default()).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    match (interaction::proceed(&server, &resumed.visit(&browser)).await?, &browser.session) {
        (Next::AskConsent(scope), Some(session)) => Ok(show(&server, &resumed, session, &scope).await?),
        (next, _) => Ok(resumed.follow(&server, next)?),
    }
}

/// `POST /consent`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let resumed = match Resumed::open(&server, &page, params.get("request").unwrap_or_default()).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let Some(session) = &browser.session else { return Ok(see_other(&resumed.url("/login"))?) };
    let Some(shown) = Shown::read(&server, session, &resumed, params.get("bound").unwrap_or_default()) else {
        return Err(PageError::of(ErrorKind::OtherAccount));
    };
    let asked = interaction::asked_scope(&server, &resumed.request, session).await?;
    if shown != Shown::new(&resumed, &asked) {
        // The client's registration changed since the form was shown: nobody allows what they did not see.
        return Ok(see_other(&resumed.url("/consent"))?);
    }
    let next = match params.get("decision") {
        Some("allow") => interaction::give_consent(&server, &resumed.visit(&browser), session, caller.origin).await?,
        Some("deny") => Next::Answer(interaction::deny(&server, &resumed.request, session, caller.origin).await?),
        _ => return Err(PageError::for_developer(OAuthError::invalid_request("The form has no decision: press Allow or Deny."))),
    };
    Ok(resumed.follow(&server, next)?)
}

/// What a form showed. It counts only for the session, the person and the request for which it was shown, which a MAC binds.
#[derive(PartialEq)]
struct Shown(String);

impl Shown {
    fn new(resumed: &Resumed, scope: &Scope) -> Self {
        let resources: Vec<&str> = resumed.request.resources.iter().map(Resource::as_str).collect();
        Self(format!("{scope}\n{}", resources.join(" ")))
    }

    /// The value of the field `bound`.
    fn bind(&self, server: &Server, session: &BrowserSession, resumed: &Resumed) -> String {
        let mac = server.root_key().bind_consent_form(&self.parts(session, resumed));
        format!("{mac}.{}", BASE64_URL_SAFE_NO_PAD.encode(&self.0))
    }

    fn read(server: &Server, session: &BrowserSession, resumed: &Resumed, bound: &str) -> Option<Self> {
        let (mac, shown) = bound.split_once('.')?;
        let shown = Self(String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(shown).ok()?).ok()?);
        server.root_key().consent_form_is_bound(&shown.parts(session, resumed), mac).then_some(shown)
    }

    fn parts<'a>(&'a self, session: &'a BrowserSession, resumed: &'a Resumed) -> [&'a [u8]; 4] {
        [session.id.as_bytes(), session.person_id.as_bytes(), resumed.sealed.as_bytes(), self.0.as_bytes()]
    }
}

async fn show(server: &Server, resumed: &Resumed, session: &BrowserSession, scope: &Scope) -> Result<Response> {
    let config = server.config();
    let person = server.store().person(session.person_id).await?;
    let scopes: Vec<ScopeLine<'_>> =
        scope.tokens().map(|token| ScopeLine::new(&resumed.page, token, config.scopes.get(token).map(String::as_str))).collect();
    let lasts = if scope.contains(OFFLINE_ACCESS) {
        Lasts::UntilRemoved { days: config.tokens.refresh_token_ttl.as_secs().div_ceil(SECONDS_OF_A_DAY) }
    } else {
        Lasts::UntilSignOut
    };
    let page = Consent {
        page: &resumed.page,
        app: resumed.app(),
        person: person.as_ref().map_or("", |person| &person.email),
        other_account_url: &resumed.other_account_url(),
        scopes: &scopes,
        apis: &resumed.request.apis.iter().map(|api| api.name.as_str()).collect::<Vec<_>>().join(", "),
        lasts,
        is_self_registered: resumed.request.client.trust == Trust::SelfRegistered,
        links: &resumed.request.client.metadata.links(resumed.page.lang),
        request: &resumed.sealed,
        bound: &Shown::new(resumed, scope).bind(server, session, resumed),
    };
    render(&page, ContentPolicy::Flow)
}
