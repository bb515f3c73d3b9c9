//! Keys over time: what the job `rotate_keys` does by the rows alone, and that a cached JWKS always has the key.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    harness::{App, Backend, TestServer, eventually, process::run_json, resource_server::ResourceServer},
    on_every_backend,
};

const DAY: u64 = 24 * 60 * 60;

const fn days(days: u32) -> Duration {
    Duration::from_hours(24 * days as u64)
}

/// The published keys, by algorithm.
async fn published(server: &TestServer) -> Vec<String> {
    let jwks = server.get("/oauth/jwks").await.assert_status(200).json();
    let mut algorithms: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect();
    algorithms.sort();
    algorithms
}

/// The algorithm and the key of a new access token.
async fn signed_with(app: &App<'_>) -> (String, String) {
    let header = jsonwebtoken::decode_header(app.client_credentials(&[]).await.access_token()).unwrap();
    (format!("{:?}", header.alg), header.kid.unwrap())
}

async fn signature_keys(server: &TestServer) -> i64 {
    server.database.count("keys WHERE purpose = 'signature'").await
}

on_every_backend! {
    /// `keys.rotation_interval`: each algorithm, once, when its newest key is old enough, in the name of the server.
    async fn keys_rotate_by_themselves_when_they_are_old(server) {
        let app = server.client("app").await;
        let (_, old) = signed_with(&app).await;
        server.advance(90 * DAY - 60);
        server.run_jobs().await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);

        server.advance(60);
        server.run_jobs().await;
        server.run_jobs().await;
        server.advance(1);
        assert_eq!(published(server).await, ["ES256", "ES256", "EdDSA", "EdDSA", "RS256", "RS256"]);
        assert_eq!(signed_with(&app).await.1, old);
        let audited = "SELECT CAST(actor AS TEXT) FROM audit_events WHERE name = 'keys.rotated'";
        assert_eq!(server.database.strings(audited).await, ["server"]);

        // jwks_max_age and the margin of a minute; then the lifetime of a token and both again.
        server.advance(11 * 60);
        assert_ne!(signed_with(&app).await.1, old);
        assert_eq!(published(server).await.len(), 6);
        server.advance(21 * 60);
        server.run_jobs().await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
        assert_eq!(server.audited("keys.rotated").await, 1);
    }

    /// `keys.rotation_interval = "0s"`
    async fn nothing_rotates_when_rotation_is_off(server, "GRANTOR_KEYS__ROTATION_INTERVAL" = "0s") {
        server.advance(1_000 * DAY);
        server.run_jobs().await;
        assert_eq!((published(server).await.len(), server.audited("keys.rotated").await), (3, 0));
    }

    /// However long nobody ran it: one rotation, and the old key signs until the new one may.
    async fn a_server_that_was_off_for_a_year_rotates_once(server) {
        let app = server.client("app").await;
        let (_, old) = signed_with(&app).await;
        server.advance(365 * DAY);
        for _ in 0..5 {
            server.run_jobs().await;
            server.advance(30);
        }
        assert_eq!((server.audited("keys.rotated").await, published(server).await.len()), (1, 6));
        assert_eq!(signed_with(&app).await.1, old);
    }

    /// A clock that was set back makes no keys, which would end the others at once; what is there goes on signing.
    async fn a_clock_that_was_set_back_ends_nothing(server) {
        let app = server.client("app").await;
        let (_, key) = signed_with(&app).await;
        server.clock.set_back(days(400));
        server.run_jobs().await;
        eventually(async || signed_with(&app).await.1 == key).await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
        assert_eq!((signature_keys(server).await, server.audited("keys.rotated").await), (3, 0));
    }

    /// What has left the JWKS keeps its public half for old hints; its private half is overwritten, and one day all of it goes.
    async fn former_keys_keep_their_public_half_for_a_while(server) {
        server.advance(90 * DAY);
        server.run_jobs().await;
        let private: BTreeMap<String, Vec<u8>> = server.unsealed_keys("purpose LIKE '%signature'").await.into_iter().collect();
        assert_eq!(private.len(), 6, "two of each algorithm");
        server.advance(11 * 60 + 21 * 60 + 1);
        server.run_jobs().await;
        // By the clock of another node they may still be needed.
        assert_eq!(server.unsealed_keys("purpose LIKE '%signature'").await.into_iter().collect::<BTreeMap<_, _>>(), private);
        server.advance(DAY);
        server.run_jobs().await;
        let former = server.unsealed_keys("purpose LIKE '%signature'").await.into_iter().filter(|(kid, sealed)| private[kid] != *sealed).collect::<Vec<_>>();
        assert_eq!(former.len(), 3);
        for (kid, sealed) in former {
            let public: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
            assert_eq!((public["kid"].as_str(), &public["d"]), (Some(kid.as_str()), &serde_json::Value::Null));
        }
        assert_eq!(server.database.count("keys WHERE purpose = 'former_signature'").await, 3);

        server.advance(90 * DAY + 60);
        server.run_jobs().await;
        assert_eq!(server.database.count("keys WHERE purpose = 'former_signature'").await, 0);
    }

    /// `tokens.access_token_alg` on a database that served before: its key is published, and the algorithm before signs until
    /// every cache has it. That is the one that was selected, not the default.
    async fn a_newly_selected_algorithm_waits_for_the_caches(server, "GRANTOR_TOKENS__ACCESS_TOKEN_ALG" = "RS256") {
        let node = server.node_with(&[("GRANTOR_TOKENS__ACCESS_TOKEN_ALG", "PS256")]).await;
        let app = node.client("app").await;
        assert!(published(&node).await.contains(&"PS256".to_owned()));
        assert_eq!(signed_with(&app).await.0, "RS256");
        server.advance(10 * 60 + 58);
        assert_eq!(signed_with(&app).await.0, "RS256");
        server.advance(2);
        assert_eq!(signed_with(&app).await.0, "PS256");
        node.close().await;
    }

    /// An algorithm that is selected no more is not renewed: it ends when its key is old.
    async fn an_algorithm_that_nobody_selects_ends(server) {
        let node = server.node_with(&[("GRANTOR_TOKENS__ACCESS_TOKEN_ALG", "PS256")]).await;
        node.close().await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
        server.advance(1);
        assert_eq!(published(server).await, ["ES256", "EdDSA", "PS256", "RS256"]);
        server.advance(90 * DAY + 1);
        server.run_jobs().await;
        server.advance(32 * 60 + 1);
        server.run_jobs().await;
        server.advance(1);
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
    }

    /// Two nodes while their settings change: the one with the longer ones holds all keys to them.
    async fn a_node_with_longer_settings_lengthens_what_another_planned(server) {
        let longer = [("GRANTOR_KEYS__JWKS_MAX_AGE", "2h"), ("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "4h")];
        let node = server.node_with(&longer).await;
        let app = node.client("app").await;
        let (_, old) = signed_with(&app).await;
        server.advance(90 * DAY);
        server.run_jobs().await;
        server.advance(60);
        node.run_jobs().await;

        server.advance(2 * 60 * 60 - 1);
        let (_, last) = signed_with(&app).await;
        assert_eq!(last, old);
        server.advance(2);
        assert_ne!(signed_with(&app).await.1, old);
        server.advance(6 * 60 * 60 + 57);
        server.run_jobs().await;
        assert_eq!(published(&node).await.len(), 6);
        server.advance(4);
        assert_eq!(published(&node).await.len(), 3);
        node.close().await;
    }

    /// Whoever can write to the database adds no key that resource servers trust: what is sealed counts, not `public_jwk`.
    async fn a_public_key_in_the_database_is_not_believed(server) {
        let before = server.get("/oauth/jwks").await.json();
        server.database.execute("UPDATE keys SET public_jwk = '{\"kty\": \"EC\"}' WHERE purpose = 'signature'").await;
        let node = server.another_node().await;
        assert_eq!(node.get("/oauth/jwks").await.json(), before);
        server.database.execute("UPDATE keys SET kid = 'forged' WHERE algorithm = 'ES256'").await;
        server.advance(1);
        assert_eq!(node.get("/oauth/jwks").await.json(), before);
        node.close().await;
    }

    /// A node that lost its database does not let its JWKS be kept for longer than new keys of others wait.
    async fn a_jwks_that_cannot_be_read_anew_is_kept_for_less(server) {
        let max_age = async || server.get("/oauth/jwks").await.assert_status(200).header("cache-control").to_owned();
        server.database.execute("ALTER TABLE keys RENAME TO lost").await;
        server.advance(59);
        assert_eq!(max_age().await, "public, max-age=600");
        server.advance(5 * 60);
        assert_eq!(max_age().await, "public, max-age=300");
        server.advance(10 * 60);
        assert_eq!(max_age().await, "public, max-age=0");
        server.database.execute("ALTER TABLE lost RENAME TO keys").await;
        server.advance(1);
        assert_eq!(max_age().await, "public, max-age=600");
    }
}

/// A test with a clock that begins at the time of the command line's.
macro_rules! at_the_time_of_the_machine {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn test(backend: Backend) {
                    let server = TestServer::start_at_the_time_of_the_machine(backend).await;
                    let $server = &server;
                    $body
                    server.end().await;
                }

                #[tokio::test]
                async fn sqlite() {
                    test(Backend::Sqlite).await;
                }

                #[tokio::test]
                async fn postgres() {
                    test(Backend::Postgres).await;
                }
            }
        )*
    };
}

/// `grantor keys rotate`
fn rotate_by_hand(server: &TestServer, flags: &[&str]) {
    run_json(&server.database, &[&["keys", "rotate", "--json"], flags].concat());
}

at_the_time_of_the_machine! {
    /// A rotation by hand counts: the job makes no second one, neither while it waits nor until its keys are old.
    async fn a_rotation_by_hand_is_not_repeated(server) {
        // As if the keys were a year old.
        let year = match server.database.backend {
            Backend::Sqlite => "31536000000000",
            Backend::Postgres => "interval '365 days'",
        };
        server.database.execute(&format!("UPDATE keys SET published_at = published_at - {year}")).await;
        rotate_by_hand(server, &[]);
        for _ in 0..20 {
            server.run_jobs().await;
            server.advance(60);
        }
        assert_eq!((signature_keys(server).await, server.audited("keys.rotated").await), (6, 1));
        server.advance(90 * DAY - 30 * 60);
        server.run_jobs().await;
        assert_eq!(server.audited("keys.rotated").await, 1);
        server.advance(30 * 60);
        server.run_jobs().await;
        assert_eq!(server.audited("keys.rotated").await, 2);
    }

    /// What a clock that was ahead planned for next year neither signs nor stops a rotation by hand now.
    async fn a_clock_that_was_ahead_is_corrected_by_hand(server) {
        let app = server.client("app").await;
        let (_, key) = signed_with(&app).await;
        server.advance(365 * DAY);
        server.run_jobs().await;
        assert_eq!(server.audited("keys.rotated").await, 1);
        server.clock.set_back(days(365));
        server.run_jobs().await;
        assert_eq!((server.audited("keys.rotated").await, signed_with(&app).await.1), (1, key.clone()));

        rotate_by_hand(server, &[]);
        server.advance(12 * 60);
        let (_, new) = signed_with(&app).await;
        assert_ne!(new, key);
        server.advance(21 * 60);
        server.run_jobs().await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
        assert_eq!(signed_with(&app).await.1, new);
    }

    /// A key that leaked recognises nothing, for ever: not when a clock goes back, either.
    async fn a_withdrawn_key_is_deleted(server) {
        let app = server.client("app").await;
        let (_, old) = signed_with(&app).await;
        rotate_by_hand(server, &["--now"]);
        server.clock.set_back(days(1));
        eventually(async || signed_with(&app).await.1 != old).await;
        assert_eq!(published(server).await, ["ES256", "EdDSA", "RS256"]);
        server.run_jobs().await;
        assert_eq!(server.database.count(&format!("keys WHERE kid = '{old}'")).await, 0);
    }
}

/// Moves times of all signing keys but the newest by minutes, as if a clock had been wrong.
async fn move_times(server: &TestServer, columns: &[&str], minutes: i64) {
    let by = match server.database.backend {
        Backend::Sqlite => format!("{}", minutes * 60_000_000),
        Backend::Postgres => format!("interval '{minutes} minutes'"),
    };
    let moved = columns.iter().map(|column| format!("{column} = {column} + {by}")).collect::<Vec<_>>().join(", ");
    server.database.execute(&format!("UPDATE keys SET {moved} WHERE purpose = 'signature' AND signs_until IS NOT NULL")).await;
}

at_the_time_of_the_machine! {
    /// The emergency was an hour ahead, and the operator, whose clock is right again, rotates once more.
    async fn a_rotation_brings_no_withdrawn_key_back(server) {
        let app = server.client("app").await;
        let (_, old) = signed_with(&app).await;
        rotate_by_hand(server, &["--now"]);
        move_times(server, &["signs_until", "removed_at"], 60).await;
        rotate_by_hand(server, &[]);
        eventually(async || published(server).await.len() == 6).await;
        assert_ne!(signed_with(&app).await.1, old);
        server.run_jobs().await;
        assert_eq!(server.database.count(&format!("keys WHERE kid = '{old}'")).await, 0);
    }

    /// What is past by the clock of the emergency may not be by the server's.
    async fn an_emergency_withdraws_also_what_retires(server) {
        rotate_by_hand(server, &[]);
        move_times(server, &["signs_until", "removed_at"], -60).await;
        server.clock.set_back(Duration::from_mins(40));
        eventually(async || published(server).await.len() == 6).await;
        rotate_by_hand(server, &["--now"]);
        eventually(async || published(server).await == ["ES256", "EdDSA", "RS256"]).await;
    }
}

/// Of several nodes and commands at the same time one rotates.
#[tokio::test]
async fn of_nodes_that_look_at_the_same_time_one_rotates() {
    let one = TestServer::start(Backend::Postgres, &[]).await;
    let other = one.another_node().await;
    one.advance(90 * DAY);
    Box::pin(futures_util::future::join3(one.run_jobs(), other.run_jobs(), one.run_jobs())).await;
    assert_eq!((signature_keys(&one).await, one.audited("keys.rotated").await), (6, 1));
    other.close().await;
    one.end().await;
}

/// Times short enough that a few minutes have many rotations.
const SHORT: &[(&str, &str)] = &[
    ("GRANTOR_KEYS__JWKS_MAX_AGE", "10s"),
    ("GRANTOR_KEYS__CLOCK_MARGIN", "1s"),
    ("GRANTOR_KEYS__ROTATION_INTERVAL", "20s"),
    ("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "15s"),
];

/// How old the keys in a node's memory may be.
const OLDEST_KEYS: Duration = Duration::from_millis(500);

/// Nodes under load, and resource servers that keep the JWKS as long as they may.
struct World {
    nodes: Vec<TestServer>,
    apis: Vec<ResourceServer>,
    /// Copies of the JWKS of every moment and node, while they may be kept: whenever a key comes or goes, some are from just before.
    copies: Vec<ResourceServer>,
    unknown: Vec<String>,
    /// Tokens with the time until which they must be taken.
    live: VecDeque<(Duration, String)>,
    since: Duration,
}

impl World {
    async fn begin(backend: Backend) -> Self {
        let node = TestServer::start(backend, SHORT).await;
        node.client("app").await;
        let apis = (0..2).map(|_| ResourceServer::default()).collect();
        Self { nodes: vec![node], apis, copies: Vec::new(), unknown: Vec::new(), live: VecDeque::new(), since: Duration::ZERO }
    }

    /// Another node with this algorithm, or the node of this number anew.
    async fn start_node(&mut self, number: usize, algorithm: &str) {
        let node = self.nodes[0].node_with(&[SHORT, &[("GRANTOR_TOKENS__ACCESS_TOKEN_ALG", algorithm)]].concat()).await;
        if number < self.nodes.len() {
            std::mem::replace(&mut self.nodes[number], node).close().await;
        } else {
            self.nodes.push(node);
        }
    }

    /// The load of some time, in small steps.
    async fn load_for(&mut self, time: Duration) {
        let end = self.since + time;
        for step in 0.. {
            self.live_a_moment(step).await;
            let millis = [499, 1, 250, 490, 120, 499, 330][step % 7];
            self.nodes[0].clock.advance(Duration::from_millis(millis));
            self.since += Duration::from_millis(millis);
            if self.since >= end {
                return;
            }
        }
    }

    async fn live_a_moment(&mut self, step: usize) {
        // Before the jobs, and as if it came later: so answers a node whose keys are as old as they may be.
        for node in &self.nodes {
            let mut copy = ResourceServer::default();
            copy.keep(&node.get("/oauth/jwks").await, self.since + OLDEST_KEYS);
            self.copies.push(copy);
        }
        if step.is_multiple_of(4) {
            self.nodes[step / 4 % self.nodes.len()].run_jobs().await;
        }
        // Each fetches when it must, from whichever node the turn is at.
        for (number, api) in self.apis.iter_mut().enumerate().filter(|(_, api)| api.must_fetch(self.since)) {
            let node = &self.nodes[(step + number) % self.nodes.len()];
            api.keep(&node.get("/oauth/jwks").await, self.since);
        }
        let (kept, expired) = std::mem::take(&mut self.copies).into_iter().partition(|copy| !copy.must_fetch(self.since));
        self.copies = kept;
        self.unknown.extend(Vec::into_iter(expired).flat_map(|copy| copy.unknown));
        for node in &self.nodes {
            let app = App { server: node, id: "app".to_owned(), secret: Some("secret-of-app".to_owned()), redirect_uri: String::new() };
            let token = app.client_credentials(&[]).await.access_token();
            self.apis.iter_mut().for_each(|api| api.verify(&token));
            self.copies.iter_mut().for_each(|copy| copy.meet(&token));
            self.live.push_back((self.since + Duration::from_millis(14_499), token));
        }
        // The last moment of a token: its key may have retired since.
        while self.live.front().is_some_and(|(until, _)| *until <= self.since) {
            let (_, token) = self.live.pop_front().unwrap();
            self.apis.iter_mut().for_each(|api| api.verify(&token));
            self.copies.iter_mut().for_each(|copy| copy.meet(&token));
        }
    }

    async fn end(mut self) {
        let one = self.nodes.remove(0);
        for node in self.nodes {
            node.close().await;
        }
        one.end().await;
    }
}

/// While keys rotate and algorithms change under load, a resource server that keeps the JWKS for its `max-age` never meets
/// an unknown key.
async fn a_cached_jwks_has_the_key_of_every_token(backend: Backend) {
    let mut world = World::begin(backend).await;
    world.load_for(Duration::from_secs(35)).await;
    if backend == Backend::Postgres {
        world.start_node(1, "ES256").await;
        world.load_for(Duration::from_secs(25)).await;
        world.start_node(1, "EdDSA").await;
        world.load_for(Duration::from_secs(15)).await;
    }
    for algorithm in ["EdDSA", "PS256", "RS256"] {
        world.start_node(0, algorithm).await;
        world.load_for(Duration::from_secs(35)).await;
    }

    world.unknown.extend(world.copies.drain(..).flat_map(|copy| copy.unknown));
    assert_eq!(world.unknown, Vec::<String>::new());
    for api in &world.apis {
        assert_eq!(api.unknown, Vec::<String>::new());
        assert!(api.fetches > 12 && api.verified > 500, "{} {}", api.fetches, api.verified);
        assert_eq!(api.algorithms, ["ES256", "EdDSA", "PS256", "RS256"].map(str::to_owned).into());
    }
    let met: BTreeSet<&String> = world.apis.iter().flat_map(|api| &api.kids).collect();
    let rotations = world.nodes[0].audited("keys.rotated").await;
    assert!(rotations >= 8 && met.len() >= 8, "{rotations} rotations, {} keys", met.len());
    world.end().await;
}

#[tokio::test]
async fn a_cached_jwks_has_the_key_of_every_token_on_sqlite() {
    a_cached_jwks_has_the_key_of_every_token(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_cached_jwks_has_the_key_of_every_token_on_postgres() {
    a_cached_jwks_has_the_key_of_every_token(Backend::Postgres).await;
}
