//! The account page: at which browsers I am signed in, which apps may act for me, and a button to end each.

use std::collections::BTreeMap;

use axum::{
    extract::{Request, State},
    response::Response,
};
use rust_i18n::t;
use uuid::Uuid;

use super::{
    browser_name,
    error::PageError,
    flow, form, render,
    views::{Account, AppAccess, Moment, ScopeLine, Session},
    words,
};
use crate::{
    audit::{Actor, AuditEvent, AuditName},
    clock::Timestamp,
    error::Result,
    oauth::{Client, ClientId, OAuthError, RedirectUri, ReturnAddress, Scope},
    server::Server,
    store::{browser_sessions::BrowserSession, consents::WithdrawConsent},
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        page::Page,
        session::{self, Browser},
    },
};

/// `GET /account`
pub(crate) async fn get(State(server): State<Server>, page: Page, browser: Browser) -> Result<Response, PageError> {
    let Some(current) = &browser.session else { return Ok(see_other("/login")?) };
    let Some(person) = server.store().person(current.person_id).await? else { return Ok(see_other("/login")?) };
    let sessions = server.store().browser_sessions_of(person.id, server.clock().now()).await?;
    let sessions: Vec<SessionText> = sessions.iter().map(|session| SessionText::of(&page, session, session.id == current.id)).collect();
    let accesses = accesses(&server, &page, person.id).await?;
    let scopes: Vec<Vec<ScopeLine<'_>>> = accesses.iter().map(|access| access.lines(&server, &page)).collect();
    let account = Account {
        page: &page,
        person: &person.email,
        apps: &accesses.iter().zip(&scopes).map(|(access, scopes)| access.view(scopes)).collect::<Vec<_>>(),
        sessions: &sessions.iter().map(SessionText::view).collect::<Vec<_>>(),
    };
    Ok(render(&account, ContentPolicy::Account)?)
}

/// `POST /account/sign-out`
pub(crate) async fn sign_out(State(server): State<Server>, caller: Caller, mut browser: Browser) -> Result<Response, PageError> {
    browser.sign_out(&server, &caller).await?;
    Ok(see_other("/signed-out")?)
}

/// `POST /account/sessions/end`
pub(crate) async fn end_session(
    State(server): State<Server>,
    caller: Caller,
    mut browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let Some(current) = &browser.session else { return Ok(see_other("/login")?) };
    let id: Uuid = params.required("session")?.parse().map_err(|_| OAuthError::invalid_request("'session' is not the id of a session."))?;
    if id == current.id {
        browser.sign_out(&server, &caller).await?;
        return Ok(see_other("/signed-out")?);
    }
    session::end(&server, current.person_id, id, &caller).await?;
    Ok(see_other("/account")?)
}

/// `POST /account/apps/end`
pub(crate) async fn end_app(
    State(server): State<Server>,
    caller: Caller,
    browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let Some(current) = &browser.session else { return Ok(see_other("/login")?) };
    let client_id =
        ClientId::parse(params.required("client_id")?).map_err(|_| OAuthError::invalid_request("'client_id' is not the id of an app."))?;
    let person_id = current.person_id;
    let event = AuditEvent::new(server.clock().now(), AuditName::ConsentWithdrawn, Actor::Person(person_id), caller.origin)
        .about(person_id)
        .of_client(&client_id);
    server.store().write(WithdrawConsent { person_id, client_id, event }).await?;
    Ok(see_other("/account")?)
}

/// A time in the two forms that a page needs.
struct MomentText {
    rfc3339: String,
    text: String,
}

impl MomentText {
    fn of(page: &Page, at: Timestamp) -> Self {
        Self { rfc3339: at.to_string(), text: words::moment(page.lang, at) }
    }

    fn view(&self) -> Moment<'_> {
        Moment { rfc3339: &self.rfc3339, text: &self.text }
    }
}

struct SessionText {
    id: String,
    browser: Option<String>,
    signed_in: MomentText,
    last_seen: MomentText,
    current: bool,
}

impl SessionText {
    fn of(page: &Page, session: &BrowserSession, current: bool) -> Self {
        let browser = match session.user_agent.as_deref().map_or((None, None), browser_name::of) {
            (Some(browser), Some(system)) => {
                Some(t!("account.browser_on", locale = page.lang, browser = browser, system = system).into_owned())
            }
            (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
            (None, None) => None,
        };
        Self {
            id: session.id.to_string(),
            browser,
            signed_in: MomentText::of(page, session.auth_time),
            last_seen: MomentText::of(page, session.last_seen_at),
            current,
        }
    }

    fn view(&self) -> Session<'_> {
        Session {
            id: &self.id,
            browser: self.browser.as_deref(),
            signed_in: self.signed_in.view(),
            last_seen: self.last_seen.view(),
            current: self.current,
        }
    }
}

/// An app that the person allowed something, or that holds a grant without being asked for (first-party).
struct Access {
    client: Client,
    /// The first of the places where the app lives.
    returns_to: ReturnAddress,
    scope: Scope,
    since: Timestamp,
    last_used: Option<Timestamp>,
    since_text: MomentText,
    last_used_text: Option<MomentText>,
}

/// Consents and live grants together, by client.
async fn accesses(server: &Server, page: &Page, person_id: Uuid) -> Result<Vec<Access>> {
    let mut by_client: BTreeMap<String, (Scope, Timestamp, Option<Timestamp>)> = BTreeMap::new();
    for consent in server.store().consents_of(person_id).await? {
        by_client.insert(consent.client_id.to_string(), (consent.scope, consent.given_at, None));
    }
    for grant in server.store().live_grants_of(person_id, server.clock().now()).await? {
        let entry = by_client.entry(grant.client_id).or_insert_with(|| (Scope::default(), grant.created_at, None));
        entry.0 = entry.0.joined_with(&grant.scope);
        entry.1 = entry.1.min(grant.created_at);
        entry.2 = entry.2.max(Some(grant.last_used_at));
    }
    let mut accesses = Vec::new();
    for (client_id, (scope, since, last_used)) in by_client {
        let Ok(client_id) = ClientId::parse(&client_id) else { continue };
        let Some(client) = server.store().client(&client_id).await? else { continue };
        let Some(returns_to) = client.redirect_uris.first().map(RedirectUri::return_address) else { continue };
        let since_text = MomentText::of(page, since);
        let last_used_text = last_used.map(|at| MomentText::of(page, at));
        accesses.push(Access { client, returns_to, scope, since, last_used, since_text, last_used_text });
    }
    accesses.sort_by_key(|access| std::cmp::Reverse(access.last_used.max(Some(access.since))));
    Ok(accesses)
}

impl Access {
    fn lines<'a>(&'a self, server: &'a Server, page: &Page) -> Vec<ScopeLine<'a>> {
        let configured = &server.config().scopes;
        self.scope.tokens().map(|token| ScopeLine::new(page, token, configured.get(token).map(String::as_str))).collect()
    }

    fn view<'a>(&'a self, scopes: &'a [ScopeLine<'a>]) -> AppAccess<'a> {
        AppAccess {
            client_id: self.client.id.as_str(),
            app: flow::app(&self.client, &self.returns_to),
            scopes,
            since: self.since_text.view(),
            last_used: self.last_used_text.as_ref().map(MomentText::view),
        }
    }
}
