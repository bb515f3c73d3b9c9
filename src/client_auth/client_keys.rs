//! What a client signed, verified by what it is registered with: `jwks`, `jwks_uri`, or a secret that is kept sealed.

use serde::de::DeserializeOwned;

use crate::{
    jose::{ClientKeys, Jws, Unverified, verify_with_secrets},
    oauth::{Client, JwsAlgorithm, client::Trust},
    secret::{Sealed, Secret},
    server::Server,
};

/// The claims of a JWS that this client signed with one of the `allowed` algorithms. Issuer, audience and times are the caller's
/// to check.
pub(crate) async fn verify_jws<T: DeserializeOwned>(
    server: &Server,
    client: &Client,
    jws: &Jws<'_>,
    allowed: &[JwsAlgorithm],
) -> Result<T, Unverified> {
    if !allowed.contains(&jws.algorithm) {
        return Err(Unverified::Algorithm);
    }
    if jws.algorithm.secret_octets().is_some() {
        return verify_with_secrets(jws, &secrets(server, client));
    }
    match (&client.metadata.jwks, &client.metadata.jwks_uri) {
        (Some(set), _) => ClientKeys::of(set).map_err(|_| Unverified::KeySet)?.verify(jws),
        (None, Some(uri)) => verify_by_uri(server, client.trust, uri, jws).await,
        (None, None) => Err(Unverified::NoKeys),
    }
}

/// A key that is not in the set may be a new one (`OpenID` Core §10.1.1), and without a `kid` so may one that does not match.
async fn verify_by_uri<T: DeserializeOwned>(server: &Server, trust: Trust, uri: &str, jws: &Jws<'_>) -> Result<T, Unverified> {
    let outbound = server.connections().documents(trust);
    let keys = server.remote_keys().keys(outbound, uri).await?;
    match keys.verify(jws) {
        Err(refusal) if refusal == Unverified::NoKey || (refusal == Unverified::Signature && jws.kid.is_none()) => {
            match server.remote_keys().newer_than(&keys, outbound, uri).await? {
                Some(newer) => newer.verify(jws),
                None => Err(refusal),
            }
        }
        outcome => outcome,
    }
}

/// Those that were kept for this and have not ended. A sealed one that does not open was not sealed for this client.
fn secrets(server: &Server, client: &Client) -> Vec<Secret> {
    let open = |sealed: &Sealed| server.master_keys().open_client_secret(client.id.as_str(), sealed);
    client.valid_secrets(server.clock().now()).filter_map(|secret| secret.sealed.as_ref()).filter_map(open).collect()
}
