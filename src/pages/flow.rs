//! From page to page, and back to the client.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use uuid::Uuid;

use super::{
    error::PageError,
    render,
    views::{App, ErrorKind, Place, Refused},
};
use crate::{
    clock::Timestamp,
    error::Result,
    interaction::{self, Answer, Next, Pending, Refusal, Visit},
    oauth::{AuthorizationRequest, Client, ErrorCode, Params, ReturnAddress},
    response_modes::{self, ByHand},
    server::Server,
    store::browser_sessions::BrowserSession,
    web::{
        headers::{ContentPolicy, see_other},
        page::Page,
        session::Browser,
    },
};

/// A sealed request that was opened and checked again.
pub(super) struct Resumed {
    pub request: AuthorizationRequest,
    pub asked_at: Timestamp,
    /// At which session the person chose to go on with its account.
    chosen: Option<Uuid>,
    /// As it came, for the next form.
    pub sealed: String,
    /// How it is shown. `ui_locales` (`OpenID` Core §3.1.2.1) chooses its language before the browser does.
    pub page: Page,
}

impl Resumed {
    /// Opens the parameter and validates the request anew: client and consent may have changed meanwhile.
    pub(super) async fn open(server: &Server, page: &Page, sealed: &str) -> Result<Self, Response> {
        let pending = Pending::open(server, sealed).await.map_err(|error| PageError::from(error).into_response())?;
        let Ok(Pending { params, asked_at, chosen }) = pending else { return Err(PageError::of(ErrorKind::Expired).into_response()) };
        let request = validated(server, page, &params).await?;
        let page = page.in_one_of(request.ui_locales());
        Ok(Self { request, asked_at, chosen, sealed: sealed.to_owned(), page })
    }

    /// Seals a request that was just checked.
    async fn begun(server: &Server, page: &Page, request: AuthorizationRequest, asked_at: Timestamp) -> Result<Self> {
        let sealed = Pending { params: request.params.clone(), asked_at, chosen: None }.seal(server).await?;
        let page = page.in_one_of(request.ui_locales());
        Ok(Self { request, asked_at, chosen: None, sealed, page })
    }

    /// The person chose to go on with the account of this session (`OpenID` Core §3.1.2.1, `select_account`).
    pub(super) async fn with_account_of(self, server: &Server, session: &BrowserSession) -> Result<Self> {
        let chosen = Some(session.id);
        let sealed = Pending { params: self.request.params.clone(), asked_at: self.asked_at, chosen }.seal(server).await?;
        Ok(Self { chosen, sealed, ..self })
    }

    pub(super) fn visit<'a>(&'a self, browser: &'a Browser) -> Visit<'a> {
        Visit { request: &self.request, asked_at: self.asked_at, session: browser.session.as_ref(), chosen: self.chosen }
    }

    pub(super) fn app(&self) -> App<'_> {
        app(&self.request.client, &self.request.reply.return_address, self.page.lang)
    }

    /// Where the page for this step is.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{path}?request={}", self.sealed)
    }

    /// Where someone else can sign in to the same app.
    pub(super) fn other_account_url(&self) -> String {
        format!("{}&another=1", self.url("/login"))
    }

    /// Goes to the page of the next step, or answers the client.
    pub(super) fn follow(&self, server: &Server, next: Next) -> Result<Response> {
        match next {
            Next::SignIn => see_other(&self.url("/login")),
            Next::SignUp => see_other(&self.url("/signup")),
            Next::SelectAccount => see_other(&self.url("/select-account")),
            Next::AskConsent(_) => see_other(&self.url("/consent")),
            Next::Answer(answer) => send(server, &self.page, &answer),
        }
    }
}

/// Sends the client its answer; an error of a client that anyone could have registered is left to the person.
fn send(server: &Server, page: &Page, answer: &Answer) -> Result<Response> {
    let issuer = &server.config().issuer;
    match &answer.outcome {
        Err(error) if answer.reply.errors_by_hand => {
            let host = answer.reply.return_address.display_host();
            let is_denied = error.code == ErrorCode::AccessDenied;
            let mut response = render(
                &Refused { page, host, is_denied, remedy: &error.description, way: ByHand::new(issuer, answer) },
                ContentPolicy::Flow,
            )?;
            *response.status_mut() = if is_denied { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            Ok(response)
        }
        _ => response_modes::send(issuer, page, answer),
    }
}

/// What people are told of an app in their language: its name, and where it lives.
/// Of a client that any program on the person's device could pretend to be, with a word of caution.
pub(super) fn app<'a>(client: &'a Client, address: &'a ReturnAddress, lang: &str) -> App<'a> {
    let host = address.display_host();
    let name = client.metadata.in_language("client_name", lang).unwrap_or(&client.name);
    App { name, returns_to: if client.can_skip_consent(address) { Place::Host(host) } else { Place::ThisDevice(host) } }
}

/// A request that follows every rule, or the response that says which it breaks, to whom it may be said.
async fn validated(server: &Server, page: &Page, params: &Params) -> Result<AuthorizationRequest, Response> {
    match interaction::validate(server, params).await {
        Ok(Ok(request)) => Ok(request),
        Ok(Err(Refusal::Page(error))) => Err(PageError::for_developer(error).into_response()),
        Ok(Err(Refusal::Reply(reply, error))) => {
            let answer = Answer { reply, outcome: Err(error) };
            Err(send(server, page, &answer).unwrap_or_else(|error| PageError::from(error).into_response()))
        }
        Err(error) => Err(PageError::from(error).into_response()),
    }
}

/// Takes up a new authorization request: the authorization endpoint's whole work.
pub(crate) async fn begin(server: &Server, page: &Page, params: &Params, browser: &Browser) -> Result<Response, PageError> {
    let request = match validated(server, page, params).await {
        Ok(request) => request,
        Err(response) => return Ok(response),
    };
    let asked_at = server.clock().now();
    let visit = Visit { request: &request, asked_at, session: browser.session.as_ref(), chosen: None };
    let next = interaction::proceed(server, &visit).await?;
    if let Next::Answer(answer) = &next {
        return Ok(send(server, &page.in_one_of(request.ui_locales()), answer)?);
    }
    Ok(Resumed::begun(server, page, request, asked_at).await?.follow(server, next)?)
}

/// Takes up a request that another site's page posted, to which no browser adds our cookies (`SameSite=Lax`). It is checked
/// as any other; who is signed in is seen by the `GET` to which this leads.
pub(crate) async fn begin_by_post(server: &Server, page: &Page, params: &Params) -> Result<Response, PageError> {
    let request = match validated(server, page, params).await {
        Ok(request) => request,
        Err(response) => return Ok(response),
    };
    let begun = Resumed::begun(server, page, request, server.clock().now()).await?;
    // The page that goes on by itself where nobody must be asked.
    Ok(see_other(&begun.url("/consent"))?)
}
