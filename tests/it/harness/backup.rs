//! Backups as a reader of the format sees them, and rows with every awkward value in every table.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    path::Path,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::Value;

use super::{
    App, Backend, Database, TestServer,
    app::{bytes, timestamp},
    process::run,
};

impl Database {
    /// Backs it up with the command; tells the lines of the file.
    pub fn back_up(&self, name: &str) -> Vec<Value> {
        run(self, &["backup", name, "--force"]).assert_code(0);
        lines(&self.dir.join(name))
    }

    /// Puts rows with awkward values into every table: what is empty, null, at the ends of a range, beyond the BMP, with zero bytes.
    pub async fn fill(&self, tables: &[Value]) {
        let may_be_null = self.columns_that_may_be_null().await;
        for table in tables {
            let name = table["table"].as_str().unwrap();
            let columns: Vec<_> = table["columns"].as_array().unwrap().iter().collect();
            let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
            for row in 0..3 {
                let value = |column: &&Value| {
                    let is_null = row == 1 && may_be_null.contains(&format!("{name}.{}", column["name"].as_str().unwrap()));
                    if is_null { "NULL".to_owned() } else { self.awkward(column["kind"].as_str().unwrap(), row) }
                };
                let values: Vec<String> = columns.iter().map(value).collect();
                self.execute(&format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), values.join(", "))).await;
            }
        }
    }

    fn awkward(&self, kind: &str, row: usize) -> String {
        let id = [0_u128, 1, u128::MAX][row].to_be_bytes();
        match (kind, self.backend) {
            ("text", _) => ["''", "'𝄞 ''\" \\ é\u{1}\n\u{feff}'", "'Z'"][row].to_owned(),
            ("json", _) => [r#"'{"b": 1.5e300, "a": ["𝄞", null, 0.1, 1e16, -7, 1.0]}'"#, "'[]'", r#"'""'"#][row].to_owned(),
            ("number", _) => [i64::MIN.to_string(), i64::MAX.to_string(), "0".to_owned()][row].clone(),
            ("time", backend) => timestamp(backend, [-1, 253_402_214_400_000_000, 1_800_000_000_123_456][row]),
            ("bytes", backend) => bytes(backend, [&b"\0\xff\0"[..], b"", b"\0"][row]),
            ("id", Backend::Sqlite) => bytes(Backend::Sqlite, &id),
            ("id", Backend::Postgres) => format!("'{}'", uuid::Uuid::from_bytes(id)),
            other => panic!("{other:?}"),
        }
    }

    async fn columns_that_may_be_null(&self) -> BTreeSet<String> {
        let sql = match self.backend {
            Backend::Sqlite => {
                "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.\"notnull\" = 0"
            }
            Backend::Postgres => {
                "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' AND is_nullable = 'YES'"
            }
        };
        self.strings(sql).await.into_iter().collect()
    }
}

impl TestServer {
    /// A confidential web app that an earlier server on this database registered.
    pub fn registered(&self, id: &str) -> App<'_> {
        let redirect_uri = "https://app.example/callback".to_owned();
        App { server: self, id: id.to_owned(), secret: Some(format!("secret-of-{id}")), redirect_uri }
    }
}

/// The lines of a backup.
pub fn lines(path: &Path) -> Vec<Value> {
    text(path).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The text of a backup.
pub fn text(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// A backup with this text.
pub fn write(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

/// Each table's number of rows and digest.
pub fn digests(lines: &[Value]) -> BTreeMap<String, (u64, String)> {
    let ends = lines.iter().filter(|line| line["table"].is_string());
    ends.map(|end| (end["table"].as_str().unwrap().to_owned(), (end["rows"].as_u64().unwrap(), end["sha256"].as_str().unwrap().to_owned())))
        .collect()
}
