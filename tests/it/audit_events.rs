//! The table of audit events in `docs/security.md`: each in its situation, with the actor and the details named there, and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, App, Backend, Registration, TestServer,
        browser::PASSWORD,
        database::MASTER_KEY,
        process::{Outcome, grantor, run, run_json, run_with_input},
        registration::manage,
        relying_party::RelyingParty,
    },
    on_every_backend,
    security_md::{Table, document},
};

/// What the document says of an event.
struct Documented {
    actor: String,
    details: BTreeSet<String>,
}

/// By their names. `"details"` without names means none.
fn documented() -> BTreeMap<String, Documented> {
    let document = document();
    let table = Table::under(&document, "## Audit events");
    let mut events = BTreeMap::new();
    for row in &table.rows {
        for name in names_in(&row["name"]) {
            let event = Documented { actor: row["actor"].clone(), details: names_in(&row["details"]) };
            assert!(events.insert(name.clone(), event).is_none(), "{name} has two rows");
        }
    }
    events
}

fn names_in(cell: &str) -> BTreeSet<String> {
    regex::Regex::new("`([^`]+)`").unwrap().captures_iter(cell).map(|found| found[1].to_owned()).collect()
}

/// A row of `audit_events`.
#[derive(Debug)]
struct Event {
    name: String,
    actor: String,
    subject: bool,
    client_id: Option<String>,
    request_id: Option<String>,
    details: BTreeSet<String>,
}

async fn events(server: &TestServer) -> Vec<Event> {
    let request_id = match server.database.backend {
        Backend::Sqlite => "lower(hex(request_id))",
        Backend::Postgres => "replace(request_id::text, '-', '')",
    };
    let row = format!(
        "SELECT name || '|' || actor || '|' || CASE WHEN subject IS NULL THEN '' ELSE 'x' END || '|' || COALESCE(client_id, '') || '|' || \
         COALESCE({request_id}, '') || '|' || CAST(details AS TEXT) FROM audit_events ORDER BY at, id"
    );
    let text = |part: &str| (!part.is_empty()).then(|| part.to_owned());
    let rows = server.database.strings(&row).await;
    let events = rows.iter().map(|row| {
        let parts: Vec<&str> = row.splitn(6, '|').collect();
        let details: Value = serde_json::from_str(parts[5]).unwrap();
        Event {
            name: parts[0].to_owned(),
            actor: parts[1].split(':').next().unwrap().to_owned(),
            subject: !parts[2].is_empty(),
            client_id: text(parts[3]),
            request_id: text(parts[4]),
            details: details.as_object().unwrap().keys().cloned().collect(),
        }
    });
    events.collect()
}

/// What was written since the last look.
struct Watch<'a> {
    server: &'a TestServer,
    seen: Vec<Event>,
}

impl Watch<'_> {
    async fn expect(&mut self, names: &[&str]) {
        let mut told: Vec<String> = self.server.audit().await;
        let mut before: Vec<String> = self.seen.iter().map(|event| event.name.clone()).collect();
        before.extend(names.iter().map(|name| (*name).to_owned()));
        // Commands and the server go by different clocks: the order among all rows is not that of the steps.
        told.sort();
        before.sort();
        assert_eq!(told, before, "after {names:?}");
        self.seen = events(self.server).await;
    }

    async fn expect_of_command(&mut self, arguments: &[&str], names: &[&str]) {
        run_with_input(&self.server.database, arguments, "a-new-password\n").assert_code(0);
        self.expect(names).await;
    }
}

fn id_of(answer: &Answer) -> String {
    answer.header("x-request-id").replace('-', "")
}

async fn of_people(watch: &mut Watch<'_>, app: &App<'_>) {
    let mut browser = watch.server.browser();
    let person = browser.sign_in_as_someone().await;
    watch.expect(&["person.signed_in"]).await;
    let mut stranger = watch.server.browser();
    stranger.go("/account").await;
    stranger.sign_in_with(&person.email, "wrong").await.assert_status(400);
    watch.expect(&["sign_in.failed"]).await;
    stranger.sign_in_with("nobody@example.com", PASSWORD).await.assert_status(400);
    watch.expect(&["sign_in.failed"]).await;
    for free in (1..=10).rev() {
        stranger.sign_in_with("guessed@example.com", "wrong").await.assert_status(400);
        watch.expect(if free == 1 { &["sign_in.failed", "sign_in.throttled"] } else { &["sign_in.failed"] }).await;
    }
    stranger.sign_in_with("guessed@example.com", "wrong").await.assert_status(429);
    watch.expect(&[]).await;
    browser.authorize(app, &[]).await;
    browser.deny().await;
    watch.expect(&["consent.denied"]).await;
    browser.authorize(app, &[]).await;
    browser.allow().await.code();
    watch.expect(&["consent.given"]).await;
    browser.submit("/account/apps/end", &[("client_id", "app")]).await.assert_status(200);
    watch.expect(&["consent.withdrawn"]).await;
    browser.submit("/account/apps/end", &[("client_id", "app")]).await.assert_status(200);
    watch.expect(&[]).await;
    let answer = browser.post("/account/sign-out", &[]).await;
    watch.expect(&["session.ended"]).await;
    assert!(watch.seen.iter().any(|event| event.request_id.as_deref() == Some(&id_of(&answer))), "the log has the same id");
}

async fn of_clients(watch: &mut Watch<'_>, app: &App<'_>) {
    let code = app.code().await;
    watch.expect(&["person.signed_in", "consent.given"]).await;
    let first = app.redeem(&code).await;
    app.client_credentials(&[("scope", "read")]).await.assert_status(200);
    let second = app.refresh(&first.refresh_token()).await;
    watch.expect(&[]).await;
    app.refresh(&first.refresh_token()).await.assert_status(200);
    watch.expect(&["refresh_token.retried"]).await;
    app.redeem(&code).await.assert_error(400, "invalid_grant");
    watch.expect(&["authorization_code.reused"]).await;
    app.revoke(&second.access_token()).await.assert_status(200);
    watch.expect(&["token.revoked"]).await;
    app.revoke("unknown").await.assert_status(200);
    watch.expect(&[]).await;
    watch.server.advance(40);
    let third = app.refresh(&second.refresh_token()).await;
    app.refresh(&third.refresh_token()).await.assert_status(200);
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    watch.expect(&["refresh_token.reused"]).await;
    let tokens = app.tokens().await;
    watch.expect(&["person.signed_in", "consent.given"]).await;
    app.revoke(&tokens.refresh_token()).await.assert_status(200);
    watch.expect(&["token.revoked"]).await;
}

async fn of_logouts(watch: &mut Watch<'_>) {
    let party = RelyingParty::start().await;
    let metadata = json!({ "backchannel_logout_uri": party.uri() });
    let app = watch.server.register("told", Registration { metadata, first_party: true, ..Registration::default() }).await;
    for (status, told) in [(200, Some("logout_token.accepted")), (400, Some("logout_token.refused")), (500, None)] {
        party.answers(status);
        let mut browser = watch.server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "openid")]).await;
        watch.expect(&["person.signed_in"]).await;
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        watch.expect(&["session.ended"].into_iter().chain(told).collect::<Vec<_>>()).await;
    }
    for delay in [30, 120, 600, 3_600, 14_400] {
        watch.server.advance(delay);
        watch.server.run_jobs().await;
        watch.expect(&[]).await;
    }
    watch.server.advance(43_200);
    watch.server.run_jobs().await;
    watch.expect(&["logout_token.given_up"]).await;
}

async fn of_those_that_register_themselves(watch: &mut Watch<'_>) {
    let server = watch.server;
    let made = run_json(&server.database, &["registration-token", "create", "--uses", "2", "--ttl", "365d", "--json"]);
    watch.expect(&["registration_token.created"]).await;
    let document = json!({ "redirect_uris": ["https://app.example/callback"] });
    let token = made["registration_token"].as_str().unwrap();
    let registration = server.register_with(token, document.clone()).await.assert_status(201).json();
    watch.expect(&["client.created"]).await;
    let changed = json!({ "client_id": registration["client_id"], "redirect_uris": ["https://app.example/other"] });
    manage(server, "PUT", &registration, &changed).await.assert_status(200);
    watch.expect(&["client.updated"]).await;
    manage(server, "GET", &registration, &Value::Null).await.assert_status(200);
    manage(server, "DELETE", &registration, &Value::Null).await.assert_status(204);
    watch.expect(&["client.deleted"]).await;
    server.register_with(token, document).await.assert_status(201);
    watch.expect(&["client.created"]).await;
    server.database.execute("UPDATE clients SET unused_until = created_at WHERE unused_until IS NOT NULL").await;
    server.advance(60);
    server.run_jobs().await;
    watch.expect(&["client.deleted"]).await;
    watch.expect_of_command(&["registration-token", "revoke", made["id"].as_str().unwrap()], &["registration_token.revoked"]).await;
}

async fn of_the_operator(watch: &mut Watch<'_>) {
    let client: &[&[&str]] = &[
        &["client", "create", "--client-id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "client.created"],
        &["client", "update", "shop", "--name", "The shop", "client.updated"],
        &["client", "rotate-secret", "shop", "client_secret.rotated"],
        &["client", "disable", "shop", "client.disabled"],
        &["client", "enable", "shop", "client.enabled"],
        &["client", "delete", "shop", "client.deleted"],
    ];
    let email = "zoe@example.com";
    let people: &[&[&str]] = &[
        &["user", "create", "--email", email, "person.created"],
        &["user", "update", email, "--name", "Zoe", "person.updated"],
        &["user", "set-password", email, "--password-stdin", "password.set"],
        &["user", "revoke-sessions", email, "sessions.revoked"],
        &["user", "disable", email, "person.disabled"],
        &["user", "enable", email, "person.enabled"],
        &["user", "delete", email, "person.deleted"],
        // The keys of the template begin later than the clock of the machine.
        &["keys", "rotate", "--now", "keys.rotated"],
    ];
    let api = "https://api.example";
    let resources: &[&[&str]] = &[
        &["resource", "create", api, "--name", "Notes", "resource.created"],
        &["resource", "update", api, "--name", "All notes", "resource.updated"],
        &["resource", "disable", api, "resource.disabled"],
        &["resource", "enable", api, "resource.enabled"],
        &["resource", "delete", api, "resource.deleted"],
    ];
    let with_a_new_key = ["resource", "create", "https://other.example", "--name", "Other", "--access-token-signing-alg", "PS256"];
    watch.expect_of_command(&with_a_new_key, &["keys.created", "resource.created"]).await;
    for line in client.iter().chain(people).chain(resources) {
        let (name, arguments) = line.split_last().unwrap();
        watch.expect_of_command(arguments, &[name]).await;
    }
    run(&watch.server.database, &["backup", "now.backup"]).assert_code(0);
    watch.expect_of_command(&["restore", "now.backup", "--replace"], &["database.restored"]).await;
    for reading in [&["client", "list"][..], &["user", "list"], &["keys", "list"]] {
        run(&watch.server.database, reading).assert_code(0);
    }
    run(&watch.server.database, &["client", "disable", "nobody"]).assert_code(1);
    watch.expect(&[]).await;
}

/// The last of all: this server has the key of before alone.
async fn of_another_master_key(watch: &mut Watch<'_>) {
    let mut command = grantor(&watch.server.database);
    command.env("GRANTOR_MASTER_KEY", "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=").env("GRANTOR_MASTER_KEY_PREVIOUS", MASTER_KEY);
    Outcome::of(command.args(["keys", "rewrap"]).output().unwrap()).assert_code(0);
    watch.expect(&["master_key.replaced"]).await;
}

on_every_backend! {
    /// Each row of the table, in its situation; a plain refresh and `client_credentials` write none.
    async fn every_event_of_the_table_is_written_in_its_situation(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8",
        "GRANTOR_REGISTRATION__MODE" = "token") {
        let app = server.client("app").await;
        let mut watch = Watch { server, seen: Vec::new() };
        of_people(&mut watch, &app).await;
        of_clients(&mut watch, &app).await;
        of_logouts(&mut watch).await;
        of_the_operator(&mut watch).await;
        of_those_that_register_themselves(&mut watch).await;
        of_another_master_key(&mut watch).await;

        let documented = documented();
        for event in &watch.seen {
            let row = documented.get(&event.name).unwrap_or_else(|| panic!("{} has no row", event.name));
            assert!(row.actor.split(", ").any(|actor| actor == event.actor), "{event:?}");
            assert!(event.details.is_subset(&row.details), "{event:?}");
            // Neither the command line nor a job has a request.
            assert_eq!(event.request_id.is_none(), ["operator", "server"].contains(&event.actor.as_str()), "{event:?}");
            assert!(event.actor != "client" || event.client_id.is_some(), "{event:?}");
            assert!(event.actor != "person" || event.subject, "{event:?}");
        }
        for (name, row) in &documented {
            let told: BTreeSet<String> = watch.seen.iter().filter(|event| event.name == *name).flat_map(|event| event.details.clone()).collect();
            assert!(watch.seen.iter().any(|event| event.name == *name), "{name} was never written: add its situation to this test");
            assert_eq!(told, row.details, "{name}");
        }
    }
}

/// The names of the document are those of the source, and each is `noun.past_participle`.
#[test]
fn the_table_has_every_event_that_there_is_and_no_other() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/audit.rs")).unwrap();
    let name = regex::Regex::new(r#"(?m)^    \w+ = "([^"]+)",$"#).unwrap();
    let names: BTreeSet<String> = name.captures_iter(&source).map(|found| found[1].to_owned()).collect();
    assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), names, "the table of audit events in docs/security.md");
    assert!(names.iter().all(|name| name.matches('.').count() == 1));
}
