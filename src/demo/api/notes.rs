//! What the API keeps: a few notes of each subject, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::refusal::Refusal;
use super::verifier::AccessToken;
use super::{Api, READ, WRITE, bearer};

/// Notes kept at once, of everybody; one more drops the oldest.
const NOTES: usize = 500;
const CHARACTERS: usize = 200;

struct Note {
    /// The `sub` of the token that brought it.
    owner: String,
    text: String,
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

/// Oldest first.
#[derive(Default)]
pub struct Notes(Mutex<VecDeque<Note>>);

impl Notes {
    fn of(&self, owner: &str) -> Vec<String> {
        self.lock().iter().filter(|note| note.owner == owner).map(|note| note.text.clone()).collect()
    }

    fn add(&self, owner: String, text: String) {
        let mut notes = self.lock();
        if notes.len() == NOTES {
            notes.pop_front();
        }
        notes.push_back(Note { owner, text });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// The token of a request that is good for `scope`. Before this, nothing of the request is acted upon.
    async fn admit(&self, headers: &HeaderMap, scope: &'static str) -> Result<AccessToken, Refusal> {
        let admitted = async {
            let token = self.verifier.verify(bearer::token(headers)?).await?;
            token.require(scope)?;
            Ok(token)
        };
        admitted.await.map_err(|reason| Refusal { reason, scope })
    }
}

/// `GET /notes`
pub async fn list(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let token = api.admit(&headers, READ).await?;
    Ok(Json(json!({ "owner": token.sub, "notes": api.notes.of(&token.sub) })).into_response())
}

/// `POST /notes` takes `{"text": "..."}`.
pub async fn add(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let token = api.admit(&headers, WRITE).await?;
    let note = serde_json::from_slice(&body).ok().filter(|NewNote { text }| (1..=CHARACTERS).contains(&text.trim().chars().count()));
    let Some(NewNote { text }) = note else {
        let description = format!("The body is not a JSON object with a 'text' of 1 to {CHARACTERS} characters.");
        return Ok((StatusCode::BAD_REQUEST, Json(json!({ "error_description": description }))).into_response());
    };
    api.notes.add(token.sub.clone(), text.trim().to_owned());
    Ok((StatusCode::CREATED, Json(json!({ "owner": token.sub, "notes": api.notes.of(&token.sub) }))).into_response())
}
