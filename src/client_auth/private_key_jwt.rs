//! `private_key_jwt`: an assertion signed with a key whose public half is registered (`OpenID` Core §9).

use crate::oauth::{Client, JwsAlgorithm};

/// The algorithm that the client registered, else any that has a private key.
pub(super) fn algorithms(client: &Client) -> &'static [JwsAlgorithm] {
    JwsAlgorithm::allowed(client.metadata.token_endpoint_auth_signing_alg.as_deref(), JwsAlgorithm::ASYMMETRIC)
}
