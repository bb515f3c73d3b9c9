//! Another master key: everything is sealed anew while servers run, and nobody notices (decision 0026).

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use grantor::{clock::Clock, server::Server};
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, App, Backend, Browser, Database, Registration, START, TestServer,
        browser::Person,
        config,
        database::MASTER_KEY,
        over_http::{RemoteApp, get, until, within_a_second},
        process::{Outcome, Process, grantor, run_json},
        signing::{ClientKey, SigningApp},
    },
    on_databases, on_every_backend,
};

/// 32 times the letter `n`, and 32 times `t`.
const NEW: &str = "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=";
const THIRD: &str = "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ=";

const REWRAP: &[&str] = &["keys", "rewrap", "--json"];

/// The program with these master keys.
fn with_keys(database: &Database, key: &str, previous: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = grantor(database);
    command.env("GRANTOR_MASTER_KEY", key).envs(previous.map(|previous| ("GRANTOR_MASTER_KEY_PREVIOUS", previous)));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run_with_keys(database: &Database, key: &str, previous: Option<&str>, arguments: &[&str]) -> Outcome {
    Outcome::of(with_keys(database, key, previous, arguments).output().unwrap())
}

fn rewrap(database: &Database) -> Value {
    run_with_keys(database, NEW, Some(MASTER_KEY), REWRAP).json()
}

/// The settings of a server with these keys.
fn keys<'a>(key: &'a str, previous: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    std::iter::once(("GRANTOR_MASTER_KEY", key)).chain(previous.map(|previous| ("GRANTOR_MASTER_KEY_PREVIOUS", previous))).collect()
}

/// The message with which a server with these keys refuses to start.
async fn refusal(database: &Database, key: &str, previous: Option<&str>) -> String {
    match Server::start(config(database, &keys(key, previous)), Clock::moved_from(START)).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

/// A client of `client_secret_jwt` with so many more secrets like its own.
async fn keyed_client(database: &Database, more: usize) -> ClientKey {
    let create = ["client", "create", "--name", "App", "--client-id", "keyed", "--grant-type", "client_credentials", "--scope", "read"];
    let created = run_json(database, &[&create[..], &["--token-endpoint-auth-method", "client_secret_jwt", "--json"]].concat());
    let columns = "client_id, hash, created_at, sealed";
    let insert = match database.backend {
        Backend::Sqlite => format!(
            "INSERT INTO client_secrets (id, {columns}) WITH RECURSIVE numbers (number) AS \
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {more}) SELECT randomblob(16), {columns} FROM client_secrets, numbers"
        ),
        Backend::Postgres => {
            format!(
                "INSERT INTO client_secrets (id, {columns}) SELECT gen_random_uuid(), {columns} FROM client_secrets, generate_series(1, {more})"
            )
        }
    };
    if more > 0 {
        assert_eq!(database.execute(&insert).await, more as u64);
    }
    ClientKey::of_secret(jsonwebtoken::Algorithm::HS256, created["client_secret"].as_str().unwrap())
}

/// What a pairwise client is told of Alice.
async fn subject(app: &App<'_>) -> Value {
    let mut browser = app.server.browser();
    browser.sign_in_at_account(&Person { email: "alice@example.com".to_owned() }).await.assert_status(200);
    let code = app.code_at(&mut browser, &[]).await;
    app.redeem(&code).await.claims()["sub"].clone()
}

async fn wrong_password(server: &TestServer) {
    let mut browser = server.browser();
    browser.go("/account").await;
    browser.sign_in_with("alice@example.com", "wrong").await.assert_status(400);
}

/// What was there before the master key was changed.
struct Before<'a> {
    app: App<'a>,
    tokens: Answer,
    keyed: SigningApp<'a>,
    pairwise: App<'a>,
    subject: Value,
    /// At the page to sign in, and at the page to consent.
    in_flight: [Browser<'a>; 2],
    throttles: i64,
}

impl<'a> Before<'a> {
    async fn at(server: &'a TestServer) -> Self {
        let alice = server.person("alice").await;
        let app = server.client("app").await;
        let (tokens, keyed) = (app.tokens().await, server.mac_client("keyed", json!({})).await);
        let metadata = json!({ "subject_type": "pairwise" });
        let pairwise = server.register("pairwise", Registration { metadata, ..Registration::default() }).await;
        let subject = subject(&pairwise).await;
        let (mut signing_in, mut consenting) = (server.browser(), server.browser());
        signing_in.authorize(&app, &[]).await;
        consenting.authorize(&app, &[("prompt", "consent")]).await;
        consenting.sign_in(&alice).await;
        wrong_password(server).await;
        let throttles = server.database.count("throttles").await;
        Self { app, tokens, keyed, pairwise, subject, in_flight: [signing_in, consenting], throttles }
    }

    /// All of it goes on at this node.
    async fn goes_on_at(&mut self, node: &TestServer) {
        let app = self.app.at(node);
        assert!(node.is_active(&app, &self.tokens.access_token()).await);
        self.tokens = app.refresh(&self.tokens.refresh_token()).await;
        let keyed = SigningApp { app: self.keyed.app.at(node), key: self.keyed.key.clone() };
        keyed.present(&keyed.assertion()).await.assert_status(200);
        assert_eq!(subject(&self.pairwise.at(node)).await, self.subject);
        wrong_password(node).await;
        assert_eq!(node.database.count("throttles").await, self.throttles, "failures are counted under the same names");

        let [mut signing_in, mut consenting] = self.in_flight.each_ref().map(|browser| {
            let shown = browser.shown.as_ref().map(|shown| Answer {
                status: shown.status,
                headers: shown.headers.clone(),
                body: shown.body.clone(),
            });
            Browser { shown, ..browser.at(node) }
        });
        signing_in.sign_in(&Person { email: "alice@example.com".to_owned() }).await;
        let code = signing_in.allow_if_asked().await.code();
        app.redeem(&code).await.assert_status(200);
        let code = consenting.allow().await.code();
        app.redeem(&code).await.assert_status(200);
    }
}

on_every_backend! {
    /// Tokens, keys, sealed secrets, pairwise subjects, requests and forms in flight, counted failures: all go on, at a server that
    /// runs with both keys and at one that has the new key alone.
    async fn nobody_notices_a_rewrap(server) {
        let mut before = Before::at(server).await;
        let open = [("GRANTOR_REGISTRATION__MODE", "open")];
        let both = server.node_with(&[keys(NEW, Some(MASTER_KEY)), open.to_vec()].concat()).await;
        before.goes_on_at(&both).await;
        let told = rewrap(&server.database);
        let count = |name: &str| told[name].as_u64().unwrap();
        let keys_in_all = u64::try_from(server.database.count("keys").await).unwrap();
        assert_eq!((count("keys"), count("client_secrets"), count("resealed")), (keys_in_all, 1, keys_in_all + 1), "{told}");
        before.goes_on_at(&both).await;
        let new = server.node_with(&[keys(NEW, None), open.to_vec()].concat()).await;
        before.goes_on_at(&new).await;

        // What is made from now on, by whichever of them, is sealed under the new key.
        let document = json!({ "redirect_uris": ["https://app.example/callback"], "token_endpoint_auth_method": "client_secret_jwt" });
        for node in [&both, &new] {
            node.register_itself(document.clone()).await.assert_status(201);
        }
        let again = run_with_keys(&server.database, NEW, None, REWRAP).json();
        assert_eq!((&again["resealed"], &again["client_secrets"]), (&json!(0), &json!(3)), "{again}");
        both.close().await;
        new.close().await;
    }

    /// A database of the version before: what that derived from the master key is derived from the root key now, and is the same.
    async fn a_database_of_the_version_before_keeps_what_it_derived(server) {
        let audited = server.audited("keys.created").await;
        server.database.execute("DELETE FROM keys WHERE purpose = 'root'").await;
        let upgraded = server.node_with(&[]).await;
        assert_eq!(server.audited("keys.created").await, audited + 1);
        let root = server.unsealed_keys("purpose = 'root'").await.remove(0).1;
        let salt = hmac::Key::new(hmac::HMAC_SHA256, b"grantor master key");
        assert_eq!(root, hmac::sign(&salt, &BASE64_STANDARD.decode(MASTER_KEY).unwrap()).as_ref(), "RFC 5869 §2.2");
        let mut before = Before::at(&upgraded).await;
        let again = upgraded.node_with(&[]).await;
        assert_eq!(server.unsealed_keys("purpose = 'root'").await.remove(0).1, root, "once and for all");
        before.goes_on_at(&again).await;
        upgraded.close().await;
        again.close().await;
    }

    /// Of a new database the root key has nothing to do with any master key.
    async fn the_root_key_of_a_new_database_is_random(server) {
        let empty = TestServer::first_start(server.database.backend, &[]).await;
        let roots = [server.unsealed_keys("purpose = 'root'").await.remove(0).1, empty.unsealed_keys("purpose = 'root'").await.remove(0).1];
        assert_ne!(roots[0], roots[1]);
        empty.end().await;
    }

    /// Which key is missing, wrong, or of yesterday, is told by its fingerprint, with what to do.
    async fn a_server_with_the_wrong_keys_says_what_to_do(server) {
        let database = &server.database;
        let new = refusal(database, NEW, None).await;
        assert!(new.contains("this is not the master key") && new.contains("as GRANTOR_MASTER_KEY_PREVIOUS"), "{new}");
        let wrong = refusal(database, NEW, Some(THIRD)).await;
        assert!(wrong.contains("neither of the two") && wrong.contains("master_key_previous is "), "{wrong}");
        run_with_keys(database, NEW, Some(THIRD), REWRAP).assert_refused(1, "neither of the two");
        run_with_keys(database, NEW, None, REWRAP).assert_refused(1, "as GRANTOR_MASTER_KEY_PREVIOUS");
        run_with_keys(database, NEW, Some(NEW), REWRAP).assert_refused(2, "is the same key as master_key");
        let told = rewrap(database);
        let old = refusal(database, MASTER_KEY, None).await;
        assert!(old.contains("any more") && old.contains(told["master_key"].as_str().unwrap()), "{old}");
        for said in [new, wrong, old] {
            assert!([MASTER_KEY, NEW, THIRD].iter().all(|key| !said.contains(key)), "{said}");
        }
    }
}

on_databases! { [Sqlite, Postgres]
    /// Killed in the middle it left some under either key: both are demanded, servers with both go on, and the next run ends it.
    async fn a_rewrap_that_was_killed_goes_on_where_it_was(database) {
        let key = keyed_client(database, 10_000).await;
        let mut killed = with_keys(database, NEW, Some(MASTER_KEY), REWRAP).spawn().unwrap();
        let told = BufReader::new(killed.stderr.take().unwrap()).lines().next().unwrap().unwrap();
        assert!(told.ends_with("sealed anew so far"), "{told}");
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert_eq!(database.count("settings WHERE name = 'master_key_replacing'").await, 1, "it was not killed in the middle");

        for (key, previous) in [(MASTER_KEY, None), (NEW, None), (MASTER_KEY, Some(NEW)), (THIRD, Some(NEW)), (NEW, Some(THIRD))] {
            let said = refusal(database, key, previous).await;
            assert!(said.contains("is being changed from") && said.contains("run 'grantor keys rewrap' to the end"), "{said}");
            run_with_keys(database, key, previous, REWRAP).assert_refused(1, "is being changed from");
        }
        let server = TestServer::beside(database, &keys(NEW, Some(MASTER_KEY))).await;
        let app = server.signing_app("keyed", key.clone());
        app.present(&app.assertion()).await.assert_status(200);

        let rest = rewrap(database);
        let resealed = rest["resealed"].as_u64().unwrap();
        assert!((1..10_001).contains(&resealed) && rest["client_secrets"] == 10_001, "{rest}");
        app.present(&app.assertion()).await.assert_status(200);
        server.close().await;
        assert_eq!(rewrap(database)["resealed"], 0, "repeated, it does nothing");
        assert_eq!(database.count("audit_events WHERE name = 'master_key.replaced' AND actor = 'operator'").await, 1);
        let server = TestServer::beside(database, &keys(NEW, None)).await;
        let app = server.signing_app("keyed", key);
        app.present(&app.assertion()).await.assert_status(200);
        server.close().await;
    }

    /// Several at once, while secrets are made: each row is sealed anew once, and nothing is left under the old key.
    async fn rewraps_that_race_with_one_another_and_with_new_secrets_miss_nothing(database) {
        keyed_client(database, 2_000).await;
        let create = |number: usize| {
            let id = format!("client-{number}");
            let mut command = with_keys(database, NEW, Some(MASTER_KEY), &["client", "create", "--name", "App", "--client-id", &id]);
            command.args(["--redirect-uri", "https://app.example/callback", "--token-endpoint-auth-method", "client_secret_jwt"]).spawn().unwrap()
        };
        let mut creating: Vec<_> = (0..3).map(create).collect();
        let rewrapping: Vec<_> = (0..3).map(|_| with_keys(database, NEW, Some(MASTER_KEY), REWRAP).spawn().unwrap()).collect();
        creating.extend((3..6).map(create));
        let told: Vec<Value> = rewrapping.into_iter().map(|child| Outcome::of(child.wait_with_output().unwrap()).json()).collect();
        let mut created = 0;
        for child in creating {
            let outcome = Outcome::of(child.wait_with_output().unwrap());
            // Whoever sealed just before and stores just after is told to try again.
            assert!(outcome.code == Some(0) || outcome.stderr.contains("was changed meanwhile"), "{}", outcome.stderr);
            created += u64::from(outcome.code == Some(0));
        }
        let resealed: u64 = told.iter().map(|told| told["resealed"].as_u64().unwrap()).sum();
        let sealed_before = u64::try_from(database.count("keys").await).unwrap() + 2_001;
        assert!((sealed_before..=sealed_before + created).contains(&resealed), "{told:?}");
        let verified = run_with_keys(database, NEW, None, REWRAP).json();
        assert_eq!((&verified["resealed"], &verified["client_secrets"]), (&json!(0), &json!(2_001 + created)));
        assert_eq!(database.count("audit_events WHERE name = 'master_key.replaced'").await, 1);
    }

    /// A server with both keys under load: every request is answered, and keys that are withdrawn afterwards with the new key alone are
    /// seen by it.
    async fn a_server_answers_every_request_during_a_rewrap(database) {
        keyed_client(database, 3_000).await;
        let app = RemoteApp::create(database, "app");
        let server = Process::serve(database, &keys(NEW, Some(MASTER_KEY)));
        let base = server.base();
        let is_over = Arc::new(AtomicBool::new(false));
        let load = tokio::spawn({
            let (app, base, is_over) = (app.clone(), base.clone(), Arc::clone(&is_over));
            async move {
                let mut answered = 0;
                while !is_over.load(Ordering::Relaxed) {
                    app.client_credentials(&base).await.assert_status(200);
                    answered += 1;
                }
                answered
            }
        });
        until("there is load", async || get(&format!("{base}/health/ready")).await.status == 200).await;
        let copy = database.clone();
        let told = tokio::task::spawn_blocking(move || rewrap(&copy)).await.unwrap();
        is_over.store(true, Ordering::Relaxed);
        let answered: usize = load.await.unwrap();
        assert!(answered > 3 && told["client_secrets"] == 3_001, "{answered} {told}");

        let jwks = async || get(&format!("{base}/oauth/jwks")).await.body;
        let before = jwks().await;
        run_with_keys(database, NEW, None, &["keys", "rotate", "--now"]).assert_code(0);
        within_a_second("the old keys are withdrawn", async || jwks().await != before).await;
        app.client_credentials(&base).await.assert_status(200);
        assert!(!server.log_text().contains("cannot be"), "{}", server.log_text());
        assert_eq!(server.terminate(), Some(0));
    }

    /// What no key opens is named, and the change is not called done.
    async fn a_secret_that_neither_key_opens_is_named(database) {
        keyed_client(database, 1).await;
        let one = "id = (SELECT id FROM client_secrets ORDER BY id LIMIT 1)";
        let other = "(SELECT sealed FROM keys WHERE purpose = 'root')";
        database.execute(&format!("UPDATE client_secrets SET sealed = {other} WHERE {one}")).await;
        let refused = run_with_keys(database, NEW, Some(MASTER_KEY), REWRAP);
        refused.assert_refused(1, "neither of the two master keys opens these");
        assert!(refused.stderr.contains("a secret of the client keyed: 'grantor client rotate-secret keyed --now'"), "{}", refused.stderr);
        assert!(refusal(database, NEW, None).await.contains("is being changed from"));
        database.execute(&format!("DELETE FROM client_secrets WHERE {one}")).await;
        assert_eq!(rewrap(database)["client_secrets"], 1);
    }

    /// A backup belongs to the key of its time: it is restored with both, and then follows.
    async fn a_backup_of_before_is_restored_with_both_keys(database) {
        let key = keyed_client(database, 0).await;
        database.back_up("a.backup");
        rewrap(database);
        let restore = ["restore", "a.backup", "--replace"];
        run_with_keys(database, NEW, None, &restore).assert_refused(1, "this is not the master key of the backup");
        run_with_keys(database, NEW, Some(MASTER_KEY), &restore).assert_code(0);
        let said = refusal(database, NEW, None).await;
        assert!(said.contains("as GRANTOR_MASTER_KEY_PREVIOUS"), "{said}");
        let keys_in_all = database.count("keys").await;
        assert_eq!(rewrap(database)["resealed"], keys_in_all + 1);
        run_with_keys(database, NEW, None, &["backup", "b.backup"]).assert_code(0);
        let server = TestServer::beside(database, &keys(NEW, None)).await;
        let app = server.signing_app("keyed", key);
        app.present(&app.assertion()).await.assert_status(200);
        server.close().await;
    }
}
