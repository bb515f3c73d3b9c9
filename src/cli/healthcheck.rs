//! `grantor healthcheck`

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use clap::Args;

use super::{ConfigArgs, Failure};
use crate::{
    config::Network,
    outbound::{Limits, Outbound, Reach},
};

#[derive(Args)]
#[command(after_help = "\
Example:
  grantor healthcheck && echo up")]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Healthcheck {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let address = reachable(self.config.load()?.listen);
        let limits = Limits { connect_timeout: Duration::from_secs(2), timeout: Duration::from_secs(5), ..Limits::default() };
        let reach = Reach::Only(vec![Network::of(address.ip())]);
        let outbound = Outbound::new(limits, reach, None).map_err(anyhow::Error::new)?;
        let request = http::Request::get(format!("http://{address}/health/ready")).body(Vec::new()).map_err(anyhow::Error::new)?;
        match outbound.send(request).await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(Failure::Refused(format!("the server on {address} is not ready: it answered {}", response.status()))),
            Err(error) => Err(Failure::Refused(format!("no server answers on {address}: {error}"))),
        }
    }
}

/// Who listens on every address is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
