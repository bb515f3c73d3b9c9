//! A confidential client, written with the `oauth2` crate as any app could write it.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{Request, StatusCode, header};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AccessToken, AsyncHttpClient, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenIntrospectionResponse as _, TokenResponse as _,
};
use tokio::sync::OnceCell;
use url::{Url, form_urlencoded};

use super::callback::{Pending, TrustedCode};
use super::discovery::{DiscoveryError, Metadata};
use super::exchange::{Exchange, Kind};
use crate::outbound::{Outbound, OutboundError};

/// The `oauth2` client; revocation is ours, see [`Client::revoke`].
type OAuth = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointNotSet, EndpointSet>;

/// What the authorization server knows this app by, and where it is.
pub struct Registration {
    pub issuer: String,
    pub client_id: ClientId,
    pub client_secret: ClientSecret,
    pub redirect_uri: RedirectUrl,
    /// Asked for at every sign-in; none asks for what the client is registered for.
    pub scopes: Vec<Scope>,
}

pub struct Client {
    registration: Registration,
    outbound: Outbound,
    discovered: OnceCell<Discovered>,
}

struct Discovered {
    metadata: Metadata,
    oauth: OAuth,
}

/// What a sign-in or a refresh obtained.
pub struct Tokens {
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    pub token_type: String,
    pub expires_in: Option<Duration>,
    pub scope: Option<String>,
}

/// Why a request did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server's own words (OAuth 2.1 §3.2.4, §4.1.2.1).
    Refused { error: String, description: Option<String> },
    /// No answer came.
    Unreachable,
    /// An answer came that makes no sense here.
    Unexpected,
}

/// The HTTP client of the `oauth2` crate for one step of the app: it keeps what went over the wire.
pub struct Wire<'a> {
    outbound: &'a Outbound,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Client {
    pub fn new(registration: Registration, outbound: Outbound) -> Self {
        Self { registration, outbound, discovered: OnceCell::new() }
    }

    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// Whether the server promises `iss` in its authorization responses.
    pub async fn announces_iss(&self) -> Result<bool, Failure> {
        Ok(self.discovered().await?.metadata.authorization_response_iss_parameter_supported)
    }

    /// A new authorization request (OAuth 2.1 §4.1.1), with fresh `state` and PKCE.
    pub async fn begin(&self) -> Result<Pending, Failure> {
        let oauth = &self.discovered().await?.oauth;
        let (challenge, code_verifier) = PkceCodeChallenge::new_random_sha256();
        let (authorization_request, state) = oauth
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.registration.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        Ok(Pending { state, code_verifier, authorization_request })
    }

    pub fn wire(&self) -> Wire<'_> {
        Wire::new(&self.outbound)
    }

    /// Redeems the code of an authorization response (OAuth 2.1 §4.1.3).
    pub async fn redeem(&self, wire: &Wire<'_>, trusted: TrustedCode) -> Result<Tokens, Failure> {
        let request = self.discovered().await?.oauth.exchange_code(trusted.code);
        let request = request.set_pkce_verifier(trusted.pending.code_verifier);
        Ok(request.request_async(wire).await?.into())
    }

    /// OAuth 2.1 §4.3.1.
    pub async fn refresh(&self, wire: &Wire<'_>, refresh_token: &RefreshToken) -> Result<Tokens, Failure> {
        let request = self.discovered().await?.oauth.exchange_refresh_token(refresh_token);
        Ok(request.request_async(wire).await?.into())
    }

    /// Whether the token is active (RFC 7662).
    pub async fn introspect(&self, wire: &Wire<'_>, access_token: &AccessToken) -> Result<bool, Failure> {
        let request = self.discovered().await?.oauth.introspect(access_token);
        let request = request.set_token_type_hint("access_token");
        Ok(request.request_async(wire).await?.active())
    }

    /// Revokes the refresh token and all that came of it, or else the access token (RFC 7009).
    ///
    /// Not by the `oauth2` crate: it refuses a revocation endpoint without TLS, even on loopback.
    pub async fn revoke(&self, wire: &Wire<'_>, tokens: &Tokens) -> Result<(), Failure> {
        let (token, hint) = match &tokens.refresh_token {
            Some(token) => (token.secret(), "refresh_token"),
            None => (tokens.access_token.secret(), "access_token"),
        };
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair("token", token).append_pair("token_type_hint", hint).finish();
        let request = Request::post(self.discovered().await?.metadata.revocation_endpoint.as_str())
            .header(header::AUTHORIZATION, self.basic_credentials())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(body.into_bytes())
            .map_err(|_| Failure::Unexpected)?;
        let response = wire.send(Kind::Direct, request).await.map_err(|error| Failure::from(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        let refusal = serde_json::from_slice::<BasicErrorResponse>(response.body());
        Err(refusal.map_or(Failure::Unexpected, |refusal| Failure::from(&refusal)))
    }

    /// `client_secret_basic`: id and secret are form-encoded before they are joined (OAuth 2.1 §2.4.1).
    fn basic_credentials(&self) -> String {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let id = encode(&self.registration.client_id);
        let secret = encode(self.registration.client_secret.secret());
        format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }

    /// The metadata, fetched at first use, so that the app may start before the server.
    async fn discovered(&self) -> Result<&Discovered, Failure> {
        let fetch = async || {
            let metadata = Metadata::fetch(&self.registration.issuer, &self.outbound).await?;
            let oauth = BasicClient::new(self.registration.client_id.clone())
                .set_client_secret(self.registration.client_secret.clone())
                .set_redirect_uri(self.registration.redirect_uri.clone())
                .set_auth_uri(metadata.authorization_endpoint.clone())
                .set_token_uri(metadata.token_endpoint.clone())
                .set_introspection_url(metadata.introspection_endpoint.clone());
            Ok(Discovered { metadata, oauth })
        };
        self.discovered.get_or_try_init(fetch).await.map_err(|error: DiscoveryError| Failure::from(&error))
    }
}

impl Tokens {
    /// What a refresh leaves out stays as it was (OAuth 2.1 §3.2.3, §4.3.2).
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        self.refresh_token = self.refresh_token.or_else(|| before.refresh_token.clone());
        self.scope = self.scope.or_else(|| before.scope.clone());
        self
    }
}

impl From<BasicTokenResponse> for Tokens {
    fn from(response: BasicTokenResponse) -> Self {
        let scope = response.scopes().map(|scopes| {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            scopes.join(" ")
        });
        Self {
            access_token: response.access_token().clone(),
            refresh_token: response.refresh_token().cloned(),
            token_type: response.token_type().as_ref().to_owned(),
            expires_in: response.expires_in(),
            scope,
        }
    }
}

impl From<&BasicErrorResponse> for Failure {
    fn from(response: &BasicErrorResponse) -> Self {
        Self::Refused { error: response.error().to_string(), description: response.error_description().cloned() }
    }
}

impl From<&OutboundError> for Failure {
    fn from(error: &OutboundError) -> Self {
        tracing::warn!(error = ?error, "the sample app got no answer from the server");
        Self::Unreachable
    }
}

impl From<&DiscoveryError> for Failure {
    fn from(error: &DiscoveryError) -> Self {
        tracing::warn!(error = ?error, "the sample app cannot read the server's metadata");
        Self::Unreachable
    }
}

impl From<RequestTokenError<OutboundError, BasicErrorResponse>> for Failure {
    fn from(error: RequestTokenError<OutboundError, BasicErrorResponse>) -> Self {
        match &error {
            RequestTokenError::ServerResponse(response) => Self::from(response),
            RequestTokenError::Request(error) => Self::from(error),
            // Neither is logged: what does not parse may hold a token.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Self::Unexpected,
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Wire<'_> {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(Kind::Direct, request))
    }
}

impl<'a> Wire<'a> {
    pub fn new(outbound: &'a Outbound) -> Self {
        Self { outbound, exchanges: Mutex::default() }
    }

    /// Keeps a request that the browser sent.
    pub fn navigated(&self, kind: Kind, url: &Url) {
        self.keep(Exchange::navigation(kind, url));
    }

    pub async fn send(&self, kind: Kind, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        let mut exchange = Exchange::request(kind, &request);
        let response = self.outbound.send(request).await;
        if let Ok(response) = &response {
            exchange.answered(response);
        }
        self.keep(exchange);
        response
    }

    fn keep(&self, exchange: Exchange) {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }

    pub fn into_exchanges(self) -> Vec<Exchange> {
        self.exchanges.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OAuth 2.1 §2.4.1.
    #[test]
    fn credentials_are_form_encoded_before_they_are_joined() {
        let registration = Registration {
            issuer: "http://as.example".to_owned(),
            client_id: ClientId::new("an app".to_owned()),
            client_secret: ClientSecret::new("a:b+c".to_owned()),
            redirect_uri: RedirectUrl::new("http://app.example/callback".to_owned()).unwrap(),
            scopes: Vec::new(),
        };
        let client =
            Client::new(registration, Outbound::new(crate::outbound::Limits::default(), crate::outbound::Reach::loopback(), None).unwrap());
        let encoded = client.basic_credentials();
        let decoded = BASE64_STANDARD.decode(encoded.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(decoded, b"an+app:a%3Ab%2Bc");
    }
}
