//! The account page: at which browsers I am signed in, which apps may act for me, and a button to end each.

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use rust_i18n::t;
use uuid::Uuid;

use super::{
    browser_name,
    error::PageError,
    flow, form, render,
    signed_out::{self, SignedOut},
    views::{Account, AppAccess, Moment, ScopeLine, Session, Turns},
    words,
};
use crate::{
    audit::{Actor, AuditEvent, AuditName},
    clock::Timestamp,
    error::Result,
    oauth::{Client, ClientId, Issuer, OAuthError, Params, RedirectUri, ReturnAddress, client::Trust},
    server::Server,
    store::{Window, accesses::Access, browser_sessions::BrowserSession, consents::WithdrawConsent},
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        page::Page,
        session::{self, Browser},
    },
};

/// How many apps, and how many sessions, one page shows.
const PER_PART: u32 = 20;
/// Nobody turns further.
const PARTS_MAX: u32 = 1_000;

/// `GET /account`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    let Some(current) = &browser.session else { return Ok(see_other("/login")?) };
    let Some(person) = server.store().person(current.person_id).await? else { return Ok(see_other("/login")?) };
    let shown = Shown::from_query(&query.unwrap_or_default());
    let now = server.clock().now();
    let mut sessions = server.store().browser_sessions_of(person.id, current.id, now, Shown::window(shown.sessions)).await?;
    let mut accesses = server.store().accesses_of(person.id, now, Shown::window(shown.apps)).await?;
    if (shown.sessions > 1 && sessions.is_empty()) || (shown.apps > 1 && accesses.is_empty()) {
        // What was there has ended meanwhile.
        return Ok(see_other("/account")?);
    }
    let (more_sessions, more_apps) = (cut(&mut sessions), cut(&mut accesses));
    let sessions: Vec<_> = sessions.iter().map(|session| SessionText::of(&page, session, session.id == current.id)).collect();
    let accesses: Vec<_> = accesses.into_iter().filter_map(|access| AccessText::of(&server, &page, access)).collect();
    let scopes: Vec<_> = accesses.iter().map(|access| access.lines(&server, &page)).collect();
    let account = Account {
        page: &page,
        person: &person.email,
        apps: &accesses.iter().zip(&scopes).map(|(access, scopes)| access.view(page.lang, scopes)).collect::<Vec<_>>(),
        app_turns: shown.app_turns(&page, more_apps),
        sessions: &sessions.iter().map(SessionText::view).collect::<Vec<_>>(),
        session_turns: shown.session_turns(&page, more_sessions),
    };
    Ok(render(&account, ContentPolicy::Account)?)
}

/// `POST /account/sign-out`
pub(crate) async fn sign_out(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    mut browser: Browser,
) -> Result<Response, PageError> {
    let notices = browser.sign_out(&server, &caller, None).await?;
    Ok(signed_out::follow(&server, &page, &SignedOut::here(&notices)).await?)
}

/// `POST /account/sign-out-everywhere`
pub(crate) async fn sign_out_everywhere(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    mut browser: Browser,
) -> Result<Response, PageError> {
    if browser.session.is_none() {
        return Ok(see_other("/login")?);
    }
    let notices = browser.sign_out_everywhere(&server, &caller).await?;
    Ok(signed_out::follow(&server, &page, &SignedOut { everywhere: true, ..SignedOut::here(&notices) }).await?)
}

/// `POST /account/sessions/end`
pub(crate) async fn end_session(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    mut browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let Some(current) = &browser.session else { return Ok(see_other("/login")?) };
    let id: Uuid = params.required("session")?.parse().map_err(|_| OAuthError::invalid_request("'session' is not the id of a session."))?;
    if id == current.id {
        let notices = browser.sign_out(&server, &caller, None).await?;
        return Ok(signed_out::follow(&server, &page, &SignedOut::here(&notices)).await?);
    }
    session::end_other(&server, current.person_id, id, &caller).await?;
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

struct AccessText {
    access: Access,
    /// The first of the places where the app lives.
    returns_to: ReturnAddress,
    since: MomentText,
    last_used: Option<MomentText>,
    open_url: Option<String>,
}

impl AccessText {
    /// Of an app that lives nowhere there is nothing: it could not have been granted anything.
    fn of(server: &Server, page: &Page, access: Access) -> Option<Self> {
        let returns_to = access.client.redirect_uris.first().map(RedirectUri::return_address)?;
        let since = MomentText::of(page, access.since);
        let last_used = access.last_used_at.map(|at| MomentText::of(page, at));
        let open_url = open_url(&server.config().issuer, &access.client, &returns_to);
        Some(Self { access, returns_to, since, last_used, open_url })
    }

    fn lines<'a>(&'a self, server: &'a Server, page: &Page) -> Vec<ScopeLine<'a>> {
        let configured = &server.config().scopes;
        self.access.scope.tokens().map(|token| ScopeLine::new(page, token, configured.get(token).map(String::as_str))).collect()
    }

    fn view<'a>(&'a self, lang: &str, scopes: &'a [ScopeLine<'a>]) -> AppAccess<'a> {
        AppAccess {
            client_id: self.access.client.id.as_str(),
            app: flow::app(&self.access.client, &self.returns_to, lang),
            scopes,
            since: self.since.view(),
            last_used: self.last_used.as_ref().map(MomentText::view),
            grants: self.access.grants,
            open_url: self.open_url.as_deref(),
        }
    }
}

/// Where the app begins a sign-in with us (`OpenID` Core §4). A client that registered itself leads only to the host that is shown.
/// Whose account it is stays here: the app learns it by the sign-in.
fn open_url(issuer: &Issuer, client: &Client, returns_to: &ReturnAddress) -> Option<String> {
    let mut url =
        url::Url::parse(client.metadata.initiate_login_uri.as_deref()?).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let is_shown = &url[url::Position::BeforeHost..url::Position::AfterPort] == returns_to.display_host();
    if client.trust == Trust::SelfRegistered && !is_shown {
        return None;
    }
    url.query_pairs_mut().append_pair("iss", issuer.as_str());
    Some(url.into())
}

/// Which part of each list is shown; the first is 1.
#[derive(Clone, Copy)]
struct Shown {
    apps: u32,
    sessions: u32,
}

impl Shown {
    fn from_query(query: &str) -> Self {
        let params = Params::parse(query);
        let number =
            |name| params.get(name).and_then(|text| text.parse().ok()).filter(|number| (1..=PARTS_MAX).contains(number)).unwrap_or(1);
        Self { apps: number("apps"), sessions: number("sessions") }
    }

    /// One more than are shown, which tells whether there are others behind.
    fn window(part: u32) -> Window {
        Window { start: (part - 1) * PER_PART, length: PER_PART + 1 }
    }

    fn url(self, page: &Page) -> String {
        format!("{}/account?apps={}&sessions={}", page.base, self.apps, self.sessions)
    }

    fn app_turns(self, page: &Page, more: bool) -> Turns {
        Turns::new(self.apps, more, |apps| format!("{}#apps-title", Self { apps, ..self }.url(page)))
    }

    fn session_turns(self, page: &Page, more: bool) -> Turns {
        Turns::new(self.sessions, more, |sessions| format!("{}#sessions-title", Self { sessions, ..self }.url(page)))
    }
}

/// Cuts the one away that only tells of more.
fn cut<T>(items: &mut Vec<T>) -> bool {
    let more = items.len() > PER_PART as usize;
    items.truncate(PER_PART as usize);
    more
}
