//! What the app did last, in words: what happened, what changed, what to do about a refusal.

use std::borrow::Cow;

use rust_i18n::t;

use url::Url;

use super::access_token::DecodedToken;
use super::api_call;
use super::client::{Client, Failure, Tokens, Wire};
use super::exchange::{Exchange, masked};

/// What a button does with the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Refresh,
    Introspect,
    CallApi,
    Revoke,
}

/// A step of the tour, with all that went over the wire for it.
pub struct Step {
    pub outcome: Outcome,
    pub exchanges: Vec<Exchange>,
}

impl Step {
    /// Does what the button says; a refresh replaces the tokens.
    pub async fn take(action: Action, client: &Client, api_url: &Url, tokens: &mut Tokens) -> Self {
        let wire = client.wire();
        let outcome = match action {
            Action::Refresh => refresh(client, &wire, tokens).await,
            Action::Introspect => introspect(client, &wire, tokens).await,
            Action::CallApi => api_call::read_notes(&wire, api_url, &tokens.access_token).await,
            Action::Revoke => client.revoke(&wire, tokens).await.map(|()| Outcome::Revoked),
        };
        Self { outcome: outcome.unwrap_or_else(Outcome::Failed), exchanges: wire.into_exchanges() }
    }
}

async fn refresh(client: &Client, wire: &Wire<'_>, tokens: &mut Tokens) -> Result<Outcome, Failure> {
    let Some(refresh_token) = &tokens.refresh_token else { return Ok(Outcome::NothingToRefresh) };
    let new = client.refresh(wire, refresh_token).await?.after(tokens);
    let changes = changes(tokens, &new);
    *tokens = new;
    Ok(Outcome::Refreshed(changes))
}

async fn introspect(client: &Client, wire: &Wire<'_>, tokens: &Tokens) -> Result<Outcome, Failure> {
    let active = client.introspect(wire, &tokens.access_token).await?;
    Ok(if active { Outcome::Active } else { Outcome::Inactive })
}

pub enum Outcome {
    SignedIn,
    Refreshed(Vec<Change>),
    /// The app was given no refresh token to use.
    NothingToRefresh,
    Active,
    Inactive,
    ApiAccepted,
    /// Its answer says why.
    ApiRefused,
    Revoked,
    Failed(Failure),
}

/// One thing that a refresh may change.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub name: Cow<'static, str>,
    pub before: String,
    pub after: String,
}

impl Change {
    pub fn differs(&self) -> bool {
        self.before != self.after
    }
}

impl Outcome {
    pub fn title(&self) -> Cow<'static, str> {
        match self {
            Self::SignedIn => t!("demo.step.signed_in"),
            Self::Refreshed(_) => t!("demo.step.refreshed"),
            Self::NothingToRefresh => t!("demo.step.nothing_to_refresh"),
            Self::Active => t!("demo.step.active"),
            Self::Inactive => t!("demo.step.inactive"),
            Self::ApiAccepted => t!("demo.api_call.accepted"),
            Self::ApiRefused => t!("demo.api_call.refused"),
            Self::Revoked => t!("demo.step.revoked"),
            Self::Failed(failure) => failure.title(),
        }
    }

    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Self::SignedIn => t!("demo.step.signed_in_text"),
            Self::Refreshed(_) => t!("demo.step.refreshed_text"),
            Self::NothingToRefresh => t!("demo.step.nothing_to_refresh_text"),
            Self::Active => t!("demo.step.active_text"),
            Self::Inactive => t!("demo.step.inactive_text"),
            Self::ApiAccepted => t!("demo.api_call.accepted_text"),
            Self::ApiRefused => t!("demo.api_call.refused_text"),
            Self::Revoked => t!("demo.step.revoked_text"),
            Self::Failed(failure) => failure.advice(),
        }
    }

    /// What a refresh changed; nothing for any other step.
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Refreshed(changes) => changes,
            _ => &[],
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Failure {
    pub fn title(&self) -> Cow<'static, str> {
        match self {
            Self::Refused { error, .. } if error == "access_denied" => t!("demo.failure.denied"),
            Self::Refused { .. } => t!("demo.failure.refused"),
            Self::Unreachable => t!("demo.failure.unreachable"),
            Self::Unexpected => t!("demo.failure.unexpected"),
        }
    }

    /// What a developer can do about it.
    pub fn advice(&self) -> Cow<'static, str> {
        let error = match self {
            Self::Refused { error, .. } => error,
            Self::Unreachable => return t!("demo.failure.unreachable_text"),
            Self::Unexpected => return t!("demo.failure.unexpected_text"),
        };
        match error.as_str() {
            "access_denied" => t!("demo.failure.access_denied"),
            "invalid_client" => t!("demo.failure.invalid_client"),
            "invalid_grant" => t!("demo.failure.invalid_grant"),
            "invalid_request" => t!("demo.failure.invalid_request"),
            "invalid_scope" => t!("demo.failure.invalid_scope"),
            "unauthorized_client" => t!("demo.failure.unauthorized_client"),
            "server_error" | "temporarily_unavailable" => t!("demo.failure.temporary"),
            _ => t!("demo.failure.other"),
        }
    }

    /// `error` and `error_description` as the server sent them.
    pub fn words(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::Refused { error, description } => Some((error, description.as_deref())),
            Self::Unreachable | Self::Unexpected => None,
        }
    }
}

/// What differs between the tokens before and after a refresh, and what does not.
fn changes(before: &Tokens, after: &Tokens) -> Vec<Change> {
    let none = || t!("demo.none").into_owned();
    let change = |name, of: &dyn Fn(&Tokens) -> Option<String>| Change {
        name,
        before: of(before).unwrap_or_else(none),
        after: of(after).unwrap_or_else(none),
    };
    let claim = |name: &'static str| change(Cow::Borrowed(name), &|tokens| DecodedToken::decode(tokens.access_token.secret())?.claim(name));
    vec![
        change(t!("demo.refresh_token"), &|tokens| Some(masked(tokens.refresh_token.as_ref()?.secret()))),
        change(t!("demo.access_token"), &|tokens| Some(masked(tokens.access_token.secret()))),
        claim("jti"),
        claim("iat"),
        claim("exp"),
        change(t!("demo.scope"), &|tokens| tokens.scope.clone()),
        claim("sub"),
        claim("gid"),
        claim("auth_time"),
    ]
}

#[cfg(test)]
mod tests {
    use oauth2::{AccessToken, RefreshToken};

    use super::*;

    fn tokens(access: &str, refresh: &str) -> Tokens {
        Tokens {
            access_token: AccessToken::new(access.to_owned()),
            refresh_token: Some(RefreshToken::new(refresh.to_owned())),
            token_type: "bearer".to_owned(),
            expires_in: None,
            scope: Some("openid".to_owned()),
        }
    }

    #[test]
    fn a_refresh_shows_what_changed_and_no_token() {
        let (before, after) = (tokens("AT-one", &"1".repeat(40)), tokens("AT-two", &"2".repeat(40)));
        let changes = changes(&before, &after);
        let refresh_token = &changes[0];
        assert!(refresh_token.differs());
        assert_eq!(refresh_token.before, "11111111••••••1111");
        let scope = changes.iter().find(|change| change.name == t!("demo.scope")).unwrap();
        assert!(!scope.differs());
        assert!(changes.iter().all(|change| !change.before.contains("AT-") && !change.after.contains("AT-")));
    }

    #[test]
    fn every_refusal_has_advice_of_its_own() {
        let refused = |error: &str| Failure::Refused { error: error.to_owned(), description: None };
        let other = refused("something_else").advice();
        for error in [
            "access_denied",
            "invalid_client",
            "invalid_grant",
            "invalid_request",
            "invalid_scope",
            "unauthorized_client",
            "temporarily_unavailable",
        ] {
            assert_ne!(refused(error).advice(), other, "{error}");
        }
    }
}
