//! Authorization server metadata (RFC 8414): the issuer is all that the app is told; it finds the rest.

use http::{Request, StatusCode, header};
use oauth2::{AuthUrl, IntrospectionUrl, RevocationUrl, TokenUrl};
use serde::Deserialize;
use url::Url;

use crate::outbound::{Outbound, OutboundError};

/// The members that the demo's apps and API use.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: AuthUrl,
    pub token_endpoint: TokenUrl,
    pub introspection_endpoint: IntrospectionUrl,
    pub revocation_endpoint: RevocationUrl,
    pub jwks_uri: Url,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the issuer is not a URL")]
    Issuer(#[from] url::ParseError),
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the document is not the metadata of an authorization server")]
    Document(#[from] serde_json::Error),
    #[error("the document names another issuer")]
    OtherIssuer,
}

impl Metadata {
    /// Fetches the document of an issuer.
    pub async fn fetch(issuer: &str, outbound: &Outbound) -> Result<Self, DiscoveryError> {
        let request = Request::get(well_known(issuer)?).header(header::ACCEPT, "application/json").body(Vec::new())?;
        let response = outbound.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(DiscoveryError::Status(response.status()));
        }
        Self::from_document(response.body(), issuer)
    }

    fn from_document(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let metadata: Self = serde_json::from_slice(document)?;
        // RFC 8414 §3.3: identical, or nothing in the document may be used.
        if metadata.issuer == issuer { Ok(metadata) } else { Err(DiscoveryError::OtherIssuer) }
    }
}

/// RFC 8414 §3.1: the well-known part goes between the host and the path of the issuer.
fn well_known(issuer: &str) -> Result<String, url::ParseError> {
    let mut url = Url::parse(issuer)?;
    let path = format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str) -> Vec<u8> {
        format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"http://as.example/a","token_endpoint":"http://as.example/t",
            "introspection_endpoint":"http://as.example/i","revocation_endpoint":"http://as.example/r","jwks_uri":"http://as.example/k"}}"#
        )
        .into_bytes()
    }

    /// RFC 8414 §3.1, with its example of an issuer with a path.
    #[test]
    fn the_well_known_part_stands_before_the_path() {
        for (issuer, url) in [
            ("https://example.com", "https://example.com/.well-known/oauth-authorization-server"),
            ("https://example.com/issuer1", "https://example.com/.well-known/oauth-authorization-server/issuer1"),
            ("http://127.0.0.1:8080/a/", "http://127.0.0.1:8080/.well-known/oauth-authorization-server/a"),
        ] {
            assert_eq!(well_known(issuer).unwrap(), url);
        }
    }

    /// RFC 8414 §3.3.
    #[test]
    fn a_document_of_another_issuer_is_refused() {
        assert!(Metadata::from_document(&document("http://as.example"), "http://as.example").is_ok());
        for other in ["http://as.example/", "http://as.example:80", "http://other.example"] {
            let error = Metadata::from_document(&document(other), "http://as.example").unwrap_err();
            assert!(matches!(error, DiscoveryError::OtherIssuer), "{other}");
        }
    }

    #[test]
    fn a_document_without_its_endpoints_is_refused() {
        let error = Metadata::from_document(br#"{"issuer":"http://as.example"}"#, "http://as.example").unwrap_err();
        assert!(matches!(error, DiscoveryError::Document(_)));
    }
}
