use std::net::{Ipv4Addr, TcpListener};

use super::TestnetError;

/// Below the range from which systems take ports for outgoing connections: a port that a killed node left must still
/// be free when it comes back.
const RANGE: std::ops::Range<u16> = 12_000..30_000;

/// Ports of 127.0.0.1 on which nobody listens now.
pub(super) fn free(count: usize) -> Result<Vec<u16>, TestnetError> {
    let span = RANGE.end - RANGE.start;
    let first = rand::random::<u16>() % span;
    let mut held = Vec::with_capacity(count);
    for offset in 0..span {
        if held.len() == count {
            break;
        }
        let port = RANGE.start + (first + offset) % span;
        // All are held until the last is found, so that none is found twice.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    match held.len() == count {
        true => Ok(held.into_iter().map(|(port, _)| port).collect()),
        false => Err(TestnetError::Ports { count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_each_is_found_once() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut ports = free(40).unwrap();
        assert!(!ports.contains(&taken.local_addr().unwrap().port()));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 40);
    }
}
