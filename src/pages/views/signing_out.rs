//! Pages around signing out.

use std::borrow::Cow;

use askama::Template;
use rust_i18n::t;

use super::sentence;
use crate::{
    logout::frontchannel::Frame,
    web::{assets::asset, page::Page},
};

/// After signing out.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOut<'a> {
    pub(crate) page: &'a Page,
    /// Of every browser, not of this one alone.
    pub(crate) everywhere: bool,
    /// Pages of clients that log the person out there.
    pub(crate) frames: &'a [Frame],
    pub(crate) way_back: Option<Onward<'a>>,
}

/// Where a person goes on after signing out.
#[derive(Clone, Copy)]
pub(crate) struct Onward<'a> {
    pub(crate) url: &'a str,
    /// What they can recognise of it.
    pub(crate) host: &'a str,
}

/// Whether to sign out, where only the person can say.
#[derive(Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOut<'a> {
    pub(crate) page: &'a Page,
    /// The name of the app that asks, if one is known.
    pub(crate) app: Option<&'a str>,
    /// The e-mail of who is signed in.
    pub(crate) person: &'a str,
    /// Where they would go on.
    pub(crate) returns_to: Option<&'a str>,
    /// The sealed logout request.
    pub(crate) request: &'a str,
    /// What binds the form to session, person and request.
    pub(crate) bound: &'a str,
    /// What the app's developer must change.
    pub(crate) remedy: Option<&'a str>,
}

impl SignedOut<'_> {
    fn title(&self) -> Cow<'static, str> {
        if self.everywhere { t!("signed_out.everywhere", locale = self.page.lang) } else { t!("signed_out.title", locale = self.page.lang) }
    }
}
