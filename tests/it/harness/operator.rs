//! What an operator does while the server runs, and the keys that only the server should have.

use std::{ops::AsyncFnMut, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use grantor::{clock::Clock, routes::Routes, server::Server};
use jsonwebtoken::EncodingKey;

use super::{App, Backend, Database, TestServer, app::timestamp, config, database::MASTER_KEY};

/// Longer than any cache lives, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until something is so. Caches go by real time, which no test can move.
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it becomes so within seconds");
}

impl TestServer {
    /// Starts a server on a database without a table, by a clock that the command line has, too.
    pub async fn start_at_the_time_of_the_machine(backend: Backend) -> Self {
        let database = Database::empty(backend).await;
        let clock = Clock::moved_from(Clock::system().now());
        let server = Server::start(config(&database, &[]), clock.clone()).await.unwrap();
        Self { routes: Routes::new(&server), path: String::new(), clock, database, server }
    }

    /// The time as a literal.
    pub fn now(&self) -> String {
        timestamp(self.database.backend, self.clock.now().as_micros())
    }

    /// Disables every person.
    pub async fn disable_everyone(&self) {
        self.database.execute(&format!("UPDATE people SET disabled_at = {}", self.now())).await;
    }

    /// Voids what was issued in the name of anyone, as a password reset does.
    pub async fn void_everyones_tokens(&self) {
        self.database.execute(&format!("UPDATE people SET tokens_not_before = {}", self.now())).await;
    }

    /// The generations of the grants, and which of them are revoked: what a refusal must not change.
    pub async fn grants(&self) -> Vec<String> {
        self.database
            .strings("SELECT CAST(generation AS TEXT) || CASE WHEN revoked_at IS NULL THEN '' ELSE ' revoked' END FROM grants")
            .await
    }

    /// The private ES256 key, to sign what the server never would. With its `kid`.
    pub async fn stolen_key(&self) -> (String, EncodingKey) {
        let (kid, key) = self.unsealed_keys("algorithm = 'ES256'").await.remove(0);
        (kid, EncodingKey::from_ec_der(&key))
    }

    /// What the stored keys hold, with their `kid`: signing keys as PKCS #8, MAC keys as they are.
    pub async fn unsealed_keys(&self, condition: &str) -> Vec<(String, Vec<u8>)> {
        let hex = match self.database.backend {
            Backend::Sqlite => "hex(sealed)",
            Backend::Postgres => "encode(sealed, 'hex')",
        };
        let rows = self.database.strings(&format!("SELECT kid || ' ' || {hex} FROM keys WHERE {condition}")).await;
        let parts = rows.iter().map(|row| row.split_once(' ').unwrap());
        parts.map(|(kid, sealed)| (kid.to_owned(), unsealed(kid, &from_hex(sealed)))).collect()
    }
}

impl App<'_> {
    /// Disables the client.
    pub async fn disable(&self) {
        self.set("disabled_at").await;
    }

    /// Voids what was issued to the client.
    pub async fn void_tokens(&self) {
        self.set("tokens_not_before").await;
    }

    async fn set(&self, column: &str) {
        let now = self.server.now();
        self.server.database.execute(&format!("UPDATE clients SET {column} = {now} WHERE id = '{}'", self.id)).await;
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()).collect()
}

/// Opens a stored key with the master key of the tests.
fn unsealed(kid: &str, sealed: &[u8]) -> Vec<u8> {
    let root = Salt::new(HKDF_SHA256, b"grantor master key").extract(&BASE64_STANDARD.decode(MASTER_KEY).unwrap());
    let mut key = [0; 32];
    root.expand(&[b"grantor stored key"], HKDF_SHA256).and_then(|material| material.fill(&mut key)).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let (nonce, ciphertext) = sealed.split_first_chunk().unwrap();
    let mut buffer = ciphertext.to_vec();
    key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(kid.as_bytes()), &mut buffer).unwrap().to_vec()
}
