//! How each kind of token is made and recognised.

pub(crate) mod access_token;
pub(crate) mod refresh_token;
