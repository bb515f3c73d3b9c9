//! The claims of an access token (RFC 9068 §2.2).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::Scope;

/// The `acr` of a person who proved one factor; a second one would make it `2`.
pub const ACR_ONE_FACTOR: &str = "1";

/// The payload of a JWT access token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    pub iss: String,
    /// How the client calls the person (`OpenID` Core §8); for `client_credentials` its own id (RFC 9068 §2.2).
    pub sub: String,
    #[serde(with = "one_or_many")]
    pub aud: Vec<String>,
    pub client_id: String,
    pub scope: Scope,
    pub jti: Uuid,
    /// `NumericDate`.
    pub iat: i64,
    /// `NumericDate`.
    pub exp: i64,
    /// When the person signed in (`NumericDate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How strongly the person is authenticated (`OpenID` Core §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// How the person signed in (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The id of the grant: ours, so that our own endpoints can see whether it still stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<Uuid>,
    /// Of the person, where client or resource are registered for it: `roles`, `groups` (RFC 9068 §2.2.3.1), attributes.
    #[serde(flatten)]
    pub person: serde_json::Map<String, serde_json::Value>,
}

/// RFC 7519 §4.1.3: a single audience may be a string.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub fn serialize<S: Serializer>(values: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        match values {
            [only] => only.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        })
    }
}
