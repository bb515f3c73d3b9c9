//! The sample app's own sessions: tokens stay in its memory, the browser holds a random id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::secret::random_id;

use super::callback::Pending;
use super::client::Tokens;
use super::step::Step;

/// Sessions kept at once; one more drops the oldest.
pub const SESSIONS: usize = 1_000;
/// Sign-ins that one browser may have under way, say in several tabs; one more drops the oldest.
pub const PENDING: usize = 5;

/// What the app knows about one browser.
#[derive(Default)]
pub struct Session {
    pending: VecDeque<Pending>,
    pub signed_in: Option<SignedIn>,
}

/// The outcome of a sign-in, and what was done with it last.
pub struct SignedIn {
    pub tokens: Tokens,
    pub last: Step,
}

impl Session {
    /// The session after a sign-in; those under way in other tabs stay so.
    pub fn sign_in(self, signed_in: SignedIn) -> Self {
        Self { signed_in: Some(signed_in), ..self }
    }

    pub fn begin(&mut self, pending: Pending) {
        if self.pending.len() == PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(pending);
    }

    /// Takes the sign-in that this `state` was made for: each one is answered once.
    pub fn answered(&mut self, state: &str) -> Option<Pending> {
        let index = self.pending.iter().position(|pending| pending.state.secret() == state)?;
        self.pending.remove(index)
    }
}

/// A session is locked for as long as a request uses it, so that two clicks never spend one refresh token.
pub type SharedSession = Arc<tokio::sync::Mutex<Session>>;

/// All sessions, oldest first.
#[derive(Default)]
pub struct Sessions(Mutex<VecDeque<(Uuid, SharedSession)>>);

impl Sessions {
    pub fn session(&self, id: Uuid) -> Option<SharedSession> {
        self.lock().iter().find(|(known, _)| *known == id).map(|(_, session)| Arc::clone(session))
    }

    /// Keeps the session under a new id, which nobody can have known before.
    pub fn insert(&self, session: Session) -> (Uuid, SharedSession) {
        let id = random_id();
        let session = Arc::new(tokio::sync::Mutex::new(session));
        let mut all = self.lock();
        if all.len() == SESSIONS {
            all.pop_front();
        }
        all.push_back((id, Arc::clone(&session)));
        (id, session)
    }

    pub fn remove(&self, id: Uuid) {
        self.lock().retain(|(known, _)| *known != id);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Uuid, SharedSession)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cookie that carries the session id.
pub struct SessionCookie(String);

impl SessionCookie {
    /// Browsers do not keep the cookies of two ports apart, so the name must.
    pub fn for_port(port: u16) -> Self {
        Self(format!("sample_app_{port}"))
    }

    pub fn read(&self, headers: &HeaderMap) -> Option<Uuid> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.0)
            .and_then(|(_, value)| Uuid::try_parse(value).ok())
    }

    /// No `Secure`: the app is plain HTTP on loopback, where Safari would drop the cookie.
    pub fn set(&self, id: Uuid) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax", self.0, id.simple())
    }

    pub fn remove(&self) -> String {
        format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", self.0)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use oauth2::{AccessToken, CsrfToken, PkceCodeVerifier};

    use super::*;
    use crate::demo::step::Outcome;

    fn pending(state: &str) -> Pending {
        Pending {
            state: CsrfToken::new(state.to_owned()),
            code_verifier: PkceCodeVerifier::new("v".repeat(43)),
            authorization_request: "http://as.example/authorize".parse().unwrap(),
        }
    }

    #[test]
    fn one_session_too_many_drops_the_oldest() {
        let sessions = Sessions::default();
        let (oldest, _) = sessions.insert(Session::default());
        let (second, _) = sessions.insert(Session::default());
        for _ in 2..=SESSIONS {
            sessions.insert(Session::default());
        }
        assert!(sessions.session(oldest).is_none());
        assert!(sessions.session(second).is_some());
        assert_eq!(sessions.lock().len(), SESSIONS);
    }

    #[test]
    fn a_removed_session_is_gone() {
        let sessions = Sessions::default();
        let (id, _) = sessions.insert(Session::default());
        sessions.remove(id);
        assert!(sessions.session(id).is_none());
    }

    #[test]
    fn a_state_is_answered_once() {
        let mut session = Session::default();
        session.begin(pending("one"));
        session.begin(pending("two"));
        assert!(session.answered("three").is_none());
        assert_eq!(session.answered("one").unwrap().state.secret(), "one");
        assert!(session.answered("one").is_none());
        assert!(session.answered("two").is_some());
    }

    #[test]
    fn a_sign_in_leaves_those_in_other_tabs_under_way() {
        let mut session = Session::default();
        session.begin(pending("other tab"));
        let tokens = Tokens {
            access_token: AccessToken::new("t".to_owned()),
            refresh_token: None,
            token_type: "bearer".to_owned(),
            expires_in: None,
            scope: None,
        };
        let last = Step { outcome: Outcome::SignedIn, exchanges: Vec::new() };
        let mut session = session.sign_in(SignedIn { tokens, last });
        assert!(session.signed_in.is_some());
        assert!(session.answered("other tab").is_some());
    }

    #[test]
    fn one_pending_sign_in_too_many_drops_the_oldest() {
        let mut session = Session::default();
        for number in 0..=PENDING {
            session.begin(pending(&number.to_string()));
        }
        assert!(session.answered("0").is_none());
        assert!(session.answered("1").is_some());
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_under_its_own_name() {
        let cookie = SessionCookie::for_port(4000);
        let id = random_id();
        let mut headers = HeaderMap::new();
        let other = format!("sample_app_4001={}; x=y", random_id());
        headers.append(header::COOKIE, HeaderValue::from_str(&other).unwrap());
        assert_eq!(cookie.read(&headers), None);
        let own = format!("a=b; {}", cookie.set(id).split(';').next().unwrap());
        headers.append(header::COOKIE, HeaderValue::from_str(&own).unwrap());
        assert_eq!(cookie.read(&headers), Some(id));
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_of_cross_site_posts() {
        let set = SessionCookie::for_port(4000).set(random_id());
        assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Lax"), "{set}");
    }
}
