//! Every setting, once: its name, default, limits and meaning.
//!
//! A field's comment is its entry in `docs/configuration.md`, its path is its key, and key and environment
//! variable follow from each other (`tokens.access_token_ttl`, `GRANTOR_TOKENS__ACCESS_TOKEN_TTL`).

mod leaf;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use confique::Config as Declared;
use serde::Deserialize;
use url::Url;

pub(super) use leaf::Leaf;

use crate::oauth::{Algorithm, Issuer, Scope, client_metadata::PkcePolicy};

use super::{
    DatabaseUrl, MasterKey, Network, RateLimit, Throttle,
    values::{
        AccessTokenTtl, DAY, HOUR, KIB, MIB, MINUTE, Within, boolean, collector, key_sets, log_directives, networks, parsed, path, proxies,
        roles, scope, scopes, socket_address, threads,
    },
};

#[derive(Declared)]
pub(super) struct Settings {
    /// The issuer identifier: how clients know this server, and the beginning of every URL it announces.
    /// `https`, or `http` on loopback; with or without a path, below which everything is served; without query or trailing slash.
    /// Without it: `http://` and the `listen` address, where that is a loopback address.
    #[config(deserialize_with = parsed)]
    pub issuer: Option<Issuer>,

    /// The IP address and port to listen on. TLS is for a proxy in front.
    #[config(default = "127.0.0.1:8080", deserialize_with = socket_address)]
    pub listen: SocketAddr,

    /// The folder of what the server itself keeps: the SQLite database and its master key.
    #[config(default = "grantor-data", deserialize_with = path)]
    pub data_dir: PathBuf,

    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`. The variable `DATABASE_URL` is read where neither the
    /// environment nor `.env` has this one. Without it: `sqlite:` and `grantor.db` in `data_dir`.
    #[config(deserialize_with = parsed)]
    pub database_url: Option<DatabaseUrl>,

    /// A file that holds the `database_url`, which may contain a password.
    #[config(deserialize_with = path)]
    pub database_url_file: Option<PathBuf>,

    /// The key that seals whatever secret the database holds: 32 bytes as base64, base64url or hex.
    /// Without it: `master.key` in `data_dir`, made at first start; on Postgres it must be given.
    #[config(deserialize_with = parsed)]
    pub master_key: Option<MasterKey>,

    /// A file that holds the `master_key`. It must exist.
    #[config(deserialize_with = path)]
    pub master_key_file: Option<PathBuf>,

    /// The `master_key` of before, while `grantor keys rewrap` puts another in its place: until that is done, what either sealed is opened.
    #[config(deserialize_with = parsed)]
    pub master_key_previous: Option<MasterKey>,

    /// A file that holds the `master_key_previous`. It must exist.
    #[config(deserialize_with = path)]
    pub master_key_previous_file: Option<PathBuf>,

    /// What to log: `error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,grantor=debug`.
    #[config(default = "info", deserialize_with = log_directives)]
    pub log: String,

    /// `text`, `json`, or `auto`: text on a terminal, JSON otherwise.
    #[config(default = "auto")]
    pub log_format: LogFormat,

    /// The database connections.
    #[config(nested)]
    pub database: Database,

    /// How long what is issued lives. A duration is written `"30s"`, `"10m"`, `"1h 30m"` or `"14d"`.
    #[config(nested)]
    pub tokens: Tokens,

    /// The browser session that a sign-in begins.
    #[config(nested)]
    pub session: Session,

    /// How passwords are hashed (Argon2id, RFC 9106), and which may be set. People's hashes follow a change at their next sign-in.
    #[config(nested)]
    pub passwords: Passwords,

    /// How often a password may be wrong. What a failure costs is forgiven with time. A right password costs nothing, but while an
    /// account must wait, the right one must wait, too; not at a browser where its person signed in before, which counts by itself.
    #[config(nested)]
    pub throttle: Throttle,

    /// The proxies in front, which say the address that a request comes from.
    #[config(nested)]
    pub proxies: Proxies,

    /// How many requests are answered before more are refused with 429. Each endpoint and each page counts by itself, and each node.
    #[config(nested)]
    pub rate_limit: RateLimit,

    /// Whether people make their accounts themselves.
    #[config(nested)]
    pub sign_up: SignUp,

    /// The signing keys.
    #[config(nested)]
    pub keys: Keys,

    /// What the server itself connects to: the addresses that clients register, such as their `jwks_uri`. By `https`, on the Internet.
    #[config(nested)]
    pub outbound: Outbound,

    /// Clients that register themselves (RFC 7591).
    #[config(nested)]
    pub registration: Registration,

    /// What is remembered of what matters to security.
    #[config(nested)]
    pub audit: Audit,

    /// What Prometheus may read of the server.
    #[config(nested)]
    pub metrics: Metrics,

    /// Traces of requests, by OTLP (OpenTelemetry).
    #[config(nested)]
    pub telemetry: Telemetry,

    /// What one request, and all of them together, may take. A size is written `"64KiB"` or as a number of bytes.
    #[config(nested)]
    pub limits: Limits,

    /// What the consent page says of a scope: `name = "sentence"`. A scope without a sentence is shown by its name.
    /// In the file only.
    #[config(default = {}, deserialize_with = scopes)]
    pub scopes: BTreeMap<String, String>,

    /// Which roles people may have: `name = "what it is for"`. Where none is listed, any will do.
    /// In the file only.
    #[config(default = {}, deserialize_with = roles)]
    pub roles: BTreeMap<String, String>,
}

/// `[database]`
#[derive(Clone, Debug, Declared)]
pub struct Database {
    /// The most connections that one process opens (2 to 500).
    #[config(default = 16, deserialize_with = Within::<2, 500>::number)]
    pub max_connections: u32,

    /// How long a request waits for a connection before it is answered 503 (1s to 1m).
    #[config(default = "5s", deserialize_with = Within::<1, MINUTE>::duration)]
    pub acquire_timeout: Duration,

    /// Whether `grantor serve` applies pending migrations. Otherwise `grantor migrate` must.
    #[config(default = true, deserialize_with = boolean)]
    pub migrate: bool,
}

/// `[tokens]`
#[derive(Clone, Debug, Declared)]
pub struct Tokens {
    /// The lifetime of an access token, and of the ID token beside it (1s to 1d).
    #[config(default = "10m", deserialize_with = AccessTokenTtl::duration)]
    pub access_token_ttl: Duration,

    /// What access tokens are signed with: `ES256`, `RS256`, `PS256` or `EdDSA` (Ed25519). A key is made when it is first
    /// selected. Where the JWKS is known already, it signs once every cache has it, and the algorithm before goes on until then.
    #[config(default = "ES256")]
    pub access_token_alg: Algorithm,

    /// The lifetime of an authorization code (1s to 10m).
    #[config(default = "60s", deserialize_with = Within::<1, { 10 * MINUTE }>::duration)]
    pub authorization_code_ttl: Duration,

    /// How long a refresh token may lie unused (1s to 3650d). The default gives way to a shorter `refresh_token_ttl`.
    #[config(default = "30d", deserialize_with = Within::<1, { 3650 * DAY }>::duration)]
    pub refresh_token_idle_ttl: Duration,

    /// How long refreshing may go on in all; using a token never moves this end (1s to 3650d).
    #[config(default = "90d", deserialize_with = Within::<1, { 3650 * DAY }>::duration)]
    pub refresh_token_ttl: Duration,

    /// How long a client that lost the answer may repeat a refresh and get the same successor (0s to 5m). Time in which
    /// the database did not answer does not count.
    #[config(default = "30s", deserialize_with = Within::<0, { 5 * MINUTE }>::duration)]
    pub refresh_retry_window: Duration,
}

/// `[session]`
#[derive(Clone, Debug, Declared)]
pub struct Session {
    /// How long a person stays signed in at most (1s to 400d).
    #[config(default = "14d", deserialize_with = Within::<1, { 400 * DAY }>::duration)]
    pub ttl: Duration,

    /// How long a person stays signed in without coming back (1s to 400d). The default gives way to a shorter `ttl`.
    #[config(default = "24h", deserialize_with = Within::<1, { 400 * DAY }>::duration)]
    pub idle_ttl: Duration,
}

/// `[passwords]`
#[derive(Clone, Debug, Declared)]
pub struct Passwords {
    /// The memory of one hash in KiB (7168 to 1048576). With `argon2_iterations` it must reach 7168 and 5, 9216 and 4,
    /// 12288 and 3, 19456 and 2, or 47104 and 1, unless the issuer is on loopback.
    #[config(default = 19456, deserialize_with = Within::<7168, 1_048_576>::number)]
    pub argon2_memory_kib: u32,

    /// The passes over that memory (1 to 100).
    #[config(default = 2, deserialize_with = Within::<1, 100>::number)]
    pub argon2_iterations: u32,

    /// The lanes of one hash (1 to 16). They are computed one after the other.
    #[config(default = 1, deserialize_with = Within::<1, 16>::number)]
    pub argon2_parallelism: u32,

    /// How many passwords are hashed at a time, each with its memory (1 to 256), or `auto`: one per core.
    #[config(default = "auto", deserialize_with = threads)]
    pub hashing_threads: usize,

    /// How many sign-ins may wait for a hashing thread before more are answered 503 (1 to 10000).
    #[config(default = 64, deserialize_with = Within::<1, 10_000>::number)]
    pub hashing_queue: usize,

    /// How many characters a password has at least that is set from now on (8 to 128). 15 are advised where it is all that people
    /// sign in with. Those that everyone guesses first, and those too like the e-mail address, are refused as well.
    #[config(default = 8, deserialize_with = Within::<8, 128>::number)]
    pub minimum_length: usize,
}

/// `[sign_up]`
#[derive(Clone, Debug, Declared)]
pub struct SignUp {
    /// Whether anyone may make an account, with an e-mail that nobody verifies: the sign-in page leads to `/signup`, and apps
    /// may ask for it by `prompt=create`.
    #[config(default = false, deserialize_with = boolean)]
    pub open: bool,
}

/// `[proxies]`
#[derive(Clone, Debug, Declared)]
pub struct Proxies {
    /// The networks of proxies whose word is taken for the address that a request comes from: `["10.0.0.0/8"]`, in the environment
    /// with commas between them. From elsewhere the header is not read.
    #[config(default = [], deserialize_with = proxies)]
    pub networks: Vec<Network>,

    /// The one header that they set or add to: `x-forwarded-for`, or `forwarded` (RFC 7239). The other is not read.
    #[config(default = "x-forwarded-for")]
    pub header: AddressHeader,
}

/// `[keys]`
#[derive(Clone, Debug, Declared)]
pub struct Keys {
    /// How long resource servers may keep the JWKS, and so how long a new key waits before it signs (1s to 1d).
    #[config(default = "10m", deserialize_with = Within::<1, DAY>::duration)]
    pub jwks_max_age: Duration,

    /// How old the newest key of an algorithm becomes before the server makes the next (0s to 3650d). `0s`: the server rotates
    /// nothing, `grantor keys rotate` does. Longer than `jwks_max_age` and `clock_margin` together, and than an access token lives.
    #[config(default = "90d", deserialize_with = Within::<0, { 3650 * DAY }>::duration)]
    pub rotation_interval: Duration,

    /// What the clocks of nodes and resource servers may differ, and answers may take: by so much longer a new key waits, and
    /// an old one stays (1s to 1h).
    #[config(default = "60s", deserialize_with = Within::<1, HOUR>::duration)]
    pub clock_margin: Duration,
}

/// `[outbound]`
#[derive(Clone, Debug, Declared)]
pub struct Outbound {
    /// Networks beside the Internet whose addresses the server may connect to: `["10.20.0.0/16", "fd00::/8"]`, in the environment
    /// with commas between them. Of loopback networks that are listed also by `http`.
    #[config(default = [], deserialize_with = networks)]
    pub allow_networks: Vec<Network>,

    /// A PEM file with certificates of CAs that are trusted beside the public ones.
    #[config(deserialize_with = path)]
    pub ca_file: Option<PathBuf>,
}

/// `[registration]`
#[derive(Clone, Debug, Declared)]
pub struct Registration {
    /// Who may register clients: `off`, nobody but you; `token`, whoever got a token of `grantor registration-token create` from
    /// you; `open`, anyone.
    #[config(default = "off")]
    pub mode: RegistrationMode,

    /// What such clients may ask for, and get when they ask for nothing.
    #[config(default = "openid profile email address phone offline_access", deserialize_with = scope)]
    pub scope: Scope,

    /// Whether authorization requests of those with a secret or key need PKCE: `required`; `or_nonce`, a `nonce` will do;
    /// `optional`, for certification only. Those of public clients always do.
    #[config(default = "required")]
    pub confidential_pkce: PkcePolicy,

    /// How many clients may be registered from one address without delay where registration is `open` (1 to 100000).
    /// Of IPv6 a /64 is one address; where `throttle.by_address` tells nobody apart, all are one.
    #[config(default = 100, deserialize_with = Within::<1, 100_000>::number)]
    pub address_clients: u32,

    /// How long each further one waits, and how soon one of those without delay is free again (1s to 1d).
    #[config(default = "1m", deserialize_with = Within::<1, DAY>::duration)]
    pub address_delay: Duration,

    /// How long a client that registered itself is kept without a token (1h to 365d). The first one keeps it for good.
    #[config(default = "7d", deserialize_with = Within::<HOUR, { 365 * DAY }>::duration)]
    pub unused_ttl: Duration,

    /// How many clients without a token there may be before registration is answered 503 (1 to 1000000). With `open`, one network (a
    /// /48 of IPv6, a /24 of IPv4) has a tenth of them.
    #[config(default = 10000, deserialize_with = Within::<1, 1_000_000>::number)]
    pub unused_clients: u32,

    /// Whether a client must bring a software statement (RFC 7591 §2.3) of one of the `software_statement_issuers`.
    #[config(default = false, deserialize_with = boolean)]
    pub require_software_statement: bool,

    /// Whose software statements are believed: `"issuer" = "file"`, the file with its public keys as a JWK Set.
    /// In the file only.
    #[config(default = {}, deserialize_with = key_sets)]
    pub software_statement_issuers: BTreeMap<String, serde_json::Value>,
}

/// `[audit]`
#[derive(Clone, Debug, Declared)]
pub struct Audit {
    /// How long audit events are kept (1d to 3650d).
    #[config(default = "400d", deserialize_with = Within::<DAY, { 3650 * DAY }>::duration)]
    pub retention: Duration,
}

/// `[metrics]`
#[derive(Clone, Debug, Declared)]
pub struct Metrics {
    /// The IP address and port of a listener for `/metrics` alone, which must not be reached from the Internet: such as
    /// `127.0.0.1:9464`. Without it there is none, and `/metrics` is not found anywhere.
    #[config(deserialize_with = socket_address)]
    pub listen: Option<SocketAddr>,
}

/// `[telemetry]`
#[derive(Clone, Debug, Declared)]
pub struct Telemetry {
    /// The collector that traces are sent to by OTLP over HTTP: `http://127.0.0.1:4318`, to which `/v1/traces` is added. Without
    /// it nothing is traced.
    #[config(deserialize_with = collector)]
    pub otlp_endpoint: Option<Url>,

    /// How many of a hundred requests are traced (1 to 100). Where a caller says by its `traceparent` whether it traces, that counts.
    #[config(default = 100, deserialize_with = Within::<1, 100>::number)]
    pub otlp_sample_percent: u8,
}

/// `[limits]`
#[derive(Clone, Debug, Declared)]
pub struct Limits {
    /// The largest body of a request (4KiB to 1MiB).
    #[config(default = "64KiB", deserialize_with = Within::<{ 4 * KIB }, MIB>::bytes)]
    pub request_body: usize,

    /// The largest head of a request: its line and headers (8KiB to 64KiB).
    #[config(default = "16KiB", deserialize_with = Within::<{ 8 * KIB }, { 64 * KIB }>::bytes)]
    pub request_headers: usize,

    /// How long a client may take to send the head of a request (1s to 1m).
    #[config(default = "10s", deserialize_with = Within::<1, MINUTE>::duration)]
    pub header_timeout: Duration,

    /// How long a request may take, from its head to its answer (1s to 10m): then it is 408 if its body is not there yet,
    /// else 503. No operation of Postgres is waited for longer.
    #[config(default = "30s", deserialize_with = Within::<1, { 10 * MINUTE }>::duration)]
    pub request_timeout: Duration,

    /// The most connections at a time (1 to 1000000), as far as the limit of open files allows. For the next, the one
    /// that does nothing for the longest time makes room.
    #[config(default = 10000, deserialize_with = Within::<1, 1_000_000>::number)]
    pub connections: usize,

    /// How long requests in flight may take to end after SIGTERM (0s to 1h).
    #[config(default = "20s", deserialize_with = Within::<0, HOUR>::duration)]
    pub shutdown_timeout: Duration,
}

/// Where proxies say whom they pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressHeader {
    /// `Forwarded` (RFC 7239).
    #[serde(alias = "Forwarded")]
    Forwarded,
    #[serde(alias = "X-Forwarded-For")]
    XForwardedFor,
}

/// Who may register clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    Off,
    Token,
    Open,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}
