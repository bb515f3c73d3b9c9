//! Sign-up: an account that a person makes by themselves (`OpenID` Prompt Create), where the operator lets people.

use axum::{
    extract::{RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::{
    error::PageError,
    flow::Resumed,
    form,
    login::{resume, retry_after},
    render,
    views::{SignUpProblem, Signup},
};
use crate::{
    accounts::{
        password::Password,
        sign_in,
        sign_up::{self, Newcomer, SignUp},
    },
    error::{Error, Result},
    interaction,
    oauth::{Email, Params, client::display_name},
    server::Server,
    web::{
        caller::Caller,
        headers::{ContentPolicy, see_other},
        known_device::KnownDevice,
        page::Page,
        session::Browser,
    },
};

/// `GET /signup`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    if !server.config().sign_up.open {
        return Err(PageError::not_found());
    }
    let params = Params::parse(&query.unwrap_or_default());
    let resumed = match resume(&server, &page, &params).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    if resumed.is_none() && browser.session.is_some() {
        return Ok(see_other("/account")?);
    }
    let hint = resumed.as_ref().and_then(|resumed| resumed.request.login_hint.as_deref());
    let minimum_length = server.config().passwords.minimum_length;
    Ok(Form { page: &page, resumed: resumed.as_ref(), minimum_length, email: hint.unwrap_or_default(), name: "" }.show(None)?)
}

/// `POST /signup`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    page: Page,
    device: KnownDevice,
    mut browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    if !server.config().sign_up.open {
        return Err(PageError::not_found());
    }
    let params = form(&server, request).await?;
    let resumed = match resume(&server, &page, &params).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let (email, name) = (params.get("email").unwrap_or_default(), params.get("name").unwrap_or_default());
    let minimum_length = server.config().passwords.minimum_length;
    let form = Form { page: &page, resumed: resumed.as_ref(), minimum_length, email, name };
    let newcomer = match read(&server, &params) {
        Ok(newcomer) => newcomer,
        Err(problem) => return Ok(form.show(Some(problem))?),
    };
    let client_id = resumed.as_ref().map(|resumed| &resumed.request.client.id);
    let person = match sign_up::with_password(&server, newcomer, client_id, caller.origin).await {
        Ok(SignUp::Person(person)) => person,
        Ok(SignUp::Refused) => return Ok(form.show(Some(SignUpProblem::Refused))?),
        Ok(SignUp::Throttled(wait)) => return Ok(retry_after(form.show(Some(SignUpProblem::Throttled))?, wait)),
        Err(Error::Unavailable { retry_after: wait, .. }) => return Ok(retry_after(form.show(Some(SignUpProblem::Busy))?, wait)),
        Err(fault) => return Err(fault.into()),
    };
    let signed_in = browser.sign_in(&server, &person, sign_in::AMR_PASSWORD, &caller, client_id).await?;
    let response = match (&resumed, signed_in) {
        (None, _) => see_other("/account")?,
        // An operator was quicker to disable them.
        (Some(resumed), None) => see_other(&resumed.url("/login"))?,
        (Some(resumed), Some(_)) => {
            // An error here would take the new cookie along: the next page goes on instead.
            match interaction::proceed(&server, &resumed.visit(&browser)).await {
                Ok(next) => resumed.follow(&server, next)?,
                Err(_) => see_other(&resumed.url("/consent"))?,
            }
        }
    };
    Ok(device.keep(&server, &person.email_key, response))
}

/// What was typed, or the first part of it that will not do.
fn read(server: &Server, params: &Params) -> Result<Newcomer, SignUpProblem> {
    let given = |name| params.get(name).unwrap_or_default();
    let email = Email::parse(given("email")).map_err(|_| SignUpProblem::Email)?;
    let name = display_name(given("name")).map_err(|_| SignUpProblem::Name)?;
    let password = Password::choose(given("password"), &server.config().passwords, &email).map_err(SignUpProblem::Password)?;
    Ok(Newcomer { email, name, password })
}

/// What the form shows.
struct Form<'a> {
    page: &'a Page,
    resumed: Option<&'a Resumed>,
    minimum_length: usize,
    email: &'a str,
    name: &'a str,
}

impl Form<'_> {
    fn show(&self, problem: Option<SignUpProblem>) -> Result<Response> {
        let sign_in_url = self.resumed.map_or_else(|| "/login".to_owned(), |resumed| resumed.url("/login"));
        let page = Signup {
            page: self.resumed.map_or(self.page, |resumed| &resumed.page),
            app: self.resumed.map(Resumed::app),
            request: self.resumed.map(|resumed| resumed.sealed.as_str()),
            email: self.email,
            name: self.name,
            sign_in_url: &sign_in_url,
            minimum_length: self.minimum_length,
            problem,
        };
        let mut response = render(&page, ContentPolicy::Flow)?.into_response();
        if let Some(problem) = problem {
            *response.status_mut() = match problem {
                SignUpProblem::Email | SignUpProblem::Name | SignUpProblem::Password(_) | SignUpProblem::Refused => StatusCode::BAD_REQUEST,
                SignUpProblem::Busy => StatusCode::SERVICE_UNAVAILABLE,
                SignUpProblem::Throttled => StatusCode::TOO_MANY_REQUESTS,
            };
        }
        Ok(response)
    }
}
