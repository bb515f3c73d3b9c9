//! The sample machine client: a program that speaks for itself (OAuth 2.1 §4.2).

use oauth2::basic::BasicClient;
use oauth2::{AccessToken, ClientId, ClientSecret, TokenResponse as _};
use url::Url;

use super::api_call;
use super::client::{Failure, Wire};
use super::discovery::Metadata;
use super::step::{Outcome, Step};
use crate::outbound::Outbound;

pub struct Machine {
    pub issuer: String,
    pub client_id: ClientId,
    pub client_secret: ClientSecret,
    pub api_url: Url,
    pub outbound: Outbound,
}

impl Machine {
    /// Gets a token and calls the API with it. A real program keeps the token until it expires.
    pub async fn run(&self) -> Step {
        let wire = Wire::new(&self.outbound);
        let outcome = async {
            let token = self.token(&wire).await?;
            api_call::read_notes(&wire, &self.api_url, &token).await
        };
        let outcome = outcome.await.unwrap_or_else(Outcome::Failed);
        Step { outcome, exchanges: wire.into_exchanges() }
    }

    async fn token(&self, wire: &Wire<'_>) -> Result<AccessToken, Failure> {
        let metadata = Metadata::fetch(&self.issuer, &self.outbound).await.map_err(|error| Failure::from(&error))?;
        let client =
            BasicClient::new(self.client_id.clone()).set_client_secret(self.client_secret.clone()).set_token_uri(metadata.token_endpoint);
        Ok(client.exchange_client_credentials().request_async(wire).await?.access_token().clone())
    }
}
