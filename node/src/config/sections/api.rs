//! `[api]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::Report;

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Where the API listens. Elsewhere than on loopback it wants TLS in front. Default: 127.0.0.1:7441.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` listen as well. Default: none, they are on the API's address only.
    pub metrics_listen: Option<SocketAddr>,
    /// Names by which a request may call this node in its `Host`, besides the address that it listens on, loopback
    /// addresses and `localhost`. Default: none.
    pub hosts: Vec<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7441), metrics_listen: None, hosts: Vec::new() }
    }
}

impl Section for Api {
    fn check(&self, report: &mut Report<'_>) {
        // Port 0 twice is two free ports, not one.
        if self.metrics_listen == Some(self.listen) && self.listen.port() != 0 {
            report.wrong(
                "metrics_listen",
                format!("{} is the API's own address; leave it out or take another", self.listen),
            );
        }
        for host in &self.hosts {
            let parsed = host.parse::<axum::http::uri::Authority>();
            if !parsed.is_ok_and(|authority| authority.as_str() == authority.host()) {
                report.wrong("hosts", format!("{host:?} is no name or address; leave out scheme, port and path"));
            }
        }
    }
}
