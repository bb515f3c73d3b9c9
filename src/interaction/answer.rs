//! Carrying out the next step: ask, refuse, or issue a code.

use uuid::Uuid;

use super::next_step::{ConsentState, SignedIn, Step, allowed_scope, granted_scope, next_step};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Timestamp,
    error::{Error, Result},
    oauth::{
        AuthorizationRequest, ErrorCode, OAuthError, Scope,
        authorization_request::Reply,
        scope::{OFFLINE_ACCESS, OPENID},
    },
    secret::Secret,
    server::Server,
    store::{
        Swapped,
        audit_events::RecordEvent,
        authorization_codes::{AuthorizationCode, InsertAuthorizationCode, InsertCodeOfSessionClient},
        browser_sessions::BrowserSession,
        consents::{Consent, GiveConsent},
    },
    tokens::subject,
};

/// What the browser is told next.
pub(crate) enum Next {
    SignIn,
    SignUp,
    /// Ask which account it shall be.
    SelectAccount,
    /// Ask whether the client may have this.
    AskConsent(Scope),
    /// Send the client its answer.
    Answer(Answer),
}

/// An authorization response (OAuth 2.1 §4.1.2).
pub(crate) struct Answer {
    pub reply: Reply,
    pub outcome: Result<Secret, OAuthError>,
}

/// A request at a browser.
pub(crate) struct Visit<'a> {
    pub request: &'a AuthorizationRequest,
    /// When the request arrived.
    pub asked_at: Timestamp,
    /// Who is signed in.
    pub session: Option<&'a BrowserSession>,
    /// At which session the person chose to go on with its account.
    pub chosen: Option<Uuid>,
}

impl Visit<'_> {
    async fn signed_in(&self, server: &Server) -> Result<Option<SignedIn>> {
        let Some(session) = self.session else { return Ok(None) };
        // Of a sign-in that is yet to come by a clock that was set back, nobody knows how long ago it was.
        let is_known = session.auth_time <= server.clock().now().after(server.config().keys.clock_margin);
        Ok(Some(SignedIn {
            auth_time: if is_known { session.auth_time } else { Timestamp::from_seconds(0) },
            is_meant: is_meant(server, self.request, session).await?,
            has_chosen: self.chosen == Some(session.id),
        }))
    }
}

/// Whether the person of a session is the one whom the client named, if it named any (`OpenID` Core §3.1.2.2).
pub(crate) async fn is_meant(server: &Server, request: &AuthorizationRequest, session: &BrowserSession) -> Result<bool> {
    if !request.names_a_person() {
        return Ok(true);
    }
    Ok(request.is_about(&subject::of(server, &request.client, session.person_id).await?))
}

/// Decides with the consent on record, and does it.
pub(crate) async fn proceed(server: &Server, visit: &Visit<'_>) -> Result<Next> {
    let record = on_record(server, visit).await?;
    let consent = ConsentState { on_record: record.as_ref(), just_given: false };
    let step = next_step(visit.request, visit.asked_at, visit.signed_in(server).await?, consent);
    // A first-party client needs none.
    let rests_on = record.as_ref().filter(|_| !visit.request.client.is_first_party()).map(|record| record.given_at);
    carry_out(server, visit, step, consent, rests_on).await
}

async fn on_record(server: &Server, visit: &Visit<'_>) -> Result<Option<Consent>> {
    match visit.session {
        Some(session) => server.store().consent(session.person_id, &visit.request.client.id).await,
        None => Ok(None),
    }
}

async fn carry_out(server: &Server, visit: &Visit<'_>, step: Step, consent: ConsentState<'_>, rests_on: Option<Timestamp>) -> Result<Next> {
    let request = visit.request;
    let answer = |outcome| Next::Answer(Answer { reply: request.reply.clone(), outcome });
    Ok(match (step, visit.session) {
        (Step::SignIn, _) | (Step::Answer, None) => Next::SignIn,
        (Step::SignUp, _) => Next::SignUp,
        (Step::SelectAccount, _) => Next::SelectAccount,
        (Step::AskConsent, _) => Next::AskConsent(allowed_scope(request, consent)),
        (Step::Refuse(error), _) => answer(Err(error)),
        (Step::Answer, Some(session)) => match issue_code(server, request, session, consent, rests_on).await? {
            Some(code) => answer(Ok(code)),
            None => without_code(server, visit, rests_on).await?,
        },
    })
}

/// What the answer rested on fell: the consent, for which the person is asked again, or the session.
async fn without_code(server: &Server, visit: &Visit<'_>, rested_on: Option<Timestamp>) -> Result<Next> {
    let record = on_record(server, visit).await?;
    let consent = ConsentState { on_record: record.as_ref(), just_given: false };
    let stands = rested_on.is_none() || record.as_ref().map(|record| record.given_at) == rested_on;
    let signed_in = if stands { None } else { visit.signed_in(server).await? };
    Ok(match next_step(visit.request, visit.asked_at, signed_in, consent) {
        Step::Refuse(error) => Next::Answer(Answer { reply: visit.request.reply.clone(), outcome: Err(error) }),
        Step::AskConsent => Next::AskConsent(allowed_scope(visit.request, consent)),
        Step::SignIn => Next::SignIn,
        Step::SignUp => Next::SignUp,
        Step::SelectAccount => Next::SelectAccount,
        // Another consent came in its place: one more attempt finds it.
        Step::Answer => return Err(Error::unavailable("the consent changed while a code was issued")),
    })
}

/// What the person who presses Allow now would allow.
pub(crate) async fn asked_scope(server: &Server, request: &AuthorizationRequest, session: &BrowserSession) -> Result<Scope> {
    let record = server.store().consent(session.person_id, &request.client.id).await?;
    Ok(allowed_scope(request, ConsentState { on_record: record.as_ref(), just_given: true }))
}

/// The person pressed Allow: remembers it, and goes on if everything else still holds.
pub(crate) async fn give_consent(server: &Server, visit: &Visit<'_>, session: &BrowserSession, origin: Origin) -> Result<Next> {
    let record = server.store().consent(session.person_id, &visit.request.client.id).await?;
    let consent = ConsentState { on_record: record.as_ref(), just_given: true };
    let step = next_step(visit.request, visit.asked_at, visit.signed_in(server).await?, consent);
    let rests_on = match step {
        Step::Answer => Some(remember(server, visit.request, session, consent, origin).await?),
        _ => None,
    };
    carry_out(server, visit, step, consent, rests_on).await
}

/// Answers with the time by which the consent is known from now on.
async fn remember(
    server: &Server,
    request: &AuthorizationRequest,
    session: &BrowserSession,
    consent: ConsentState<'_>,
    origin: Origin,
) -> Result<Timestamp> {
    let now = server.clock().now();
    let client_id = request.client.id.clone();
    let mut scope = allowed_scope(request, consent);
    let mut resources = request.resources.clone();
    if let Some(before) = consent.on_record {
        scope = before.scope.joined_with(&scope);
        resources.extend(before.resources.iter().filter(|resource| !request.resources.contains(resource)).cloned());
    }
    let event = AuditEvent::new(now, AuditName::ConsentGiven, Actor::Person(session.person_id), origin)
        .about(session.person_id)
        .of_client(&client_id)
        .with("scope", scope.to_string());
    let consent = Consent { client_id, scope, resources, given_at: now };
    server.store().write(GiveConsent { person_id: session.person_id, consent, event }).await?;
    Ok(now)
}

/// The person pressed Deny (OAuth 2.1 §4.1.2.1).
pub(crate) async fn deny(server: &Server, request: &AuthorizationRequest, session: &BrowserSession, origin: Origin) -> Result<Answer> {
    let event = AuditEvent::new(server.clock().now(), AuditName::ConsentDenied, Actor::Person(session.person_id), origin)
        .about(session.person_id)
        .of_client(&request.client.id);
    server.store().write(RecordEvent(event)).await?;
    let denied = OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it.");
    Ok(Answer { reply: request.reply.clone(), outcome: Err(denied) })
}

/// No code, if the session ended meanwhile, or the consent that the answer rests on was withdrawn.
async fn issue_code(
    server: &Server,
    request: &AuthorizationRequest,
    session: &BrowserSession,
    consent: ConsentState<'_>,
    consent_given_at: Option<Timestamp>,
) -> Result<Option<Secret>> {
    let now = server.clock().now();
    let code = Secret::generate();
    let scope = granted_scope(request, consent);
    let lives_on = scope.contains(OFFLINE_ACCESS);
    let hears_of_logout = scope.contains(OPENID) && request.client.metadata.hears_of_logout();
    let insert = InsertAuthorizationCode {
        code: AuthorizationCode {
            hash: code.hash(),
            person_id: session.person_id,
            client_id: request.client.id.clone(),
            session_id: (!lives_on).then_some(session.id),
            scope,
            resources: request.resources.clone(),
            redirect_uri: request.reply.return_address.as_str().to_owned(),
            code_challenge: request.code_challenge.clone(),
            nonce: request.nonce.clone(),
            claims_request: Some(request.claims.allowed(&request.client)).filter(|claims| !claims.wanted.is_empty()),
            sid: Some(session.id),
            auth_time: session.auth_time,
            amr: session.amr.clone(),
            created_at: now,
            expires_at: now.after(server.config().tokens.authorization_code_ttl),
        },
        issued_at: session.id,
        consent_given_at,
    };
    let inserted = if hears_of_logout {
        // No session lasts longer, unless the person signs in again in it.
        let remembered_until = now.after(server.config().session.ttl);
        server.store().write(InsertCodeOfSessionClient { insert, remembered_until }).await?
    } else {
        server.store().write(insert).await?
    };
    Ok((inserted == Swapped::Done).then_some(code))
}
