//! How far an address reaches.

use libp2p::{Multiaddr, multiaddr::Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From whom an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Unspecified, multicast, or no address at all.
    Nowhere,
    /// The same machine.
    Machine,
    /// The same local or private network.
    Local,
    World,
}

impl Reach {
    pub fn of(address: &Multiaddr) -> Self {
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Self::of_ip(IpAddr::V4(ip)),
            Some(Protocol::Ip6(ip)) => Self::of_ip(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
            Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)) => Self::World,
            Some(Protocol::Memory(_)) => Self::Machine,
            _ => Self::Nowhere,
        }
    }

    fn of_ip(ip: IpAddr) -> Self {
        if ip.is_unspecified() || ip.is_multicast() {
            Self::Nowhere
        } else if ip.is_loopback() {
            Self::Machine
        } else if match ip {
            IpAddr::V4(ip) => is_local_v4(ip),
            IpAddr::V6(ip) => is_local_v6(ip),
        } {
            Self::Local
        } else {
            Self::World
        }
    }
}

/// Plain TCP to a peer nearby. Preferred where there is a choice: when a process is killed, TCP says so at once and QUIC
/// falls silent; and without loss to hide, QUIC costs more.
pub fn is_near_tcp(address: &Multiaddr) -> bool {
    let near = matches!(Reach::of(address), Reach::Machine | Reach::Local);
    let mut parts = address.iter().skip(1);
    near && matches!(parts.next(), Some(Protocol::Tcp(_))) && parts.all(|part| matches!(part, Protocol::P2p(_)))
}

/// The peer that an address names at its end, and the address without it.
pub fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<libp2p::PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

fn is_local_v4(ip: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is shared address space behind a carrier's NAT.
    ip.is_private() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_reach_as_far_as_they_say() {
        for (address, reach) in [
            ("/ip4/0.0.0.0/tcp/1", Reach::Nowhere),
            ("/ip4/127.0.0.1/tcp/1", Reach::Machine),
            ("/ip6/::1/tcp/1", Reach::Machine),
            ("/ip6/::ffff:10.0.0.1/tcp/1", Reach::Local),
            ("/ip4/192.168.1.2/udp/1/quic-v1", Reach::Local),
            ("/ip4/100.100.1.2/tcp/1", Reach::Local),
            ("/ip4/8.8.8.8/tcp/1", Reach::World),
            ("/dns4/example.org/tcp/1", Reach::World),
            ("/tcp/1", Reach::Nowhere),
        ] {
            assert_eq!(Reach::of(&address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn only_plain_tcp_nearby_is_near_tcp() {
        let near = |address: &str| is_near_tcp(&address.parse().unwrap());
        assert!(near("/ip4/127.0.0.1/tcp/1"));
        assert!(!near("/ip4/127.0.0.1/tcp/1/ws"));
        assert!(!near("/ip4/127.0.0.1/udp/1/quic-v1"));
        assert!(!near("/ip4/8.8.8.8/tcp/1"));
    }
}
