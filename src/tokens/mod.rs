//! How each kind of token is made and recognised.

pub(crate) mod access_token;
pub(crate) mod id_token;
pub(crate) mod logout_token;
pub(crate) mod person_claims;
pub(crate) mod refresh_token;
pub(crate) mod subject;
pub(crate) mod terms;
