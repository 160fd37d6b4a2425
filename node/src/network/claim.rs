//! Whether a port is free. libp2p listens with `SO_REUSEPORT`, for which the system lets a second node take a port that
//! the first listens on, and deals connections out to the two by chance.

use libp2p::{Multiaddr, multiaddr::Protocol};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, bind, socket, sockopt},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};

/// Fails where somebody else listens on the address. Others than TCP are found out by listening.
pub fn check(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => try_bind(SocketAddr::new(ip, port)),
        _ => Ok(()),
    }
}

/// As libp2p does it, but for `SO_REUSEPORT`.
fn try_bind(address: SocketAddr) -> io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let probe = match socket(family, SocketType::STREAM, None) {
        Ok(probe) => probe,
        // No IPv6 here: listening says so.
        Err(Errno::AFNOSUPPORT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Connections of an earlier run that are still closing are no obstacle.
    sockopt::set_socket_reuseaddr(&probe, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&probe, true)?;
    }
    Ok(bind(&probe, &address)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_somebody_listens_on_is_taken() {
        let address = |listener: &TcpListener| -> Multiaddr {
            format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap()
        };
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(check(&address(&taken)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let free = address(&taken);
        drop(taken);
        check(&free).unwrap();
        check(&"/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        check(&"/memory/7".parse().unwrap()).unwrap();
    }
}
