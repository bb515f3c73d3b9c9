//! What an access token will be, decided before anything is spent: its resources (RFC 8707), what of the granted scope has a
//! meaning to them, how long it lives, what signs it.

use std::time::Duration;

use crate::{
    error::Result,
    oauth::{
        Algorithm, Client, Resource, Scope,
        protected_resource::{self, Agreed},
    },
    server::Server,
};

/// Holding them is the proof that the resources of the token agree.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Empty for the server itself.
    pub resources: Vec<Resource>,
    pub scope: Scope,
    pub lifetime: Duration,
    /// None for what the configuration says.
    pub algorithm: Option<Algorithm>,
}

impl Terms {
    /// The terms of a token of this client for these resources, with what they know of `scope`.
    pub(crate) async fn of(server: &Server, client: &Client, scope: &Scope, resources: Vec<Resource>) -> Result<Self> {
        let registered = server.resources(&resources).await?;
        let Agreed { scope, algorithm } = protected_resource::agreed(&registered, scope)?;
        Ok(Self {
            resources,
            scope,
            lifetime: protected_resource::lifetime(&registered, server.config().tokens.access_token_ttl),
            algorithm: algorithm.or(client.metadata.access_token_signing_alg),
        })
    }
}
