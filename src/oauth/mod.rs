//! What the specifications say: values and rules, without I/O and without a framework.

pub mod algorithm;
pub mod authorization_request;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod client_auth_method;
pub mod client_metadata;
pub mod client_secret;
pub mod document;
pub mod email;
pub mod error;
pub mod grant_type;
pub mod issuer;
pub mod json;
pub mod jws_algorithm;
pub mod metadata;
pub mod params;
pub mod pkce;
pub mod prompt;
pub mod protected_resource;
pub mod redirect_uri;
pub mod registration;
pub mod request_object;
pub mod resource;
pub mod response_mode;
pub mod scope;
pub mod standard_claims;
pub mod token_response;
pub mod web_origin;
pub mod webfinger;

pub use algorithm::Algorithm;
pub use authorization_request::AuthorizationRequest;
pub use client::{Client, ClientId};
pub use client_metadata::ClientMetadata;
pub use document::Document;
pub use email::Email;
pub use error::{ErrorCode, OAuthError};
pub use grant_type::GrantType;
pub use issuer::Issuer;
pub use jws_algorithm::JwsAlgorithm;
pub use params::Params;
pub use protected_resource::ProtectedResource;
pub use redirect_uri::{PostLogoutAddress, RedirectUri, ReturnAddress};
pub use resource::Resource;
pub use response_mode::ResponseMode;
pub use scope::Scope;
pub use web_origin::WebOrigin;

#[cfg(test)]
mod tests;
