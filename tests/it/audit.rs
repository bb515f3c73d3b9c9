//! What is remembered: enough to explain, and never a secret.

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};

use crate::{
    harness::{App, Backend, Database, TestServer, browser::PASSWORD, database::MASTER_KEY},
    on_every_backend,
};

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// Every row of every table as text, bytes in hexadecimal.
pub async fn everything(database: &Database) -> String {
    let mut rows = Vec::new();
    match database.backend {
        Backend::Sqlite => {
            for table in database.strings("SELECT name FROM sqlite_master WHERE type = 'table'").await {
                let columns = database.strings(&format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')")).await;
                rows.extend(database.strings(&format!("SELECT '{table}: ' || {} FROM {table}", columns.join(" || ', ' || "))).await);
            }
        }
        Backend::Postgres => {
            for table in database.strings("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await {
                rows.extend(database.strings(&format!("SELECT '{table}: ' || t::text FROM {table} AS t")).await);
            }
        }
    }
    rows.join("\n")
}

/// What a thief of the database would look for: the secret as it is, in base64, and in hexadecimal; for base64url what it encodes, too.
fn forms(secret: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(secret).ok();
    let opaque = text.map(|text| text.strip_prefix("grt_").unwrap_or(text));
    let decoded = opaque.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    let bytes: Vec<Vec<u8>> = [Some(secret.to_vec()), opaque.map(|text| text.as_bytes().to_vec()), decoded].into_iter().flatten().collect();
    let encoded = bytes.iter().flat_map(|bytes| [hex(bytes), BASE64_STANDARD_NO_PAD.encode(bytes), BASE64_URL_SAFE_NO_PAD.encode(bytes)]);
    let forms = text.into_iter().chain(opaque).map(str::to_owned).chain(encoded);
    forms.map(|form| form.to_lowercase()).collect()
}

async fn assert_nowhere(server: &TestServer, secrets: &[(&str, Vec<u8>)]) {
    let everything = everything(&server.database).await.to_lowercase();
    for (name, secret) in secrets {
        for form in forms(secret) {
            let found = everything.lines().find(|row| row.contains(&form));
            assert_eq!(found, None, "the {name} is in the database");
        }
    }
}

/// A flow with everything that can happen to secrets: used, retried, reused, refused, revoked.
async fn secrets_of_a_full_flow(server: &TestServer, app: &App<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let mut browser = server.browser();
    let person = browser.sign_in_as_someone().await;
    let mut another = server.browser();
    another.go("/account").await;
    another.sign_in_with(&person.email, "a-wrong-password").await.assert_status(400);
    let code = app.code_at(&mut browser, &[]).await;
    let unused_code = app.code_at(&mut browser, &[]).await;
    let first = app.redeem(&code).await;
    server.advance(6);
    let second = app.refresh(&first.refresh_token()).await;
    app.refresh(&first.refresh_token()).await.assert_status(200);
    let thief = App { secret: Some("a-wrong-secret".to_owned()), ..app.at(server) };
    thief.introspect(&second.access_token()).await.assert_status(401);
    app.introspect(&second.access_token()).await.assert_status(200);
    app.revoke(&second.access_token()).await.assert_status(200);
    app.redeem(&code).await.assert_error(400, "invalid_grant");
    let own = app.client_credentials(&[]).await;
    app.revoke(&own.access_token()).await.assert_status(200);

    let signature = |token: String| token.rsplit_once('.').unwrap().1.to_owned();
    let told = vec![
        ("password", PASSWORD.to_owned()),
        ("wrong password", "a-wrong-password".to_owned()),
        ("client secret", app.secret.clone().unwrap()),
        ("wrong client secret", "a-wrong-secret".to_owned()),
        ("code", code),
        ("unused code", unused_code),
        ("access token", signature(first.access_token())),
        ("revoked access token", signature(second.access_token())),
        ("client's own access token", signature(own.access_token())),
        ("first refresh token", first.refresh_token()),
        ("second refresh token", second.refresh_token()),
        ("code verifier", crate::harness::VERIFIER.to_owned()),
        ("session cookie", browser.cookies.values().next().unwrap().clone()),
    ];
    let mut secrets: Vec<(&str, Vec<u8>)> = told.into_iter().map(|(name, secret)| (name, secret.into_bytes())).collect();
    secrets.push(("master key", BASE64_STANDARD.decode(MASTER_KEY).unwrap()));
    for (_, key) in server.unsealed_keys("1 = 1").await {
        // Of a private key its middle, too: the private part without what is the same in all of them.
        secrets.push(("private part of a key", key[key.len() / 2 - 8..key.len() / 2 + 8].to_vec()));
        secrets.push(("stored key", key));
    }
    secrets
}

on_every_backend! {
    /// OAuth 2.1 §7.4, RFC 6819 §5.1.4.1.3: who steals the database can use nothing that is in it.
    async fn no_secret_is_in_any_row_of_any_table(server) {
        let app = server.client("app").await;
        let secrets = secrets_of_a_full_flow(server, &app).await;
        assert_eq!(secrets.iter().filter(|(_, secret)| secret.len() < 12).count(), 0, "long enough to be found only where they are");
        assert_nowhere(server, &secrets).await;
    }

    /// The control of the search above: it finds what is there, texts, JSON and bytes.
    async fn the_search_finds_what_is_there(server) {
        let app = server.client("app").await;
        let secrets = secrets_of_a_full_flow(server, &app).await;
        let everything = everything(&server.database).await.to_lowercase();
        let code = &secrets.iter().find(|(name, _)| *name == "code").unwrap().1;
        let hash = hex(&Sha256::digest(code));
        for there in ["person0@example.com", "https://app.example/callback", &hash, "authorization_code.reused", "$argon2id$"] {
            assert!(everything.contains(there), "{there}");
        }
    }

    /// Events are told in their order, with who did it to whom.
    async fn events_name_the_actor_the_person_and_the_client(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        app.revoke(&tokens.refresh_token()).await.assert_status(200);
        assert_eq!(server.audit().await, ["person.signed_in", "consent.given", "token.revoked"]);

        let claims = tokens.claims();
        let person = claims["sub"].as_str().unwrap();
        let id = |column: &str| match server.database.backend {
            Backend::Sqlite => format!("lower(hex({column}))"),
            Backend::Postgres => format!("replace({column}::text, '-', '')"),
        };
        let told = format!("SELECT actor || ' ' || {} || ' ' || COALESCE(client_id, '-') FROM audit_events ORDER BY at, id", id("subject"));
        let subject = person.replace('-', "");
        let of_person = |client| format!("person:{person} {subject} {client}");
        let expected = [of_person("-"), of_person("app"), format!("client:app {subject} app")];
        assert_eq!(server.database.strings(&told).await, expected);
        let grant = format!("SELECT {} FROM audit_events WHERE name = 'token.revoked'", id("grant_id"));
        assert_eq!(server.database.strings(&grant).await, [claims["gid"].as_str().unwrap().replace('-', "")]);
    }
}
