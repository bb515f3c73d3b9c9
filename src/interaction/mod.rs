//! What the person must still do before an authorization request can be answered.

mod answer;
mod next_step;
mod pending;
mod request_object;
mod validation;

pub(crate) use answer::{Answer, Next, Visit, asked_scope, deny, give_consent, is_meant, proceed};
pub(crate) use pending::Pending;
pub(crate) use validation::{Refusal, validate};
