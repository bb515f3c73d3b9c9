//! How a person is called to a client (`OpenID` Core §8).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    oauth::{Client, client_metadata::SubjectType},
    server::Server,
};

/// The `sub` of every token, answer and logout token about this person that this client sees.
pub(crate) async fn of(server: &Server, client: &Client, person_id: Uuid) -> Result<String> {
    match client.metadata.subject_type {
        SubjectType::Public => Ok(person_id.to_string()),
        SubjectType::Pairwise => pairwise(server, client, person_id).await,
    }
}

/// A MAC over sector and person with a key of its own, which is never replaced (§8.1): clients of one sector see the same
/// person, those of others cannot tell, and none learns who it is.
async fn pairwise(server: &Server, client: &Client, person_id: Uuid) -> Result<String> {
    let sector = client.sector_identifier().ok_or_else(|| {
        Error::internal(format!("the pairwise client '{}' has redirect URIs of several hosts: what is its sector?", client.id))
    })?;
    let key = server.keys().pairwise_subject_key().await?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(key.sign(&[sector.as_bytes(), person_id.as_bytes()])))
}
