//! How a person is called to a client (`OpenID` Core §8).

use uuid::Uuid;

use crate::{error::Result, oauth::Client, server::Server};

/// The `sub` of every token, answer and logout token about this person that this client sees.
#[expect(clippy::unused_async, reason = "pairwise subjects need a key of the ring")]
pub(crate) async fn of(_server: &Server, _client: &Client, person_id: Uuid) -> Result<String> {
    Ok(person_id.to_string())
}
