//! Whom to trust over TLS: the public CAs (Mozilla's), compiled in, and those of the operator's file.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

pub(super) fn config(ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        add(&mut roots, path).with_context(|| format!("outbound.ca_file {}", path.display()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, path: &Path) -> anyhow::Result<()> {
    let text = fs::read(path)?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate?)?;
        found += 1;
    }
    anyhow::ensure!(found > 0, "the file holds no certificate in PEM form");
    Ok(())
}
