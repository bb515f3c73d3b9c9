//! A public document that caches may keep (RFC 9111), named by its entity tag (RFC 9110 §8.8.3).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// JSON that is made once and sent often. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub body: Bytes,
    /// A strong entity tag, with its quotation marks.
    pub etag: String,
}

impl Document {
    /// Names `body` by its hash.
    pub fn new(body: String) -> Self {
        let etag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..12]));
        Self { body: body.into(), etag }
    }
}
