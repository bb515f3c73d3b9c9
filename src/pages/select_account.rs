//! Account choice: go on as who is signed in, or as someone else (`OpenID` Core §3.1.2.1, `prompt=select_account`).

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};

use super::{
    error::PageError,
    flow::Resumed,
    form, render,
    views::{ErrorKind, SelectAccount},
};
use crate::{
    interaction::{self, Next},
    oauth::Params,
    server::Server,
    web::{
        headers::{ContentPolicy, see_other},
        page::Page,
        session::Browser,
    },
};

/// `GET /select-account`
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
        (Next::SelectAccount, Some(session)) => {
            let person = server.store().person(session.person_id).await?;
            let page = SelectAccount {
                page: &resumed.page,
                app: resumed.app(),
                person: person.as_ref().map_or("", |person| &person.email),
                other_account_url: &resumed.other_account_url(),
                request: &resumed.sealed,
                session: &session.id.to_string(),
            };
            Ok(render(&page, ContentPolicy::Flow)?)
        }
        (next, _) => Ok(resumed.follow(&server, next)?),
    }
}

/// `POST /select-account`: the person goes on as who is signed in.
pub(crate) async fn post(State(server): State<Server>, page: Page, browser: Browser, request: Request) -> Result<Response, PageError> {
    let params = form(&server, request).await?;
    let resumed = match Resumed::open(&server, &page, params.get("request").unwrap_or_default()).await {
        Ok(resumed) => resumed,
        Err(response) => return Ok(response),
    };
    let Some(session) = &browser.session else { return Ok(see_other(&resumed.url("/login"))?) };
    if params.get("session") != Some(&session.id.to_string()) {
        // Nobody goes on with another account than the one that the form showed.
        return Err(PageError::of(ErrorKind::OtherAccount));
    }
    let resumed = resumed.with_account_of(&server, session).await?;
    let next = interaction::proceed(&server, &resumed.visit(&browser)).await?;
    Ok(resumed.follow(&server, next)?)
}
