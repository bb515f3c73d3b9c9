//! What lives as long as the process: configuration, store, keys, caches.

mod connections;
mod flights;
mod hashing;
mod rate_limits;
mod turns;

pub(crate) use connections::Connections;
pub(crate) use flights::Flights;
pub(crate) use hashing::{HashingGate, HashingMemory};
pub(crate) use rate_limits::{Counted, Limit, RateLimits, Standing};
pub(crate) use turns::{Turn, Turns};

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::Context;
use moka::future::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::{Config, RegistrationMode},
    error::{Error, Result},
    jose::{self, Algorithm, KeyRing, RemoteKeys, rotation::Rotation, schedule::Schedule},
    metrics::Metrics,
    oauth::{
        Client, ClientId, Document, ProtectedResource, Resource,
        client::Trust,
        metadata::{self, Offer},
    },
    sealing,
    secret::{self, MasterKey, MasterKeys, RootKey},
    store::{FirstStart, Migrations, Store, throttles::Parties},
    traces::Traces,
};

/// How old a client in memory may be: other nodes and the command line change them in the store.
const CLIENT_TIME_TO_LIVE: Duration = Duration::from_millis(500);
const CLIENTS_IN_MEMORY: u64 = 10_000;
/// The same of resources, also of those that nobody registered.
const RESOURCES_IN_MEMORY: u64 = 10_000;
/// How many may wait to sign in to one account from one network.
const SIGN_INS_IN_LINE: usize = 64;
/// How many sign-outs may tell clients at the same time, beside the job that does.
const TELLINGS: usize = 16;

/// A handle on everything that requests share. Clones are cheap.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    config: Config,
    clock: Clock,
    store: Store,
    master_keys: Arc<MasterKeys>,
    root_key: RootKey,
    keys: KeyRing,
    clients: Cache<ClientId, Option<Arc<Client>>>,
    resources: Cache<Resource, Option<Arc<ProtectedResource>>>,
    hashing: HashingGate,
    sign_ins: Arc<Turns<Parties>>,
    rate_limits: RateLimits,
    tellings: Arc<Semaphore>,
    metrics: Metrics,
    traces: Traces,
    metadata: Document,
    connections: Connections,
    request_objects: Flights<(Trust, String), String>,
    remote_keys: RemoteKeys,
    node: Uuid,
}

impl Server {
    /// Opens the store and, under the lock of the first start, migrates it and makes what is missing: master key, keys.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let mut opened = Box::pin(open(&config, &clock)).await?;
        // Nobody waits for longer; a command does.
        opened.store = opened.store.answering_within(config.limits.request_timeout);
        let rotation = Rotation { store: &opened.store, master_keys: &opened.master_keys, config: &config, clock: &clock };
        let algorithms = rotation.select_algorithm().await?;
        let traces = Traces::begin(&config.telemetry, config.outbound.ca_file.as_deref()).context("traces cannot be sent")?;
        Box::pin(Self::with(config, clock, opened, algorithms, traces)).await
    }

    /// The same for a command, which signs nothing, and may run with other settings than the server.
    pub(crate) async fn for_a_command(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let opened = Box::pin(open(&config, &clock)).await?;
        Box::pin(Self::with(config, clock, opened, Vec::new(), Traces::off())).await
    }

    async fn with(
        config: Config,
        clock: Clock,
        opened: Opened,
        access_token_algorithms: Vec<Algorithm>,
        traces: Traces,
    ) -> anyhow::Result<Self> {
        let Opened { store, master_keys, root_key } = opened;
        let keys = KeyRing::load(store.clone(), Arc::clone(&master_keys), clock.clone(), Schedule::of(&config), access_token_algorithms);
        let keys = keys.await.context("the keys cannot be loaded")?;
        Ok(Self(Arc::new(Inner {
            remote_keys: RemoteKeys::new(clock.clone()),
            connections: Connections::new(&config.outbound)?,
            request_objects: Flights::default(),
            hashing: HashingGate::new(config.passwords.hashing_threads, config.passwords.hashing_queue),
            sign_ins: Turns::new(SIGN_INS_IN_LINE),
            rate_limits: RateLimits::new(&config.rate_limit),
            tellings: Arc::new(Semaphore::new(TELLINGS)),
            metrics: Metrics::new(clock.now()),
            traces,
            clients: Cache::builder().max_capacity(CLIENTS_IN_MEMORY).time_to_live(CLIENT_TIME_TO_LIVE).build(),
            resources: Cache::builder().max_capacity(RESOURCES_IN_MEMORY).time_to_live(CLIENT_TIME_TO_LIVE).build(),
            metadata: Document::new(serde_json::to_string(&metadata(&config))?),
            node: secret::new_id(clock.now()),
            config,
            clock,
            store,
            master_keys,
            root_key,
            keys,
        })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What opens what is sealed in the store.
    pub(crate) fn master_keys(&self) -> &MasterKeys {
        &self.0.master_keys
    }

    /// What seals for the store now.
    pub(crate) async fn sealing_key(&self) -> Result<&MasterKey> {
        sealing::in_force(self.store(), self.master_keys()).await
    }

    /// What protects requests, forms and the names of who is throttled.
    pub(crate) fn root_key(&self) -> &RootKey {
        &self.0.root_key
    }

    /// What changes the keys.
    pub(crate) fn rotation(&self) -> Rotation<'_> {
        Rotation { store: &self.0.store, master_keys: &self.0.master_keys, config: &self.0.config, clock: &self.0.clock }
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    pub(crate) fn hashing(&self) -> &HashingGate {
        &self.0.hashing
    }

    /// The turns of those who sign in to one account from one network.
    pub(crate) fn sign_ins(&self) -> &Arc<Turns<Parties>> {
        &self.0.sign_ins
    }

    /// How many requests an address, a person and a client may send.
    pub(crate) fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// The places of those who sign out and tell clients of it.
    pub(crate) fn tellings(&self) -> &Arc<Semaphore> {
        &self.0.tellings
    }

    /// What is told of requests to a collector.
    pub(crate) fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// What this process counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn metadata(&self) -> &Document {
        &self.0.metadata
    }

    /// HTTP to the addresses that clients register.
    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// The request objects that are being fetched.
    pub(crate) fn request_objects(&self) -> &Flights<(Trust, String), String> {
        &self.0.request_objects
    }

    /// The keys of clients that are registered with a `jwks_uri`.
    pub(crate) fn remote_keys(&self) -> &RemoteKeys {
        &self.0.remote_keys
    }

    /// Names this process among those that share the database.
    pub(crate) fn node(&self) -> Uuid {
        self.0.node
    }

    /// A client that is enabled, at most half a second old; of several who ask at once one loads it.
    pub(crate) async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        if let Some(cached) = self.0.clients.get(id).await {
            return Ok(cached);
        }
        let load = async {
            let client = self.store().client(id).await?.filter(|client| client.disabled_at.is_none());
            Ok::<_, Error>(client.map(|client| Arc::new(self.with_todays_policy(client))))
        };
        self.0.clients.try_get_with_by_ref(id, load).await.map_err(|shared| of_all_who_wait(&shared))
    }

    /// What is registered of these resources, in their order, at most half a second old.
    pub(crate) async fn resources(&self, uris: &[Resource]) -> Result<Vec<Option<Arc<ProtectedResource>>>> {
        let mut registered = Vec::with_capacity(uris.len());
        for uri in uris {
            let load = async { Ok::<_, Error>(self.store().resource(uri).await?.map(Arc::new)) };
            registered.push(self.0.resources.try_get_with_by_ref(uri, load).await.map_err(|shared| of_all_who_wait(&shared))?);
        }
        Ok(registered)
    }

    /// What the operator lets clients do that registered themselves holds at once, also for those that came before.
    fn with_todays_policy(&self, mut client: Client) -> Client {
        if client.trust == Trust::SelfRegistered {
            client.metadata.pkce = client.metadata.pkce.min(self.config().registration.confidential_pkce);
        }
        client
    }

    /// Drops what is in memory of a client that this process changed.
    pub(crate) async fn forget_client(&self, id: &ClientId) {
        self.0.clients.invalidate(id).await;
    }

    /// Finishes what waits and closes the store.
    pub async fn close(&self) {
        self.store().close().await;
        let server = self.clone();
        // A task that is gone has nothing to send.
        let _ = tokio::task::spawn_blocking(move || server.traces().end()).await;
    }
}

/// The error of the one who loaded, for each who waited.
pub(crate) fn of_all_who_wait(shared: &Arc<Error>) -> Error {
    match &**shared {
        Error::Unavailable { reason, retry_after, cause } => Error::Unavailable { reason, retry_after: *retry_after, cause: cause.clone() },
        Error::TooMany { retry_after } => Error::TooMany { retry_after: *retry_after },
        Error::Protocol(error) => Error::Protocol(error.clone()),
        Error::Internal(error) => Error::internal(format!("{error:#}")),
    }
}

/// What this configuration announces.
fn metadata(config: &Config) -> serde_json::Map<String, serde_json::Value> {
    let scopes: Vec<&str> = config.scopes.keys().map(String::as_str).collect();
    let registers = config.registration.mode != RegistrationMode::Off;
    metadata::document(&Offer { issuer: &config.issuer, scopes: &scopes, sign_up: config.sign_up.open, registers })
}

/// An open store and what opens what it holds.
struct Opened {
    store: Store,
    master_keys: Arc<MasterKeys>,
    root_key: RootKey,
}

/// Opens the store under the lock of the first start, and makes what is missing.
async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Opened> {
    jose::install_provider();
    let _first_start = FirstStart::begin(config).await?;
    let migrations = if config.database.migrate { Migrations::Apply } else { Migrations::Expect };
    let store = Store::open(config, migrations).await?;
    let master_keys = Arc::new(sealing::open(config, &store).await?);
    Rotation { store: &store, master_keys: &master_keys, config, clock }.ensure_keys().await?;
    let root_key = sealing::root_key(&store, &master_keys).await?;
    Ok(Opened { store, master_keys, root_key })
}

/// A household or machine has a /64 of IPv6. An IPv4 address that a socket for both shows as IPv6 is what it is.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What one party may well have all of: a /48 of IPv6, as it is handed to sites, or a /24 of IPv4.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 80 << 80).into()),
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() >> 8 << 8).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn a_neighbourhood_is_what_a_site_may_have() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:ffff::1"));
        assert_ne!(of("2001:db8:0::1"), of("2001:db8:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.255"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
    }
}
