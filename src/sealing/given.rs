//! The master keys as the configuration gives them; on `SQLite` the first start makes one.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::{
    config::{self, Config, DatabaseUrl, MasterKeySource},
    secret::{self, MasterKey, MasterKeys},
};

/// The configured keys. For a database that has none yet and without one, a new key is kept in a file beside it (`SQLite` only).
pub(crate) fn given(config: &Config, database_has_one: bool) -> anyhow::Result<MasterKeys> {
    let key = MasterKey::new(master_key_bytes(config, database_has_one)?);
    let previous = config.master_key_previous.as_ref().map(|previous| MasterKey::new(*previous.expose()));
    if previous.as_ref().is_some_and(|previous| previous.fingerprint() == key.fingerprint()) {
        bail!("master_key_previous is the same as master_key: remove it, or give the new key as master_key");
    }
    Ok(MasterKeys::new(key, previous))
}

/// The configured key. On a first start with `SQLite` and without one, a new key is kept in a file beside the database.
fn master_key_bytes(config: &Config, database_has_one: bool) -> anyhow::Result<[u8; 32]> {
    let path = match &config.master_key {
        MasterKeySource::Given(key) => return Ok(*key.expose()),
        MasterKeySource::File(path) => path,
    };
    match fs::read_to_string(path) {
        Ok(text) => parse_master_key(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && database_has_one => bail!(
            "there is no master key in {}, and what {} holds, or shall hold, was made with one: put its file there, or give the key with \
             GRANTOR_MASTER_KEY",
            path.display(),
            config.database_url,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(config.database_url, DatabaseUrl::Sqlite(_)) => {
            make_master_key(path).with_context(|| format!("the master key cannot be written to {}", path.display()))?;
            parse_master_key(path, &fs::read_to_string(path)?)
        }
        Err(error) => Err(error).with_context(|| format!("the master key cannot be read from {}", path.display())),
    }
}

fn parse_master_key(path: &Path, text: &str) -> anyhow::Result<[u8; 32]> {
    let key: config::MasterKey = text.trim().parse().map_err(|remedy| anyhow::anyhow!("the master key in {} {remedy}", path.display()))?;
    Ok(*key.expose())
}

/// Written under a temporary name and hard-linked, so that of two racing starters one wins and nobody reads half a key.
fn make_master_key(path: &Path) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", secret::hex(&secret::random::<8>())));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", BASE64_STANDARD.encode(secret::random::<32>()))?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    // The name must be as durable as the database that it opens.
    fs::File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}
