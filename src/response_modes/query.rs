//! `query`: a redirect with the response behind the URI's own query (OAuth 2.1 §4.1.2).

use std::borrow::Cow;

use axum::response::Response;

use crate::{
    error::Result,
    oauth::{ReturnAddress, params},
    web::headers::see_other,
};

pub(super) fn send(return_address: &ReturnAddress, params: &[(&'static str, &str)]) -> Result<Response> {
    see_other(&url(return_address, params))
}

pub(super) fn url(return_address: &ReturnAddress, params: &[(&'static str, &str)]) -> String {
    return_address.with_query(&params::encode(params.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)))))
}
