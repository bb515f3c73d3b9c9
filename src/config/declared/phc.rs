//! The form of a password hash that a file may give: a PHC string of Argon2id (RFC 9106).

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};

const FORM: &str =
    "must be an Argon2id hash in PHC form, $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH, with salt and hash in base64 without padding";
const COSTS: &str = "must have m from 8 times p to 262144, t from 1 to 20 and p from 1 to 16";

/// Whether sign-in could compare a password with this, at a price that the server can pay.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let ["", "argon2id", "v=19", costs, salt, hash] = text.split('$').collect::<Vec<_>>()[..] else { return Err(FORM) };
    let [memory, passes, lanes] = costs.split(',').collect::<Vec<_>>()[..] else { return Err(FORM) };
    let number = |text: &str, name: &str| {
        text.strip_prefix(name).filter(|digits| !digits.starts_with(['0', '+'])).and_then(|digits| digits.parse::<u32>().ok())
    };
    let (Some(memory), Some(passes), Some(lanes)) = (number(memory, "m="), number(passes, "t="), number(lanes, "p=")) else {
        return Err(FORM);
    };
    let len = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).map_or(0, |bytes| bytes.len());
    if !(8..=48).contains(&len(salt)) || !(16..=64).contains(&len(hash)) {
        return Err(FORM);
    }
    if !(1..=16).contains(&lanes) || !(1..=20).contains(&passes) || !(8 * lanes..=262_144).contains(&memory) {
        return Err(COSTS);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT_AND_HASH: &str = "c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG2Rdescudv0A";

    #[test]
    fn an_argon2id_hash_is_accepted() {
        for costs in ["m=19456,t=2,p=1", "m=8,t=1,p=1", "m=262144,t=20,p=16"] {
            assert_eq!(check(&format!("$argon2id$v=19${costs}${SALT_AND_HASH}")), Ok(()), "{costs}");
        }
    }

    #[test]
    fn another_algorithm_or_form_is_refused() {
        for text in [
            "",
            "hunter2",
            "$2b$12$abcdefghijklmnopqrstuv",
            &format!("$argon2i$v=19$m=19456,t=2,p=1${SALT_AND_HASH}"),
            &format!("$argon2id$v=16$m=19456,t=2,p=1${SALT_AND_HASH}"),
            &format!("$argon2id$v=19$t=2,m=19456,p=1${SALT_AND_HASH}"),
            &format!("$argon2id$v=19$m=+19456,t=2,p=1${SALT_AND_HASH}"),
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$!",
        ] {
            assert_eq!(check(text), Err(FORM), "{text}");
        }
    }

    /// A hash that takes the machine's memory would make each attempt to sign in as this person an attack.
    #[test]
    fn a_hash_that_costs_too_much_is_refused() {
        for costs in ["m=1048577,t=1,p=1", "m=19456,t=101,p=1", "m=19456,t=2,p=17", "m=8,t=1,p=2"] {
            assert_eq!(check(&format!("$argon2id$v=19${costs}${SALT_AND_HASH}")), Err(COSTS), "{costs}");
        }
    }
}
