//! `[network]`.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// Where peers may be met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Addresses to listen on. Default: port 7440 on every interface, IPv4 and IPv6, TCP and QUIC.
    pub listen: Vec<Multiaddr>,
    /// Members to dial first. With `/p2p/<node id>` at its end, nobody else is taken for them. Default: none; the
    /// addresses of the invite token, remembered peers and mDNS are tried as well.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses to tell others, where the node cannot know them (port forwarding). Default: none.
    pub external: Vec<Multiaddr>,
    /// Find members on the local network. Failing at it is a warning. Default: true.
    pub mdns: bool,
    /// Connections held at once, all peers together; bounds memory. Default: 512.
    pub max_connections: u32,
    /// Connections to one peer: both sides may dial at once, so at least 2. Default: 4.
    pub max_connections_per_peer: u32,
    /// Incoming connections in their handshake; bounds what strangers cost. Default: 128.
    pub max_pending_incoming: u32,
    /// Connections whose peer has not shown its credential yet; bounds what strangers take of the above. Default: 64.
    pub max_unadmitted: u32,
    /// Time a stranger has to show its credential. Default: 5s.
    pub admission_timeout: Span,
    /// Unused connections that are no overlay link are closed after this. Default: 60s.
    pub idle_timeout: Span,
}

impl Default for Network {
    fn default() -> Self {
        let any_v4 = || Multiaddr::from(std::net::Ipv4Addr::UNSPECIFIED);
        let any_v6 = || Multiaddr::from(std::net::Ipv6Addr::UNSPECIFIED);
        let tcp = |address: Multiaddr| address.with(Protocol::Tcp(PORT));
        let quic = |address: Multiaddr| address.with(Protocol::Udp(PORT)).with(Protocol::QuicV1);
        Self {
            listen: vec![tcp(any_v4()), quic(any_v4()), tcp(any_v6()), quic(any_v6())],
            bootstrap: Vec::new(),
            external: Vec::new(),
            mdns: true,
            max_connections: 512,
            max_connections_per_peer: 4,
            max_pending_incoming: 128,
            max_unadmitted: 64,
            admission_timeout: Span::from_secs(5),
            idle_timeout: Span::from_secs(60),
        }
    }
}

/// The port for peers, TCP and UDP.
const PORT: u16 = 7440;
/// More addresses than this in a list are a mistake.
const MOST_ADDRESSES: usize = 64;

impl Section for Network {
    fn check(&self, report: &mut Report<'_>) {
        for (field, list) in [("listen", &self.listen), ("bootstrap", &self.bootstrap), ("external", &self.external)] {
            if list.len() > MOST_ADDRESSES {
                report.wrong(field, format!("has {} addresses; {MOST_ADDRESSES} are the most", list.len()));
            }
        }
        if self.listen.is_empty() {
            report.wrong("listen", "is empty; without an address to listen on no peer can reach this node");
        }
        report.within("max_connections", self.max_connections, 8, 100_000);
        report.within("max_connections_per_peer", self.max_connections_per_peer, 2, 64);
        report.within("max_pending_incoming", self.max_pending_incoming, 1, 10_000);
        report.within("max_unadmitted", self.max_unadmitted, 1, 10_000);
        report.within("admission_timeout", self.admission_timeout, Span::from_millis(100), Span::from_secs(60));
        report.within("idle_timeout", self.idle_timeout, Span::from_secs(1), Span::from_secs(86_400));
    }
}
