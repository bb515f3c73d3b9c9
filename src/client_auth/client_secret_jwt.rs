//! `client_secret_jwt`: an assertion whose MAC is keyed by the client's secret (`OpenID` Core §9).

use crate::oauth::{Client, JwsAlgorithm};

/// The algorithm that the client registered, else any that is a MAC.
pub(super) fn algorithms(client: &Client) -> &'static [JwsAlgorithm] {
    JwsAlgorithm::allowed(client.metadata.token_endpoint_auth_signing_alg.as_deref(), JwsAlgorithm::SYMMETRIC)
}
