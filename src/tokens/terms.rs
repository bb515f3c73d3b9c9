//! What an access token will be, decided before anything is spent: its resources (RFC 8707), what of the granted scope has a
//! meaning to them, how long it lives, what signs it.

use std::time::Duration;

use crate::{
    error::Result,
    oauth::{
        Algorithm, Client, Scope,
        protected_resource::{self, Agreed},
        resource::Target,
    },
    server::Server,
};

/// Holding them is the proof that the resources of the token agree.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub audience: Vec<String>,
    pub scope: Scope,
    /// Which claims about a person it carries: those that its client gets, and those that its resources get (RFC 9068 §2.2.3.1).
    pub claims: Vec<String>,
    pub lifetime: Duration,
    /// None for what the configuration says.
    pub algorithm: Option<Algorithm>,
}

impl Terms {
    /// The terms of a token of this client for these resources, with what they know of `scope`.
    pub(crate) async fn of(server: &Server, client: &Client, scope: &Scope, target: &Target) -> Result<Self> {
        let registered = server.resources(&target.resources).await?;
        let Agreed { scope, algorithm } = protected_resource::agreed(&registered, scope)?;
        Ok(Self {
            audience: target.audience(&scope, &server.config().issuer),
            claims: registered.iter().flatten().flat_map(|resource| &resource.claims).chain(&client.metadata.claims).cloned().collect(),
            scope,
            lifetime: protected_resource::lifetime(&registered, server.config().tokens.access_token_ttl),
            algorithm: algorithm.or(client.metadata.access_token_signing_alg),
        })
    }
}
