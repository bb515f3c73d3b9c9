//! What a person sees after signing out: that it is done, clients' pages in frames (`OpenID` Front-Channel Logout §3), and the way
//! back to the app that asked (RP-Initiated Logout §3).

use std::{collections::BTreeSet, time::Duration};

use axum::{extract::RawQuery, response::Response};

use super::{error::PageError, render, views};
use crate::{
    error::Result,
    logout::{WayBack, frontchannel},
    oauth::{Params, WebOrigin},
    server::Server,
    store::session_clients::LogoutNotice,
    web::{
        headers::{ContentPolicy, see_other, with_frames, with_refresh},
        page::Page,
        session::Browser,
    },
};

/// How long clients' pages in frames have before the browser goes on.
const FRAMES_HAVE: Duration = Duration::from_secs(3);

/// What was just done at this browser.
#[derive(Clone, Copy)]
pub(super) struct SignedOut<'a> {
    /// Of every browser, not of this one alone.
    pub everywhere: bool,
    /// The clients of the session that ended here.
    pub notices: &'a [LogoutNotice],
    pub onward: Option<Onward<'a>>,
}

/// How the person goes on.
#[derive(Clone, Copy)]
pub(super) enum Onward<'a> {
    ByItself(&'a WayBack),
    ByLink(&'a WayBack),
}

impl<'a> Onward<'a> {
    fn way_back(self) -> &'a WayBack {
        match self {
            Self::ByItself(way_back) | Self::ByLink(way_back) => way_back,
        }
    }
}

impl<'a> SignedOut<'a> {
    /// Of this browser, with nowhere to go on to.
    pub(super) fn here(notices: &'a [LogoutNotice]) -> Self {
        Self { everywhere: false, notices, onward: None }
    }
}

/// `GET /signed-out`
pub(crate) async fn get(RawQuery(query): RawQuery, page: Page, browser: Browser) -> Result<Response, PageError> {
    // Whoever links here must not make people believe it.
    if browser.session.is_some() {
        return Ok(see_other("/account")?);
    }
    let everywhere = Params::parse(&query.unwrap_or_default()).get("everywhere").is_some();
    Ok(render(&views::SignedOut { page: &page, everywhere, frames: &[], way_back: None }, ContentPolicy::Flow)?)
}

/// Goes on after signing out: back to the app or to our own page, unless clients' pages must be shown first.
pub(super) async fn follow(server: &Server, page: &Page, done: &SignedOut<'_>) -> Result<Response> {
    let frames = frontchannel::frames(server, done.notices).await?;
    match done.onward {
        Some(Onward::ByItself(way_back)) if frames.is_empty() => return see_other(&way_back.url()),
        None if frames.is_empty() && done.everywhere => return see_other("/signed-out?everywhere=1"),
        None if frames.is_empty() => return see_other("/signed-out"),
        _ => {}
    }
    let url = done.onward.map(|onward| onward.way_back().url()).unwrap_or_default();
    let way_back = done.onward.map(|onward| views::Onward { url: &url, host: onward.way_back().display_host() });
    let view = views::SignedOut { page, everywhere: done.everywhere, frames: &frames, way_back };
    let mut response = render(&view, ContentPolicy::Flow)?;
    if !frames.is_empty() {
        let origins: BTreeSet<&WebOrigin> = frames.iter().map(|frame| &frame.origin).collect();
        response = with_frames(response, &origins)?;
    }
    match done.onward {
        Some(Onward::ByItself(_)) => with_refresh(response, FRAMES_HAVE, &url),
        _ => Ok(response),
    }
}
