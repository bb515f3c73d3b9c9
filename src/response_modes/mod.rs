//! How an authorization response travels (OAuth 2.1 §4.1.2): one file per mode.

pub(crate) mod form_post;
mod query;

use axum::response::Response;

use crate::{
    error::Result,
    interaction::Answer,
    oauth::{Issuer, ResponseMode},
    web::{page::Page, request_log::Refused},
};

/// Sends an answer to where it may go: holding the [`crate::oauth::ReturnAddress`] in it is the permission.
pub(crate) fn send(issuer: &Issuer, page: &Page, answer: &Answer) -> Result<Response> {
    let params = params(issuer, answer);
    let mut response = match answer.reply.response_mode {
        ResponseMode::Query => query::send(&answer.reply.return_address, &params),
        ResponseMode::FormPost => form_post::send(page, &answer.reply.return_address, &params),
    }?;
    if let Err(error) = &answer.outcome {
        response.extensions_mut().insert(Refused(error.code));
    }
    Ok(response)
}

/// The way of an answer that the person takes by themselves, to a server that nobody here knows.
pub(crate) enum ByHand<'a> {
    Link(String),
    Form { action: &'a str, fields: Vec<(&'static str, &'a str)> },
}

impl<'a> ByHand<'a> {
    /// The same answer as [`send`] would send, to the same place.
    pub(crate) fn new(issuer: &'a Issuer, answer: &'a Answer) -> Self {
        let (return_address, fields) = (&answer.reply.return_address, params(issuer, answer));
        match answer.reply.response_mode {
            ResponseMode::Query => Self::Link(query::url(return_address, &fields)),
            ResponseMode::FormPost => Self::Form { action: return_address.as_str(), fields },
        }
    }
}

/// With `iss`, so that the client can tell whose answer it is (RFC 9207 §2).
fn params<'a>(issuer: &'a Issuer, answer: &'a Answer) -> Vec<(&'static str, &'a str)> {
    let mut params = match &answer.outcome {
        Ok(code) => vec![("code", code.expose())],
        Err(error) => vec![("error", error.code.as_str()), ("error_description", &error.description)],
    };
    params.extend(answer.reply.state.as_deref().map(|state| ("state", state)));
    params.push(("iss", issuer.as_str()));
    params
}
