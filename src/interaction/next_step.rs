//! The decision what comes next, without I/O: every row of it is a test.

use crate::{
    clock::Timestamp,
    oauth::{AuthorizationRequest, ErrorCode, OAuthError, Scope, client::Trust, prompt::Prompt, scope::OFFLINE_ACCESS},
    store::consents::Consent,
};

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    SignIn,
    SignUp,
    SelectAccount,
    AskConsent,
    Answer,
    /// `prompt=none`, and something would have to be shown; or the client named someone else.
    Refuse(OAuthError),
}

/// Who is signed in at the browser, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedIn {
    /// When they last proved who they are.
    pub auth_time: Timestamp,
    /// Whether the client named them, or nobody.
    pub is_meant: bool,
    /// Whether they said that it shall be this account.
    pub has_chosen: bool,
}

/// What is known about the person's consent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConsentState<'a> {
    pub on_record: Option<&'a Consent>,
    /// The person pressed Allow on the form for this very request.
    pub just_given: bool,
}

/// Decides. `asked_at` is when the request arrived.
pub(crate) fn next_step(
    request: &AuthorizationRequest,
    asked_at: Timestamp,
    signed_in: Option<SignedIn>,
    consent: ConsentState<'_>,
) -> Step {
    let shows_nothing = request.prompt.none;
    let Some(person) = signed_in.filter(|person| is_authenticated(request, asked_at, person.auth_time)) else {
        return match request.prompt {
            Prompt { none: true, .. } => refuse(ErrorCode::LoginRequired, "Nobody is signed in, or not recently enough."),
            Prompt { create: true, .. } => Step::SignUp,
            _ => Step::SignIn,
        };
    };
    let is_fresh = person.auth_time > asked_at;
    if !person.is_meant {
        // `OpenID` Core §3.1.2.2: an answer is about the one whom the client named, who may sign in, once.
        let refused = refuse(ErrorCode::LoginRequired, "Someone else is signed in than the one whom the client named.");
        return if shows_nothing || is_fresh { refused } else { Step::SignIn };
    }
    if request.prompt.select_account && !is_fresh && !person.has_chosen {
        return Step::SelectAccount;
    }
    if granted_scope(request, consent).is_empty() {
        return Step::Refuse(OAuthError::invalid_scope("Nothing is left of the scope: offline_access alone needs prompt=consent."));
    }
    if !has_consent(request, consent) {
        return if shows_nothing { refuse(ErrorCode::ConsentRequired, "The person must be asked for consent.") } else { Step::AskConsent };
    }
    Step::Answer
}

/// What is granted: `offline_access` only by `prompt=consent`, by an earlier consent to it, or to a first-party client (`OpenID` Core §11).
pub(crate) fn granted_scope(request: &AuthorizationRequest, consent: ConsentState<'_>) -> Scope {
    let is_on_record = consent.on_record.is_some_and(|consent| consent.scope.contains(OFFLINE_ACCESS));
    if request.prompt.consent || request.client.is_first_party() || is_on_record {
        request.scope.clone()
    } else {
        request.scope.without(OFFLINE_ACCESS)
    }
}

/// What the person allows: what is granted, and what the `claims` parameter asks for by name.
pub(crate) fn allowed_scope(request: &AuthorizationRequest, consent: ConsentState<'_>) -> Scope {
    granted_scope(request, consent).joined_with(&request.claims.scope(&request.client))
}

/// Re-authentication is proved by an `auth_time` later than the request.
fn is_authenticated(request: &AuthorizationRequest, asked_at: Timestamp, auth_time: Timestamp) -> bool {
    let is_fresh = auth_time > asked_at;
    let is_recent = request.max_age.is_none_or(|max_age| is_fresh || asked_at.since(auth_time) <= max_age);
    (is_fresh || !(request.wants_login() || request.prompt.create)) && is_recent
}

fn has_consent(request: &AuthorizationRequest, consent: ConsentState<'_>) -> bool {
    if consent.just_given {
        return true;
    }
    if request.prompt.consent || !request.client.can_skip_consent(&request.reply.return_address) {
        return false;
    }
    // Of a client that nobody here knows a person is told each time, unless nothing may be shown.
    if request.client.trust == Trust::SelfRegistered && !request.prompt.none {
        return false;
    }
    request.client.is_first_party() || consent.on_record.is_some_and(|record| covers(record, request, &allowed_scope(request, consent)))
}

fn covers(record: &Consent, request: &AuthorizationRequest, scope: &Scope) -> bool {
    scope.is_within(&record.scope) && request.resources.iter().all(|resource| record.resources.contains(resource))
}

fn refuse(code: ErrorCode, description: &'static str) -> Step {
    Step::Refuse(OAuthError::new(code, description))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::oauth::{Client, ClientId, Params, RedirectUri, authorization_request::Reply, client::ClientType};

    const ASKED_AT: Timestamp = Timestamp::from_seconds(1_000);
    const BEFORE: Option<Timestamp> = Some(Timestamp::from_seconds(900));
    const AFTER: Option<Timestamp> = Some(Timestamp::from_seconds(1_001));

    /// A confidential client with an `https` redirect URI, changed by `change`, and its request with `extra` parameters.
    fn request(extra: &str, change: impl FnOnce(&mut Client)) -> AuthorizationRequest {
        let mut client = Client {
            redirect_uris: vec![RedirectUri::register("https://app.example/cb", ClientType::Confidential).unwrap()],
            scope: Scope::parse("read write offline_access").unwrap(),
            ..Client::new(ClientId::parse("app").unwrap(), "App".into(), ClientType::Confidential)
        };
        change(&mut client);
        let params = Params::parse(&format!(
            "client_id=app&response_type=code&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&{extra}"
        ));
        let reply = Reply::new(client.return_address(None).unwrap(), &client, &params);
        AuthorizationRequest::parse(Arc::new(client), reply, &params).unwrap()
    }

    fn consent(scope: &str) -> Consent {
        Consent {
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::parse(scope).unwrap(),
            resources: vec![],
            given_at: Timestamp::from_seconds(1),
        }
    }

    fn since(auth_time: Timestamp) -> SignedIn {
        SignedIn { auth_time, is_meant: true, has_chosen: false }
    }

    fn step(request: &AuthorizationRequest, auth_time: Option<Timestamp>, record: Option<&Consent>) -> Step {
        next_step(request, ASKED_AT, auth_time.map(since), ConsentState { on_record: record, just_given: false })
    }

    /// The step of a person with a consent on record, who is not who was meant, or chose their account.
    fn step_of(request: &AuthorizationRequest, person: SignedIn) -> Step {
        next_step(request, ASKED_AT, Some(person), ConsentState { on_record: Some(&consent("read")), just_given: false })
    }

    fn code(step: Step) -> ErrorCode {
        match step {
            Step::Refuse(error) => error.code,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn loopback(client: &mut Client) {
        client.client_type = ClientType::Public;
        client.redirect_uris = vec![RedirectUri::register("http://127.0.0.1/cb", ClientType::Public).unwrap()];
    }

    #[test]
    fn a_stranger_signs_in_first() {
        assert_eq!(step(&request("", |_| ()), None, None), Step::SignIn);
    }

    #[test]
    fn a_person_without_consent_on_record_is_asked() {
        let request = request("scope=read", |_| ());
        assert_eq!(step(&request, BEFORE, None), Step::AskConsent);
        assert_eq!(step(&request, BEFORE, Some(&consent("write"))), Step::AskConsent);
        assert_eq!(step(&request, BEFORE, Some(&consent("write read"))), Step::Answer);
    }

    #[test]
    fn prompt_login_wants_an_authentication_later_than_the_request() {
        for extra in ["scope=read&prompt=login", "scope=read&max_age=0"] {
            let request = request(extra, |_| ());
            assert_eq!(step(&request, BEFORE, Some(&consent("read"))), Step::SignIn);
            assert_eq!(step(&request, AFTER, Some(&consent("read"))), Step::Answer);
        }
    }

    #[test]
    fn max_age_wants_one_that_is_young_enough() {
        let old = Some(ASKED_AT.before(Duration::from_secs(61)));
        let young = Some(ASKED_AT.before(Duration::from_mins(1)));
        let request = request("scope=read&max_age=60", |_| ());
        assert_eq!(step(&request, old, Some(&consent("read"))), Step::SignIn);
        assert_eq!(step(&request, young, Some(&consent("read"))), Step::Answer);
    }

    #[test]
    fn prompt_none_refuses_instead_of_asking() {
        let request = request("scope=read&prompt=none", |_| ());
        assert_eq!(code(step(&request, None, None)), ErrorCode::LoginRequired);
        assert_eq!(code(step(&request, BEFORE, None)), ErrorCode::ConsentRequired);
        assert_eq!(step(&request, BEFORE, Some(&consent("read"))), Step::Answer);
    }

    /// `OpenID` Core §3.1.2.1: by a choice, or by signing in.
    #[test]
    fn prompt_select_account_asks_until_the_person_chose() {
        let request = request("scope=read&prompt=select_account", |_| ());
        let (before, after) = (since(BEFORE.unwrap()), since(AFTER.unwrap()));
        assert_eq!(step(&request, None, None), Step::SignIn);
        assert_eq!(step_of(&request, before), Step::SelectAccount);
        assert_eq!(step_of(&request, SignedIn { has_chosen: true, ..before }), Step::Answer);
        assert_eq!(step_of(&request, after), Step::Answer);
    }

    /// Prompt Create §4.1: also whoever is signed in; making an account is signing in.
    #[test]
    fn prompt_create_lets_the_person_sign_up_first() {
        let request = request("scope=read&prompt=create", |_| ());
        assert_eq!(step(&request, None, None), Step::SignUp);
        assert_eq!(step(&request, BEFORE, Some(&consent("read"))), Step::SignUp);
        assert_eq!(step(&request, AFTER, Some(&consent("read"))), Step::Answer);
    }

    /// `OpenID` Core §3.1.2.2
    #[test]
    fn whoever_was_not_meant_may_sign_in_as_someone_else_once() {
        let (before, after) = (since(BEFORE.unwrap()), since(AFTER.unwrap()));
        let asked = request("scope=read", |_| ());
        assert_eq!(step_of(&asked, SignedIn { is_meant: false, ..before }), Step::SignIn);
        assert_eq!(code(step_of(&asked, SignedIn { is_meant: false, ..after })), ErrorCode::LoginRequired);
        let silent = request("scope=read&prompt=none", |_| ());
        assert_eq!(code(step_of(&silent, SignedIn { is_meant: false, ..before })), ErrorCode::LoginRequired);
    }

    #[test]
    fn prompt_consent_asks_again_even_for_a_first_party_client() {
        let request = request("scope=read&prompt=consent", |client| client.first_party = true);
        assert_eq!(step(&request, BEFORE, Some(&consent("read"))), Step::AskConsent);
        let allowed = ConsentState { on_record: None, just_given: true };
        assert_eq!(next_step(&request, ASKED_AT, BEFORE.map(since), allowed), Step::Answer);
    }

    #[test]
    fn a_first_party_client_needs_no_consent() {
        assert_eq!(step(&request("", |client| client.first_party = true), BEFORE, None), Step::Answer);
    }

    /// RFC 8252 §8.6: any program could be behind a loopback redirect.
    #[test]
    fn a_public_client_on_the_device_is_asked_each_time() {
        let request = request("scope=read", |client| {
            loopback(client);
            client.first_party = true;
        });
        assert_eq!(step(&request, BEFORE, Some(&consent("read"))), Step::AskConsent);
    }

    #[test]
    fn a_client_that_registered_itself_is_asked_for_each_time() {
        let by_itself: fn(&mut Client) = |client| client.trust = Trust::SelfRegistered;
        assert_eq!(step(&request("scope=read", by_itself), BEFORE, Some(&consent("read"))), Step::AskConsent);
        let silent = request("scope=read&prompt=none", by_itself);
        assert_eq!(step(&silent, BEFORE, Some(&consent("read"))), Step::Answer);
        assert_eq!(code(step(&silent, BEFORE, None)), ErrorCode::ConsentRequired);
    }

    /// `OpenID` Core §11.
    #[test]
    fn offline_access_needs_prompt_consent_an_earlier_consent_or_a_first_party_client() {
        let scope = |extra: &str, change: fn(&mut Client), record: Option<&Consent>| {
            granted_scope(&request(extra, change), ConsentState { on_record: record, just_given: false }).to_string()
        };
        let earlier = consent("offline_access");
        assert_eq!(scope("scope=read offline_access", |_| (), None), "read");
        assert_eq!(scope("scope=read offline_access&prompt=consent", |_| (), None), "read offline_access");
        assert_eq!(scope("scope=read offline_access", |client| client.first_party = true, None), "read offline_access");
        assert_eq!(scope("scope=read offline_access", |_| (), Some(&earlier)), "read offline_access");
    }

    #[test]
    fn offline_access_alone_and_ignored_leaves_nothing() {
        assert_eq!(code(step(&request("scope=offline_access", |_| ()), BEFORE, None)), ErrorCode::InvalidScope);
    }
}
