//! A client's server: it takes logout tokens on loopback, and answers as it is told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering},
};

use axum::{Form, Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::answer::claims;

/// One that listens until the test ends. Servers reach it where `GRANTOR_OUTBOUND__ALLOW_NETWORKS` has `127.0.0.0/8`.
#[derive(Clone)]
pub struct RelyingParty {
    port: u16,
    seen: Arc<Seen>,
}

struct Seen {
    status: AtomicU16,
    requests: Mutex<Vec<LogoutRequest>>,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    pub headers: HeaderMap,
    pub form: Vec<(String, String)>,
}

impl LogoutRequest {
    /// The logout token, the one parameter there is.
    #[track_caller]
    pub fn token(&self) -> &str {
        assert!(self.form.len() == 1 && self.form[0].0 == "logout_token", "{:?}", self.form);
        &self.form[0].1
    }

    /// Its claims, unverified.
    #[track_caller]
    pub fn claims(&self) -> Value {
        claims(self.token())
    }
}

impl RelyingParty {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen { status: AtomicU16::new(200), requests: Mutex::default() });
        let router = Router::new().route("/logout", post(take)).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, seen }
    }

    /// What it registers as `backchannel_logout_uri`.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}/logout", self.port)
    }

    /// From now on it answers with this status.
    pub fn answers(&self, status: u16) {
        self.seen.status.store(status, Ordering::Relaxed);
    }

    /// All that it was sent.
    pub fn requests(&self) -> Vec<LogoutRequest> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The claims of the one logout token that it was sent.
    #[track_caller]
    pub fn only_claims(&self) -> Value {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].claims()
    }
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, Form(form): Form<Vec<(String, String)>>) -> StatusCode {
    seen.requests.lock().unwrap().push(LogoutRequest { headers, form });
    StatusCode::from_u16(seen.status.load(Ordering::Relaxed)).unwrap()
}
