//! Signing out: what an app may ask for, and which clients are told that a session ended.

pub(crate) mod backchannel;
pub(crate) mod frontchannel;
mod request;

pub(crate) use request::{LogoutRequest, Step, WayBack};
