//! JSON from outside (RFC 8259).

use serde_json::{Map, Value};

/// Whether a name or string of an object has the character NUL.
pub fn members_have_nul(members: &Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
}

/// Whether a name or string has the character NUL: PostgreSQL keeps it neither in `text` nor in `jsonb`.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members_have_nul(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_found_in_names_and_strings_at_any_depth() {
        for value in [json!("a\0"), json!(["", ["\0"]]), json!({ "\0": 1 }), json!({ "a": [{ "b": { "c": "\0" } }] })] {
            assert!(has_nul(&value), "{value}");
        }
        assert!(!has_nul(&json!({ "a": ["\u{1}", "\\u0000", 0, null, true] })));
    }
}
