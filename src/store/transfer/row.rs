//! A row between databases: exact values, its line in a file, and a digest that is the same whichever database keeps it.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::tables::{Kind, Table};
use crate::clock::Timestamp;

/// What a row holds in one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(i64),
    Time(Timestamp),
    /// The text as the database gives it.
    Json(String),
    Bytes(Vec<u8>),
    Id(Uuid),
}

/// The values of a row, in the order of the table's columns.
pub(crate) type Row = Vec<Value>;

impl Value {
    fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Text(text) | Self::Json(text) => text.clone().into(),
            Self::Number(number) => (*number).into(),
            Self::Time(time) => time.as_micros().into(),
            Self::Bytes(bytes) => BASE64_STANDARD_NO_PAD.encode(bytes).into(),
            Self::Id(id) => id.to_string().into(),
        }
    }

    fn from_json(kind: Kind, json: Json) -> Option<Self> {
        Some(match (kind, json) {
            (_, Json::Null) => Self::Null,
            (Kind::Text, Json::String(text)) => Self::Text(text),
            (Kind::Json, Json::String(text)) => Self::Json(text),
            (Kind::Bytes, Json::String(text)) => Self::Bytes(BASE64_STANDARD_NO_PAD.decode(text).ok()?),
            (Kind::Id, Json::String(text)) => Self::Id(Uuid::try_parse(&text).ok()?),
            (Kind::Number, number) => Self::Number(number.as_i64()?),
            (Kind::Time, number) => Self::Time(Timestamp::from_micros(number.as_i64()?)),
            _ => return None,
        })
    }
}

/// A row as one line of JSON, without its end.
pub(crate) fn to_line(row: &Row) -> String {
    Json::Array(row.iter().map(Value::to_json).collect()).to_string()
}

/// What [`to_line`] made for this table; `None` for anything else.
pub(crate) fn from_line(table: &Table, line: &[u8]) -> Option<Row> {
    let values: Vec<Json> = serde_json::from_slice(line).ok()?;
    if values.len() != table.columns.len() {
        return None;
    }
    table.columns.iter().zip(values).map(|(column, value)| Value::from_json(column.kind, value)).collect()
}

/// How many rows a table has, and what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub rows: u64,
    pub sha256: String,
}

/// Reads rows in the order of their key into a [`Content`].
#[derive(Clone, Default)]
pub(crate) struct Contents {
    rows: u64,
    hash: Sha256,
}

impl Contents {
    pub(crate) fn add(&mut self, row: &Row) {
        let canonical = |value: &Value| match value {
            Value::Json(text) => canonical(text).into(),
            value => value.to_json(),
        };
        let line = Json::Array(row.iter().map(canonical).collect()).to_string();
        self.rows += 1;
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn finish(self) -> Content {
        Content { rows: self.rows, sha256: crate::secret::hex(&self.hash.finalize()) }
    }
}

/// JSON without what a JSONB does not keep: white space, the order of members, how a number is written.
fn canonical(text: &str) -> String {
    match serde_json::from_str::<Json>(text) {
        Ok(json) => with_plain_numbers(json).to_string(),
        Err(_) => text.to_owned(),
    }
}

fn with_plain_numbers(json: Json) -> Json {
    /// From here on not every whole number is one of a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match json {
        Json::Number(number) => match number.as_f64() {
            Some(0.0) => "0".into(),
            Some(float) if float.fract() == 0.0 && float.abs() < EXACT => format!("{float:.0}").into(),
            // The last digit is the parser's rounding, which depends on how the number is written.
            Some(float) => format!("{float:.14e}").into(),
            None => Json::Number(number),
        },
        Json::Array(items) => items.into_iter().map(with_plain_numbers).collect(),
        Json::Object(members) => Json::Object(members.into_iter().map(|(name, value)| (name, with_plain_numbers(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tables::TABLES, *};

    #[test]
    fn json_is_the_same_however_it_is_written() {
        for (one, other) in [
            (r#"{"b": 1, "a": [true, null]}"#, r#"{"a":[true,null],"b":1.0}"#),
            ("1e16", "10000000000000000"),
            ("1.5e300", &format!("15{}", "0".repeat(299))),
            ("1e-7", "0.0000001"),
            ("0", "-0.0"),
            (r#""\u00e9""#, "\"é\""),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one} {other}");
        }
        for (one, other) in
            [("1", "2"), ("1", r#""1x""#), ("9007199254740990", "9007199254740991"), ("[]", "{}"), ("null", r#""null""#), ("-1", "1")]
        {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    fn value(kind: Kind) -> BoxedStrategy<Value> {
        let some = match kind {
            Kind::Text => any::<String>().prop_map(Value::Text).boxed(),
            Kind::Json => any::<String>().prop_map(Value::Json).boxed(),
            Kind::Number => any::<i64>().prop_map(Value::Number).boxed(),
            Kind::Time => any::<i64>().prop_map(|micros| Value::Time(Timestamp::from_micros(micros))).boxed(),
            Kind::Bytes => prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes).boxed(),
            Kind::Id => any::<u128>().prop_map(|id| Value::Id(Uuid::from_u128(id))).boxed(),
        };
        prop_oneof![Just(Value::Null), some].boxed()
    }

    fn row_of(table: usize) -> impl Strategy<Value = (usize, Row)> {
        let columns: Vec<_> = TABLES[table].columns.iter().map(|column| value(column.kind)).collect();
        columns.prop_map(move |row| (table, row))
    }

    proptest! {
        #[test]
        fn a_line_gives_the_row_back_exactly((table, row) in (0..TABLES.len()).prop_flat_map(row_of)) {
            let line = to_line(&row);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(from_line(&TABLES[table], line.as_bytes()), Some(row));
        }

        #[test]
        fn no_line_makes_reading_panic(line in ".{0,60}", table in 0..TABLES.len()) {
            let _ = from_line(&TABLES[table], line.as_bytes());
        }
    }
}
