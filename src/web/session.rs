//! The browser session: `tower-sessions` for the cookie, our own store behind it.

use async_trait::async_trait;
use axum::{
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::{HeaderValue, header::SET_COOKIE, request::Parts};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};
use uuid::Uuid;

use super::{caller::Caller, json_error::JsonError, request_log::Envelope};
use crate::{
    audit::{Actor, AuditEvent, AuditName},
    clock::Timestamp,
    error::{Error, Result},
    logout::backchannel,
    oauth::{ClientId, Issuer},
    secret::{self, SecretHash},
    server::Server,
    store::{
        Swapped,
        browser_sessions::{BeginSession, BrowserSession, EndSession, RevokeSessions, Revoked, TouchSession},
        people::Person,
        session_clients::LogoutNotice,
    },
};

/// The one entry of a session.
const ENTRY: &str = "session";
/// How often at most the store is told that a session is in use.
const TOUCH_EVERY: std::time::Duration = std::time::Duration::from_mins(5);

const TOUCH_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// What a record holds.
#[derive(Serialize, Deserialize)]
struct Entry {
    session: BrowserSession,
    /// Under which the row was just written; only on the way from a sign-in to the cookie.
    begun_as: Option<String>,
}

/// The layer for routes that people visit.
pub(crate) fn layer(server: &Server) -> SessionManagerLayer<Sessions> {
    let config = server.config();
    let max_age = time::Duration::try_from(config.session.ttl).unwrap_or(time::Duration::MAX);
    SessionManagerLayer::new(Sessions(server.clone()))
        .with_name(cookie_name(&config.issuer, ""))
        .with_secure(config.issuer.is_https())
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(max_age))
}

/// `__Host-` where browsers take it; the hash keeps servers on other ports of one host apart.
pub(super) fn cookie_name(issuer: &Issuer, kind: &str) -> String {
    let prefix = if issuer.is_https() { "__Host-" } else { "" };
    format!("{prefix}grantor-{kind}{}", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(issuer.as_str())[..6]))
}

/// The published removal cookie lacks `Secure`, without which browsers do not take a `__Host-` cookie away.
pub(crate) async fn secure_removal(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let cookies: Vec<HeaderValue> = response.headers().get_all(SET_COOKIE).iter().cloned().collect();
    if !cookies.is_empty() {
        response.headers_mut().remove(SET_COOKIE);
        for cookie in cookies {
            response.headers_mut().append(SET_COOKIE, with_secure(cookie));
        }
    }
    response
}

fn with_secure(cookie: HeaderValue) -> HeaderValue {
    let Ok(text) = cookie.to_str() else { return cookie };
    let is_host_cookie = text.starts_with("__Host-");
    let has_secure = text.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("secure"));
    if !is_host_cookie || has_secure {
        return cookie;
    }
    HeaderValue::try_from(format!("{text}; Secure; HttpOnly; SameSite=Lax")).unwrap_or(cookie)
}

/// Who is signed in at the browser that sent the request, if anyone.
pub(crate) struct Browser {
    cookie: Session,
    /// Looked up for this request.
    pub session: Option<BrowserSession>,
}

impl FromRequestParts<Server> for Browser {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Response> {
        let envelope = parts.extensions.get::<Envelope>().copied().unwrap_or(|error| JsonError::from(error).into_response());
        let Some(cookie) = parts.extensions.get::<Session>().cloned() else {
            return Err(envelope(Error::internal("a page's route has no session layer")));
        };
        let entry = cookie.get::<Entry>(ENTRY).await;
        let session = entry.map_err(|_| envelope(Error::unavailable("the session cannot be read")))?.map(|entry| entry.session);
        if let Some(session) = &session {
            touch(server, session).await;
        }
        Ok(Self { cookie, session })
    }
}

/// Who is signed in by this cookie, without anyone being told that it is in use. Where it cannot be read, nobody.
pub(super) async fn person(cookie: &Session) -> Option<Uuid> {
    cookie.get::<Entry>(ENTRY).await.ok().flatten().map(|entry| entry.session.person_id)
}

/// A session that idles ends sooner than one in use. That it is in use is noted late rather than often, and a page does not
/// wait for a database that is busy: then the note comes when it comes.
async fn touch(server: &Server, session: &BrowserSession) {
    let now = server.clock().now();
    if now.since(session.last_seen_at) >= TOUCH_EVERY {
        let touch = TouchSession { id: session.id, now, expires_at: expires_at(server, session.created_at, now) };
        let store = server.store().clone();
        let noted = tokio::spawn(async move { store.write(touch).await });
        let _ = tokio::time::timeout(TOUCH_PATIENCE, noted).await;
    }
}

fn expires_at(server: &Server, created_at: Timestamp, now: Timestamp) -> Timestamp {
    let config = &server.config().session;
    now.after(config.idle_ttl).min(created_at.after(config.ttl))
}

impl Browser {
    /// Signs a person in, under a new cookie: the new row, the end of the one that it replaces, and the audit event, in one transaction.
    /// Nobody, if the person was disabled or their password changed since it was checked.
    pub(crate) async fn sign_in(
        &mut self,
        server: &Server,
        person: &Person,
        method: &str,
        caller: &Caller,
        client_id: Option<&ClientId>,
    ) -> Result<Option<BrowserSession>> {
        let now = server.clock().now();
        let before = self.session.as_ref();
        // The same person again goes on with the session, so that what hangs on it lives on.
        let id = before.filter(|before| before.person_id == person.id).map_or_else(|| secret::new_id(now), |before| before.id);
        let session = BrowserSession {
            id,
            person_id: person.id,
            auth_time: now,
            amr: vec![method.to_owned()],
            address: caller.origin.address.map(|address| address.to_string()),
            user_agent: caller.user_agent.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: expires_at(server, now, now),
        };
        let cookie_id = Id(i128::from_le_bytes(secret::random()));
        let mut event = AuditEvent::new(now, AuditName::PersonSignedIn, Actor::Person(person.id), caller.origin)
            .about(person.id)
            .with("amr", session.amr.clone());
        event.client_id = client_id.cloned();
        let begin = BeginSession {
            id_hash: hash(&cookie_id),
            session: session.clone(),
            replaces: before.map(|before| before.id),
            tokens_not_before: person.tokens_not_before,
            event,
        };
        if server.store().write(begin).await? == Swapped::Missed {
            return Ok(None);
        }
        let fault = |error| Error::Internal(anyhow::Error::new(error).context("the cookie of a session could not be made"));
        self.cookie.cycle_id().await.map_err(fault)?;
        self.cookie.insert(ENTRY, Entry { session: session.clone(), begun_as: Some(cookie_id.to_string()) }).await.map_err(fault)?;
        self.cookie.save().await.map_err(fault)?;
        Ok(Some(self.session.insert(session).clone()))
    }

    /// Signs the person out of this browser, and ends what ends with the session; `client_id` is the client that asked for it.
    /// Tells which clients heard of it, or will.
    pub(crate) async fn sign_out(&mut self, server: &Server, caller: &Caller, client_id: Option<&ClientId>) -> Result<Vec<LogoutNotice>> {
        let notices = match self.session.take() {
            Some(session) => write_end(server, session.person_id, session.id, caller, client_id).await?,
            None => Vec::new(),
        };
        self.forget().await?;
        Ok(notices)
    }

    /// Signs the person out of this browser and of every other. Tells which clients of this browser heard of it, or will.
    pub(crate) async fn sign_out_everywhere(&mut self, server: &Server, caller: &Caller) -> Result<Vec<LogoutNotice>> {
        let Some(session) = self.session.take() else { return Ok(Vec::new()) };
        let person_id = session.person_id;
        let event = AuditEvent::new(server.clock().now(), AuditName::SessionsRevoked, Actor::Person(person_id), caller.origin);
        let Revoked { notices, .. } = server.store().write(RevokeSessions { person_id, event: event.about(person_id) }).await?;
        let here = notices.iter().filter(|notice| notice.session_id == session.id).cloned().collect();
        backchannel::tell_now(server, notices).await;
        self.forget().await?;
        Ok(here)
    }

    /// Takes the cookie away.
    async fn forget(&mut self) -> Result<()> {
        self.cookie.flush().await.map_err(|_| Error::unavailable("the session could not be ended"))
    }
}

/// Ends one session of a person, at another browser.
pub(crate) async fn end_other(server: &Server, person_id: Uuid, id: Uuid, caller: &Caller) -> Result<()> {
    write_end(server, person_id, id, caller, None).await.map(drop)
}

async fn write_end(server: &Server, person_id: Uuid, id: Uuid, caller: &Caller, client_id: Option<&ClientId>) -> Result<Vec<LogoutNotice>> {
    let mut event =
        AuditEvent::new(server.clock().now(), AuditName::SessionEnded, Actor::Person(person_id), caller.origin).about(person_id);
    event.client_id = client_id.cloned();
    let notices = server.store().write(EndSession { id, person_id, event }).await?;
    backchannel::tell_now(server, notices.clone()).await;
    Ok(notices)
}

/// `tower-sessions`' view of `browser_sessions`.
#[derive(Clone)]
pub(crate) struct Sessions(Server);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

fn hash(id: &Id) -> SecretHash {
    SecretHash::of(&id.to_string())
}

/// The layer only learns that there was an error: what it was is logged here.
fn backend(error: &Error) -> session_store::Error {
    if let Error::Internal(fault) = error {
        tracing::error!(fault = format!("{fault:#}"), "a session could not be read");
    }
    session_store::Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for Sessions {
    /// The row is there already: the cookie gets the id under which [`Browser::sign_in`] wrote it.
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let entry: Option<Entry> = record.data.get(ENTRY).cloned().and_then(|value| serde_json::from_value(value).ok());
        let id = entry.and_then(|entry| entry.begun_as).and_then(|id| id.parse().ok());
        record.id = id.ok_or_else(|| session_store::Error::Encode("only a sign-in begins a session".to_owned()))?;
        Ok(())
    }

    /// Nothing changes in a session but at sign-in; so an ended one is never brought back.
    async fn save(&self, _: &Record) -> session_store::Result<()> {
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let found = self.0.store().browser_session(&hash(id), self.0.clock().now()).await.map_err(|error| backend(&error))?;
        let Some(session) = found else { return Ok(None) };
        let expiry_date = session.expires_at.to_date_time();
        let entry =
            serde_json::to_value(Entry { session, begun_as: None }).map_err(|error| session_store::Error::Encode(error.to_string()))?;
        Ok(Some(Record { id: *id, data: [(ENTRY.to_owned(), entry)].into(), expiry_date }))
    }

    /// Rows end with [`EndSession`] or with the sign-in that replaces them, each in one transaction.
    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cookie_is_removed_with_secure() {
        let removal = HeaderValue::from_static("__Host-grantor-x=; Path=/; Max-Age=0");
        assert_eq!(with_secure(removal), "__Host-grantor-x=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
        let set = HeaderValue::from_static("__Host-grantor-x=1; HttpOnly; SameSite=Lax; Secure; Path=/");
        assert_eq!(with_secure(set.clone()), set);
    }

    #[test]
    fn the_cookie_of_a_loopback_issuer_has_no_prefix() {
        assert!(cookie_name(&"https://auth.example.com".parse::<Issuer>().unwrap(), "").starts_with("__Host-grantor-"));
        assert!(cookie_name(&"http://localhost:8080".parse::<Issuer>().unwrap(), "").starts_with("grantor-"));
    }
}
