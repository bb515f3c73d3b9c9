//! A request while the person signs in and consents: sealed in one URL parameter, so that nothing can be taken out of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    error::{Error, Result},
    oauth::Params,
    secret,
    server::Server,
    store::authorization_requests::InsertAuthorizationRequest,
};

/// How long a person may take.
const TIME_TO_LIVE: Duration = Duration::from_mins(30);
/// A larger request is kept in a row: URLs have limits.
const MAX_SEALED: usize = 2048;

/// The normalised request and when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub params: Params,
    pub asked_at: Timestamp,
    /// At which session the person chose to go on with its account.
    pub chosen: Option<Uuid>,
}

/// The parameter is not ours, or too old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stale;

#[derive(Serialize, Deserialize)]
struct Sealed {
    asked_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chosen: Option<Uuid>,
    request: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Params(Vec<(String, String)>),
    Row(Uuid),
}

impl Pending {
    /// Seals the request for a URL, or keeps it in a row and seals the row's id.
    pub(crate) async fn seal(&self, server: &Server) -> Result<String> {
        let params = self.params.pairs().to_vec();
        let sealed = self.sealed(server, Content::Params(params.clone()))?;
        if sealed.len() <= MAX_SEALED {
            return Ok(sealed);
        }
        let id = secret::new_id(self.asked_at);
        let expires_at = self.asked_at.after(TIME_TO_LIVE);
        server.store().write(InsertAuthorizationRequest { id, params, expires_at }).await?;
        self.sealed(server, Content::Row(id))
    }

    fn sealed(&self, server: &Server, request: Content) -> Result<String> {
        let sealed = Sealed { asked_at: self.asked_at, chosen: self.chosen, request };
        Ok(server.root_key().seal_authorization_request(&serde_json::to_vec(&sealed).map_err(Error::internal)?))
    }

    /// Opens what [`Pending::seal`] made.
    pub(crate) async fn open(server: &Server, sealed: &str) -> Result<Result<Self, Stale>> {
        let opened = server.root_key().open_authorization_request(sealed);
        let Some(Sealed { asked_at, chosen, request }) = opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()) else {
            return Ok(Err(Stale));
        };
        let now = server.clock().now();
        // No sign-in would be later than a request that is yet to come: the clock was set back.
        if now.since(asked_at) >= TIME_TO_LIVE || asked_at > now.after(server.config().keys.clock_margin) {
            return Ok(Err(Stale));
        }
        let params = match request {
            Content::Params(params) => params,
            Content::Row(id) => match server.store().authorization_request(id, now).await? {
                Some(params) => params,
                None => return Ok(Err(Stale)),
            },
        };
        Ok(Ok(Self { params: Params::from_pairs(params), asked_at, chosen }))
    }
}
