//! How a person, and a session of theirs, is called to a client (`OpenID` Core §8).

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
        SubjectType::Pairwise => pairwise(server, client, &[person_id.as_bytes()]).await,
    }
}

/// The `sid` that this client sees of a session: in ID tokens, logout tokens and the addresses of frames. Were it the same for
/// pairwise clients of several sectors, they could tell by it that they know one person.
pub(crate) async fn of_session(server: &Server, client: &Client, session_id: Uuid) -> Result<String> {
    match client.metadata.subject_type {
        SubjectType::Public => Ok(session_id.to_string()),
        SubjectType::Pairwise => pairwise(server, client, &[b"sid", session_id.as_bytes()]).await,
    }
}

/// A MAC over sector and person, or session, with a key of its own, which is never replaced (§8.1): clients of one sector see the
/// same, those of others cannot tell, and none learns who it is.
async fn pairwise(server: &Server, client: &Client, of: &[&[u8]]) -> Result<String> {
    let sector = client.sector_identifier().ok_or_else(|| {
        Error::internal(format!("the pairwise client '{}' has redirect URIs of several hosts: what is its sector?", client.id))
    })?;
    let key = server.keys().pairwise_subject_key().await?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(key.sign(&[&[sector.as_bytes()], of].concat())))
}
