//! What the operator may say, and what the server uses of it; every mistake reported at once.

mod combinations;
mod database_url;
mod declared;
mod master_key;
mod mistakes;
mod network;
mod rate_limit;
mod settings;
mod show;
mod sources;
#[cfg(test)]
mod tests;
mod throttle;
mod values;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use confique::{Config as _, Layer};
use serde::Deserialize;
use zeroize::Zeroizing;

pub(crate) use self::values::AccessTokenTtl;
pub(crate) use self::values::parse_duration;
pub use self::{
    database_url::DatabaseUrl,
    declared::{Declarations, DeclaredPerson, Included, InitialPassword},
    master_key::{MasterKey, MasterKeySource},
    mistakes::{Mistake, Mistakes},
    network::Network,
    rate_limit::{Rate, RateLimit},
    settings::{
        AddressHeader, Audit, Database, Keys, Limits, LogFormat, Metrics, Outbound, Passwords, Proxies, Registration, RegistrationMode,
        Session, SignUp, Telemetry, Tokens,
    },
    sources::{Flags, Sources},
    throttle::{ByAddress, Throttle},
};
use self::{settings::Settings, show::Effective, sources::Given};
use crate::oauth::Issuer;

/// A configuration without a mistake. `docs/configuration.md` describes every setting.
#[derive(Clone, Debug)]
pub struct Config {
    pub issuer: Issuer,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub database_url: DatabaseUrl,
    pub master_key: MasterKeySource,
    /// What it takes the place of, while that is so.
    pub master_key_previous: Option<MasterKey>,
    /// Directives of `tracing_subscriber::EnvFilter`, known to parse.
    pub log: String,
    pub log_format: LogFormat,
    pub database: Database,
    pub tokens: Tokens,
    pub session: Session,
    pub passwords: Passwords,
    pub throttle: Throttle,
    pub proxies: Proxies,
    pub rate_limit: RateLimit,
    pub sign_up: SignUp,
    pub keys: Keys,
    pub outbound: Outbound,
    pub registration: Registration,
    pub audit: Audit,
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    pub limits: Limits,
    /// What the consent page says of a scope.
    pub scopes: BTreeMap<String, String>,
    /// Which roles people may have, and what for; any, if this is empty.
    pub roles: BTreeMap<String, String>,
    /// Clients and people that the file declares.
    pub declared: Declarations,
    effective: Effective,
}

impl Config {
    /// The configuration that the command line, the process environment, `.env` and the file give.
    pub fn load(flags: Flags) -> Result<Self, Mistakes> {
        Self::from_sources(Sources::read(flags))
    }

    /// The configuration that `sources` give.
    pub fn from_sources(sources: Sources) -> Result<Self, Mistakes> {
        let (file, included) = (sources.file.clone(), sources.included.clone());
        let (mut given, mut mistakes) = sources.heard();
        let mut settings = typed(&given, &mut mistakes);
        let main = file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        let issuer = issuer(&settings, &mut mistakes);
        let declared = Declarations::read(main, &included, &settings.roles, issuer.as_ref(), &mut mistakes);

        let database_url =
            value_or_file("database_url", settings.database_url.take(), settings.database_url_file.take(), &mut given, &mut mistakes);
        let database_url = database_url.unwrap_or_else(|| DatabaseUrl::Sqlite(settings.data_dir.join("grantor.db")));
        let master_key =
            value_or_file("master_key", settings.master_key.take(), settings.master_key_file.take(), &mut given, &mut mistakes);
        let master_key = match (master_key, &database_url) {
            (Some(key), _) => MasterKeySource::Given(key),
            (None, DatabaseUrl::Sqlite(_)) => MasterKeySource::File(settings.data_dir.join("master.key")),
            (None, DatabaseUrl::Postgres(_)) => {
                demand_master_key(&mut mistakes);
                MasterKeySource::File(PathBuf::new())
            }
        };
        let previous = (settings.master_key_previous.take(), settings.master_key_previous_file.take());
        let master_key_previous = value_or_file("master_key_previous", previous.0, previous.1, &mut given, &mut mistakes);
        if let (MasterKeySource::Given(key), Some(previous)) = (&master_key, &master_key_previous)
            && key == previous
            && let Some(said) = given.get("master_key_previous").or_else(|| given.get("master_key_previous_file"))
        {
            mistakes.push(said.mistake("is the same key as master_key: give the new one as master_key, or remove this"));
        }
        let gave_way = combinations::check(&mut settings, issuer.as_ref(), &given, &mut mistakes);

        let Some(issuer) = issuer.filter(|_| mistakes.is_empty()) else { return Err(mistakes) };

        let mut effective = Effective::of(&given);
        effective.follows("issuer", issuer.as_str(), "listen");
        if !given.contains_key("database_url_file") {
            effective.follows("database_url", database_url.to_string(), "data_dir");
        }
        if let MasterKeySource::File(path) = &master_key {
            effective.follows("master_key_file", path.display().to_string(), "data_dir; made at first start");
        }
        for (key, to) in gave_way {
            effective.gave_way(key, to);
        }
        let Settings {
            listen,
            data_dir,
            log,
            log_format,
            database,
            tokens,
            session,
            passwords,
            throttle,
            proxies,
            rate_limit,
            sign_up,
            keys,
            outbound,
            registration,
            audit,
            metrics,
            telemetry,
            limits,
            scopes,
            roles,
            ..
        } = settings;
        Ok(Self {
            issuer,
            listen,
            data_dir,
            database_url,
            master_key,
            master_key_previous,
            log,
            log_format,
            database,
            tokens,
            session,
            passwords,
            throttle,
            proxies,
            rate_limit,
            sign_up,
            keys,
            outbound,
            registration,
            audit,
            metrics,
            telemetry,
            limits,
            scopes,
            roles,
            declared,
            effective,
        })
    }

    /// The configuration in effect as TOML, each value with where it comes from, secrets masked. What is declared
    /// is a comment with its names.
    pub fn show(&self) -> String {
        self.effective.to_toml() + &self.declared.shown()
    }

    /// Whether a person may have this role; the error says which there are.
    pub(crate) fn check_role(&self, role: &str) -> Result<(), String> {
        declared::check_role(role, &self.roles)
    }

    /// Whether this can be the name of a group.
    pub(crate) fn check_group(group: &str) -> Result<(), String> {
        declared::check_group(group)
    }
}

/// Each setting with its type. What has none is reported, and its default stands in so that the rest can be checked.
fn typed(given: &BTreeMap<String, Given>, mistakes: &mut Mistakes) -> Settings {
    type Values = <Settings as confique::Config>::Layer;

    let mut values = Values::empty();
    for said in given.values() {
        // One setting at a time: a layer of several would stop at the first mistake.
        let name = said.leaf.field.name.to_owned();
        let mut alone = toml::Table::from_iter([(name, said.value.clone())]);
        if let Some(section) = said.leaf.section {
            alone = toml::Table::from_iter([(section.to_owned(), alone.into())]);
        }
        match Values::deserialize(alone) {
            Ok(value) => values = values.with_fallback(value),
            Err(error) => mistakes.push(said.mistake(error.message())),
        }
    }
    Settings::from_layer(values.with_fallback(Values::default_values())).expect("every setting has a default or is optional")
}

/// The issuer that was said, or the address listened on. `None` is reported.
fn issuer(settings: &Settings, mistakes: &mut Mistakes) -> Option<Issuer> {
    let issuer = settings.issuer.clone().or_else(|| Issuer::of_loopback(settings.listen));
    if issuer.is_none() && !mistakes.concern(&["issuer", "listen"]) {
        mistakes.push(Mistake {
            key: "issuer".to_owned(),
            origin: None,
            value: None,
            remedy: format!(
                "must be given, because {} is not an address that clients could be told: \
                 GRANTOR_ISSUER=https://id.example.com",
                settings.listen
            ),
        });
    }
    issuer
}

/// A secret that can be given as itself or as a file. Who is heard first decides between the two, and the other
/// is removed from `given`; nobody may say both.
fn value_or_file<T: FromStr<Err = &'static str>>(
    key: &str,
    value: Option<T>,
    path: Option<PathBuf>,
    given: &mut BTreeMap<String, Given>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let file_key = format!("{key}_file");
    let rank = |key: &str| given.get(key).map(|said| said.rank);
    let file = match (rank(key), rank(&file_key)) {
        (Some(one), Some(other)) if one == other => {
            let said = &given[&file_key];
            mistakes.push(said.mistake(format!("{key} is given too, in the same place: remove one of the two")));
            return None;
        }
        (Some(_), None) => return value,
        (Some(one), Some(other)) if one < other => {
            given.remove(&file_key);
            return value;
        }
        (_, Some(_)) => {
            given.remove(key);
            &given[&file_key]
        }
        (None, None) => return None,
    };
    read_secret(&path?).map_err(|remedy| mistakes.push(file.mistake(remedy))).ok()
}

fn read_secret<T: FromStr<Err = &'static str>>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| format!("the file cannot be read: {error}"))?;
    text.trim().parse().map_err(|remedy| format!("what the file holds {remedy}"))
}

fn demand_master_key(mistakes: &mut Mistakes) {
    if !mistakes.concern(&["master_key", "master_key_file"]) {
        mistakes.push(Mistake {
            key: "master_key".to_owned(),
            origin: None,
            value: None,
            remedy: "must be given with Postgres, the same for every node: make one with `openssl rand -base64 32`, keep it \
                     apart from the database, and give it as GRANTOR_MASTER_KEY, or its file as GRANTOR_MASTER_KEY_FILE"
                .to_owned(),
        });
    }
}
