//! People and how they prove who they are.

pub(crate) mod calibration;
pub(crate) mod chosen_password;
pub(crate) mod known_device;
pub(crate) mod password;
pub(crate) mod sign_in;
pub(crate) mod sign_up;
pub(crate) mod throttle;
