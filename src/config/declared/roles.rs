//! `[roles]`: which roles there are, where the operator lists them; and groups, which are the operator's to name.

use std::collections::BTreeMap;

use super::super::mistakes::nearest;

/// Whether this can be the name of a role at all.
pub(in crate::config) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.trim() == text && !text.chars().any(char::is_control)
}

/// Whether this can be the name of a group.
pub(in crate::config) fn check_group(group: &str) -> Result<(), String> {
    if is_name(group) { Ok(()) } else { Err("a group has 1 to 100 characters on one line, without spaces around it".to_owned()) }
}

/// Whether a person may have this role: where `[roles]` lists some, it must be one of them.
pub(in crate::config) fn check(role: &str, known: &BTreeMap<String, String>) -> Result<(), String> {
    if !is_name(role) {
        return Err("a role has 1 to 100 characters on one line, without spaces around it".to_owned());
    }
    if known.is_empty() || known.contains_key(role) {
        return Ok(());
    }
    let names: Vec<String> = known.keys().cloned().collect();
    Err(match nearest(role, &names) {
        Some(meant) => format!("there is no role '{role}' in [roles]: did you mean '{meant}'?"),
        None => format!("there is no role '{role}' in [roles]: it must be one of {}, or be added there", names.join(", ")),
    })
}
