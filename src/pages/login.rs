//! Sign-in: e-mail and password, for an app that asks or for the account page.

use std::time::Duration;

use axum::{
    extract::{RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

use super::{
    error::PageError,
    flow::Resumed,
    form, render,
    views::{Login, SignInProblem, SigningIn},
};
use crate::{
    accounts::sign_in::{self, SignIn},
    error::{Error, Result},
    interaction::{self, Next},
    oauth::Params,
    server::Server,
    store::people::Person,
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        known_device::KnownDevice,
        page::Page,
        session::Browser,
    },
};

/// `GET /login`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    let params = Params::parse(&query.unwrap_or_default());
    let resumed = match resume(&server, &page, &params).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let mut known = if params.get("another").is_none() { signed_in(&server, &browser).await? } else { None };
    if let (Some(_), Some(session)) = (&known, &browser.session) {
        let Some(resumed) = &resumed else { return Ok(see_other("/account")?) };
        match interaction::proceed(&server, &resumed.visit(&browser)).await? {
            Next::SignIn | Next::SignUp => {}
            // Someone who is signed in came back by an old link.
            next => return Ok(resumed.follow(&server, next)?),
        }
        if !interaction::is_meant(&server, &resumed.request, session).await? {
            // Who is signed in is not the one whom the client named: someone else must be.
            known = None;
        }
    }
    let hint = resumed.as_ref().and_then(|resumed| resumed.request.login_hint.as_deref());
    let form = Form {
        server: &server,
        page: &page,
        resumed: resumed.as_ref(),
        known: known.as_ref(),
        email: hint.unwrap_or_default(),
        problem: None,
    };
    Ok(form.show()?)
}

/// `POST /login`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    device: KnownDevice,
    mut browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let resumed = match resume(&server, &page, &params).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let email = params.get("email").unwrap_or_default();
    let password = params.get("password").unwrap_or_default();
    let known = signed_in(&server, &browser).await?.filter(|known| known.email == email);
    let form =
        |problem| Form { server: &server, page: &page, resumed: resumed.as_ref(), known: known.as_ref(), email, problem: Some(problem) };
    let person = match sign_in::with_password(&server, email, password, &device.0, caller.origin).await {
        Ok(SignIn::Person(person)) => person,
        Ok(SignIn::Wrong) => return Ok(form(SignInProblem::WrongCredentials).show()?),
        Ok(SignIn::Throttled(wait)) => return Ok(retry_after(form(SignInProblem::Throttled(wait.into())).show()?, wait)),
        Err(Error::Unavailable { retry_after: wait, .. }) => return Ok(retry_after(form(SignInProblem::Busy).show()?, wait)),
        Err(fault) => return Err(fault.into()),
    };
    let client_id = resumed.as_ref().map(|resumed| &resumed.request.client.id);
    if browser.sign_in(&server, &person, sign_in::AMR_PASSWORD, &caller, client_id).await?.is_none() {
        return Ok(form(SignInProblem::WrongCredentials).show()?);
    }
    let response = match &resumed {
        None => see_other("/account")?,
        Some(resumed) => {
            // An error here would take the new cookie along: the next page goes on instead.
            match interaction::proceed(&server, &resumed.visit(&browser)).await {
                Ok(next) => resumed.follow(&server, next)?,
                Err(_) => see_other(&resumed.url("/consent"))?,
            }
        }
    };
    Ok(device.keep(&server, &person.email_key, response))
}

/// RFC 9110 §10.2.3.
pub(super) fn retry_after(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, Error::seconds_of(wait).into());
    response
}

pub(super) async fn resume(server: &Server, page: &Page, params: &Params) -> Result<Option<Resumed>, Response> {
    match params.get("request") {
        None => Ok(None),
        Some(sealed) => Resumed::open(server, page, sealed).await.map(Some),
    }
}

async fn signed_in(server: &Server, browser: &Browser) -> Result<Option<Person>> {
    match &browser.session {
        None => Ok(None),
        Some(session) => server.store().person(session.person_id).await,
    }
}

/// What the form shows.
struct Form<'a> {
    server: &'a Server,
    page: &'a Page,
    resumed: Option<&'a Resumed>,
    /// Who is asked for the password once more.
    known: Option<&'a Person>,
    email: &'a str,
    problem: Option<SignInProblem>,
}

impl Form<'_> {
    fn show(&self) -> Result<Response> {
        let other_account_url = self.resumed.map_or_else(|| "/login?another=1".to_owned(), Resumed::other_account_url);
        let hints_at_another = !self.email.is_empty() && self.known.is_some_and(|known| known.email != self.email);
        let person = match self.known {
            Some(known) if !hints_at_another => SigningIn::Again { email: &known.email, other_account_url: &other_account_url },
            _ => SigningIn::Anyone { email: self.email },
        };
        let sign_up_url = self.resumed.map_or_else(|| "/signup".to_owned(), |resumed| resumed.url("/signup"));
        let page = Login {
            page: self.resumed.map_or(self.page, |resumed| &resumed.page),
            app: self.resumed.map(Resumed::app),
            request: self.resumed.map(|resumed| resumed.sealed.as_str()),
            person,
            sign_up_url: self.server.config().sign_up.open.then_some(sign_up_url.as_str()),
            problem: self.problem,
        };
        let mut response = render(&page, ContentPolicy::Flow)?.into_response();
        match self.problem {
            None => {}
            Some(SignInProblem::WrongCredentials) => *response.status_mut() = StatusCode::BAD_REQUEST,
            Some(SignInProblem::Busy) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
            Some(SignInProblem::Throttled(_)) => *response.status_mut() = StatusCode::TOO_MANY_REQUESTS,
        }
        Ok(response)
    }
}
