//! What each page shows: plain, borrowed values, one struct for each template.

use std::{borrow::Cow, time::Duration};

use askama::Template;
use rust_i18n::t;

use super::sentence::{Shown, sentence};
use super::words::number;
use crate::accounts::chosen_password::UnacceptablePassword;
use crate::response_modes::ByHand;
use crate::web::assets::asset;
use crate::web::page::Page;

/// An app as its developer described it: nothing here is ours.
#[derive(Clone, Copy)]
pub(crate) struct App<'a> {
    /// `client_name`, or the `client_id` where there is none.
    pub(crate) name: &'a str,
    pub(crate) returns_to: Place<'a>,
}

impl App<'_> {
    /// The letter that stands for the app.
    fn monogram(&self) -> String {
        let letter = self.name.chars().find(|c| c.is_alphanumeric());
        letter.map_or_else(|| "·".to_owned(), |letter| letter.to_uppercase().collect())
    }

    fn is_on_this_device(&self) -> bool {
        matches!(self.returns_to, Place::ThisDevice(_))
    }
}

/// Where the person is sent back.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The host of an `https` redirect URI.
    Host(&'a str),
    /// A loopback host or a private-use scheme: any program here could be behind it (RFC 8252 §8.6).
    ThisDevice(&'a str),
}

impl Place<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Host(text) | Self::ThisDevice(text) => text,
        }
    }
}

/// A time, for machines and for people.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) rfc3339: &'a str,
    pub(crate) text: &'a str,
}

/// A scope and what it allows in plain words.
pub(crate) struct ScopeLine<'a> {
    pub(crate) name: &'a str,
    /// Without one, the page shows the name.
    pub(crate) sentence: Option<Cow<'a, str>>,
}

impl<'a> ScopeLine<'a> {
    /// `configured` is the operator's sentence for this scope and goes before ours.
    pub(crate) fn new(page: &Page, name: &'a str, configured: Option<&'a str>) -> Self {
        let sentence = configured.map(Cow::Borrowed).or_else(|| well_known(page.lang, name));
        Self { name, sentence }
    }
}

/// The scopes of `OpenID` Connect Core §5.4 and §11, in our words.
fn well_known(lang: &str, scope: &str) -> Option<Cow<'static, str>> {
    match scope {
        "openid" => Some(t!("scope.openid", locale = lang)),
        "profile" => Some(t!("scope.profile", locale = lang)),
        "email" => Some(t!("scope.email", locale = lang)),
        "address" => Some(t!("scope.address", locale = lang)),
        "phone" => Some(t!("scope.phone", locale = lang)),
        "offline_access" => Some(t!("scope.offline_access", locale = lang)),
        _ => None,
    }
}

/// `GET /login`, and the answer to a `POST` that signed nobody in.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct Login<'a> {
    pub(crate) page: &'a Page,
    /// Without one, the person goes on to the account page.
    pub(crate) app: Option<App<'a>>,
    /// The sealed authorization request.
    pub(crate) request: Option<&'a str>,
    pub(crate) person: SigningIn<'a>,
    /// Where people may make an account.
    pub(crate) sign_up_url: Option<&'a str>,
    pub(crate) problem: Option<SignInProblem>,
}

/// Whose password is asked for.
pub(crate) enum SigningIn<'a> {
    /// Whoever it is; `email` is what was typed before, or hinted.
    Anyone { email: &'a str },
    /// Who is signed in already, once more.
    Again { email: &'a str, other_account_url: &'a str },
}

impl SigningIn<'_> {
    fn email(&self) -> &str {
        match self {
            Self::Anyone { email } | Self::Again { email, .. } => email,
        }
    }
}

/// Why nobody was signed in. It never tells whether the e-mail is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInProblem {
    WrongCredentials,
    Busy,
    Throttled(Wait),
}

/// How long to wait, rounded up to what people reckon in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Tens of seconds below a minute.
    Seconds(u64),
    Minute,
    Minutes(u64),
}

impl From<Duration> for Wait {
    fn from(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        match seconds {
            0..=50 => Self::Seconds(seconds.max(1).next_multiple_of(10)),
            51..=60 => Self::Minute,
            _ => Self::Minutes(seconds.div_ceil(60)),
        }
    }
}

impl Login<'_> {
    fn is_wrong(&self) -> bool {
        self.problem == Some(SignInProblem::WrongCredentials)
    }
}

/// `GET /signup`, and the answer to a `POST` that made no account.
#[derive(Template)]
#[template(path = "signup.html")]
pub(crate) struct Signup<'a> {
    pub(crate) page: &'a Page,
    /// Without one, the person goes on to the account page.
    pub(crate) app: Option<App<'a>>,
    /// The sealed authorization request.
    pub(crate) request: Option<&'a str>,
    /// What was typed before, or hinted.
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) sign_in_url: &'a str,
    /// How many characters a password has.
    pub(crate) minimum_length: usize,
    pub(crate) problem: Option<SignUpProblem>,
}

/// Why no account was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignUpProblem {
    Email,
    Name,
    Password(UnacceptablePassword),
    /// Not with this e-mail.
    Refused,
    Busy,
    Throttled,
}

impl SignUpProblem {
    fn text(self, lang: &str) -> Cow<'static, str> {
        match self {
            Self::Email => t!("signup.bad_email", locale = lang),
            Self::Name => t!("signup.bad_name", locale = lang),
            Self::Password(UnacceptablePassword::Short { minimum }) => t!("signup.short_password", locale = lang, min = minimum),
            Self::Password(UnacceptablePassword::Long) => t!("signup.long_password", locale = lang),
            Self::Password(UnacceptablePassword::Common) => t!("signup.common_password", locale = lang),
            Self::Password(UnacceptablePassword::LikeEmail) => t!("signup.password_like_email", locale = lang),
            Self::Refused => t!("signup.refused", locale = lang),
            Self::Busy => t!("signup.busy", locale = lang),
            Self::Throttled => t!("signup.throttled", locale = lang),
        }
    }

    /// Whether the person must change something, rather than wait.
    fn is_danger(self) -> bool {
        !matches!(self, Self::Busy | Self::Throttled)
    }
}

impl Signup<'_> {
    fn is(&self, problem: SignUpProblem) -> bool {
        self.problem == Some(problem)
    }

    fn is_password_wrong(&self) -> bool {
        matches!(self.problem, Some(SignUpProblem::Password(_)))
    }

    fn is_email_wrong(&self) -> bool {
        self.is(SignUpProblem::Email) || self.is(SignUpProblem::Refused)
    }
}

/// `GET /select-account`
#[derive(Template)]
#[template(path = "select_account.html")]
pub(crate) struct SelectAccount<'a> {
    pub(crate) page: &'a Page,
    pub(crate) app: App<'a>,
    /// The e-mail of who is signed in.
    pub(crate) person: &'a str,
    pub(crate) other_account_url: &'a str,
    /// The sealed authorization request.
    pub(crate) request: &'a str,
    /// Whose account it shows; not the session's secret.
    pub(crate) session: &'a str,
}

/// `GET /consent`
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent<'a> {
    pub(crate) page: &'a Page,
    pub(crate) app: App<'a>,
    /// The e-mail or the name of who is signed in.
    pub(crate) person: &'a str,
    pub(crate) other_account_url: &'a str,
    pub(crate) scopes: &'a [ScopeLine<'a>],
    /// Where the app uses it, as far as the operator named that; else empty.
    pub(crate) apis: &'a str,
    pub(crate) lasts: Lasts,
    /// Whether nobody here knows the app.
    pub(crate) is_self_registered: bool,
    /// Where the app tells more, by the names of its members (RFC 7591 §2).
    pub(crate) links: &'a [(&'static str, &'a str)],
    /// The sealed authorization request.
    pub(crate) request: &'a str,
    /// What binds the form to session, person and request.
    pub(crate) bound: &'a str,
}

/// What a link of the app's is called.
fn link_text(member: &str, lang: &str) -> Cow<'static, str> {
    match member {
        "policy_uri" => t!("consent.policy", locale = lang),
        "tos_uri" => t!("consent.terms", locale = lang),
        "logo_uri" => t!("consent.logo", locale = lang),
        _ => t!("consent.home", locale = lang),
    }
}

/// An error of an app that nobody here knows: whoever wants to, goes back to it.
#[derive(Template)]
#[template(path = "refused.html")]
pub(crate) struct Refused<'a> {
    pub(crate) page: &'a Page,
    /// Where the way leads.
    pub(crate) host: &'a str,
    /// By the person.
    pub(crate) is_denied: bool,
    pub(crate) remedy: &'a str,
    pub(crate) way: ByHand<'a>,
}

/// For how long access is given.
#[derive(Clone, Copy)]
pub(crate) enum Lasts {
    UntilSignOut,
    /// `days` is the absolute lifetime of refresh tokens, rounded up.
    UntilRemoved {
        days: u64,
    },
}

/// A fixed sentence, the id under which the log knows more, and for developers what to change.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage<'a> {
    pub(crate) page: &'a Page,
    pub(crate) kind: ErrorKind,
    pub(crate) id: &'a str,
    pub(crate) remedy: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The app's request is wrong and the person is not sent back.
    BadRequest,
    /// The sealed request or the form is too old.
    Expired,
    /// The form was made for another session or person.
    OtherAccount,
    /// `Sec-Fetch-Site` or `Origin` tell of another site, or are both missing.
    CrossSite,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// A limit of `rate_limit` was reached.
    TooMany,
    Busy,
    Internal,
}

impl ErrorKind {
    fn title(self, lang: &str) -> Cow<'static, str> {
        match self {
            Self::BadRequest => t!("error.bad_request.title", locale = lang),
            Self::Expired => t!("error.expired.title", locale = lang),
            Self::OtherAccount => t!("error.other_account.title", locale = lang),
            Self::CrossSite => t!("error.cross_site.title", locale = lang),
            Self::NotFound => t!("error.not_found.title", locale = lang),
            Self::MethodNotAllowed => t!("error.method_not_allowed.title", locale = lang),
            Self::TooLarge => t!("error.too_large.title", locale = lang),
            Self::TooMany => t!("error.too_many.title", locale = lang),
            Self::Busy => t!("error.busy.title", locale = lang),
            Self::Internal => t!("error.internal.title", locale = lang),
        }
    }

    fn text(self, lang: &str) -> Cow<'static, str> {
        match self {
            Self::BadRequest => t!("error.bad_request.text", locale = lang),
            Self::Expired => t!("error.expired.text", locale = lang),
            Self::OtherAccount => t!("error.other_account.text", locale = lang),
            Self::CrossSite => t!("error.cross_site.text", locale = lang),
            Self::NotFound => t!("error.not_found.text", locale = lang),
            Self::MethodNotAllowed => t!("error.method_not_allowed.text", locale = lang),
            Self::TooLarge => t!("error.too_large.text", locale = lang),
            Self::TooMany => t!("error.too_many.text", locale = lang),
            Self::Busy => t!("error.busy.text", locale = lang),
            Self::Internal => t!("error.internal.text", locale = lang),
        }
    }

    /// Whether the person was on a page of ours rather than on the way from an app.
    fn leads_home(self) -> bool {
        matches!(self, Self::NotFound | Self::MethodNotAllowed | Self::CrossSite)
    }
}

/// `GET /account`
#[derive(Template)]
#[template(path = "account.html")]
pub(crate) struct Account<'a> {
    pub(crate) page: &'a Page,
    /// The e-mail or the name of who is signed in.
    pub(crate) person: &'a str,
    pub(crate) apps: &'a [AppAccess<'a>],
    pub(crate) app_turns: Turns,
    pub(crate) sessions: &'a [Session<'a>],
    pub(crate) session_turns: Turns,
}

/// Links to the rest of a long list.
#[derive(Default)]
pub(crate) struct Turns {
    newer: Option<String>,
    older: Option<String>,
}

impl Turns {
    /// From part `number`, where the first is 1.
    pub(crate) fn new(number: u32, more: bool, url: impl Fn(u32) -> String) -> Self {
        Self { newer: (number > 1).then(|| url(number - 1)), older: more.then(|| url(number + 1)) }
    }

    fn is_needed(&self) -> bool {
        self.newer.is_some() || self.older.is_some()
    }
}

/// An app that may act for the person.
pub(crate) struct AppAccess<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) app: App<'a>,
    pub(crate) scopes: &'a [ScopeLine<'a>],
    pub(crate) since: Moment<'a>,
    pub(crate) last_used: Option<Moment<'a>>,
    /// How many grants are live.
    pub(crate) grants: u64,
    /// Where the app begins a sign-in.
    pub(crate) open_url: Option<&'a str>,
}

/// A browser in which the person is signed in.
pub(crate) struct Session<'a> {
    /// What the form sends back to end it; not the session's secret.
    pub(crate) id: &'a str,
    /// Such as "Firefox on Linux", where its `User-Agent` tells.
    pub(crate) browser: Option<&'a str>,
    pub(crate) signed_in: Moment<'a>,
    pub(crate) last_seen: Moment<'a>,
    /// Whether this page is shown in it.
    pub(crate) current: bool,
}

impl Session<'_> {
    fn browser_name(&self, lang: &str) -> Cow<'_, str> {
        self.browser.map_or_else(|| t!("account.unknown_browser", locale = lang), Cow::Borrowed)
    }
}

mod signing_out;

pub(crate) use signing_out::{Onward, SignOut, SignedOut};

#[cfg(test)]
mod tests;
