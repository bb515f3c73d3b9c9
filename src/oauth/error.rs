//! Every registered error code with its status (OAuth 2.1 §3.2.4 and §4.1.2.1, RFC 6750 §3.1, RFC 7591 §3.2.2, RFC 8707 §2, RFC 9101 §7,
//! `OpenID` Core §3.1.2.6, `unmet_authentication_requirements` 1.0).

use std::{borrow::Cow, fmt};

/// A code of the IANA registry "OAuth Extensions Error".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    AccessDenied,
    ConsentRequired,
    InsufficientScope,
    InvalidClient,
    InvalidClientMetadata,
    InvalidGrant,
    InvalidRedirectUri,
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    InvalidScope,
    InvalidSoftwareStatement,
    InvalidTarget,
    InvalidToken,
    LoginRequired,
    RequestNotSupported,
    RequestUriNotSupported,
    ServerError,
    TemporarilyUnavailable,
    UnapprovedSoftwareStatement,
    UnauthorizedClient,
    UnmetAuthenticationRequirements,
    UnsupportedGrantType,
    UnsupportedResponseType,
}

impl ErrorCode {
    /// Every code, each at the place of its number.
    pub const ALL: &[Self] = &[
        Self::AccessDenied,
        Self::ConsentRequired,
        Self::InsufficientScope,
        Self::InvalidClient,
        Self::InvalidClientMetadata,
        Self::InvalidGrant,
        Self::InvalidRedirectUri,
        Self::InvalidRequest,
        Self::InvalidRequestObject,
        Self::InvalidRequestUri,
        Self::InvalidScope,
        Self::InvalidSoftwareStatement,
        Self::InvalidTarget,
        Self::InvalidToken,
        Self::LoginRequired,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::UnapprovedSoftwareStatement,
        Self::UnauthorizedClient,
        Self::UnmetAuthenticationRequirements,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
    ];

    /// The registered string, and the HTTP status when the answer is not a redirect.
    const fn row(self) -> (&'static str, u16) {
        match self {
            Self::AccessDenied => ("access_denied", 403),
            Self::ConsentRequired => ("consent_required", 400),
            Self::InsufficientScope => ("insufficient_scope", 403),
            Self::InvalidClient => ("invalid_client", 401),
            Self::InvalidClientMetadata => ("invalid_client_metadata", 400),
            Self::InvalidGrant => ("invalid_grant", 400),
            Self::InvalidRedirectUri => ("invalid_redirect_uri", 400),
            Self::InvalidRequest => ("invalid_request", 400),
            Self::InvalidRequestObject => ("invalid_request_object", 400),
            Self::InvalidRequestUri => ("invalid_request_uri", 400),
            Self::InvalidScope => ("invalid_scope", 400),
            Self::InvalidSoftwareStatement => ("invalid_software_statement", 400),
            Self::InvalidTarget => ("invalid_target", 400),
            Self::InvalidToken => ("invalid_token", 401),
            Self::LoginRequired => ("login_required", 400),
            Self::RequestNotSupported => ("request_not_supported", 400),
            Self::RequestUriNotSupported => ("request_uri_not_supported", 400),
            Self::ServerError => ("server_error", 500),
            Self::TemporarilyUnavailable => ("temporarily_unavailable", 503),
            Self::UnapprovedSoftwareStatement => ("unapproved_software_statement", 400),
            Self::UnauthorizedClient => ("unauthorized_client", 400),
            Self::UnmetAuthenticationRequirements => ("unmet_authentication_requirements", 400),
            Self::UnsupportedGrantType => ("unsupported_grant_type", 400),
            Self::UnsupportedResponseType => ("unsupported_response_type", 400),
        }
    }

    /// The registered string.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status when the answer is not a redirect.
    pub const fn status(self) -> u16 {
        self.row().1
    }
}

/// A refusal that is always safe to show: the description says what to change and never echoes input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    pub code: ErrorCode,
    /// Characters of OAuth 2.1 §3.2.4: printable ASCII without `"` and `\`.
    pub description: Cow<'static, str>,
}

impl OAuthError {
    /// A refusal with a fixed description.
    pub fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description: Cow::Borrowed(description) }
    }

    /// `invalid_request`.
    pub fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_request` because a parameter, named by us, is missing.
    pub fn missing(parameter: &'static str) -> Self {
        Self { code: ErrorCode::InvalidRequest, description: Cow::Owned(format!("The parameter '{parameter}' is missing.")) }
    }

    /// `invalid_grant`.
    pub fn invalid_grant(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// `invalid_scope`.
    pub fn invalid_scope(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidScope, description)
    }

    /// `invalid_target` (RFC 8707 §2).
    pub fn invalid_target(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidTarget, description)
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl std::error::Error for OAuthError {}
