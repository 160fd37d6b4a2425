//! Members that were met, so that a restart needs no bootstrap node. A hint: losing it costs a dial to a bootstrap
//! address, so a damaged line is skipped and counted, never fatal.

use std::path::Path;

use mesh_proto::address::Addresses;
use mesh_proto::id::NodeId;

use super::{DataDir, IdentityError, durable};

const NAME: &str = "peers";
/// Peers remembered at most. Any one of them that answers is enough to find the rest.
const MOST: usize = 256;
/// [`MOST`] lines of an id and sixteen addresses of 512 bytes.
const LIMIT: usize = MOST * (17 * 513);

/// A member and where it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who.
    pub node: NodeId,
    /// Where, best first; without `/p2p/…`.
    pub addresses: Addresses,
}

/// The members that were met last, the latest first; at most 256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    known: Vec<KnownPeer>,
}

impl Peers {
    /// The remembered peers, none where nothing is remembered, and how many lines were skipped as damaged.
    pub fn load(dir: &Path) -> Result<(Self, usize), IdentityError> {
        let bytes = match durable::read(&dir.join(NAME), LIMIT) {
            // Somebody made it too large: nothing of it can be trusted, and nothing of it is needed.
            Err(IdentityError::Damaged { .. }) => return Ok((Self::default(), 1)),
            other => other?.unwrap_or_default(),
        };
        let text = String::from_utf8_lossy(&bytes);
        let (mut peers, mut skipped) = (Self::default(), 0);
        // The file has the latest first, and remembering puts the latest first: so from its end.
        for line in text.lines().rev() {
            match parse(line) {
                Some(peer) => peers.remember(peer),
                None => skipped += 1,
            }
        }
        Ok((peers, skipped))
    }

    /// Puts `peer` first, and forgets the one that was met longest ago if they are too many.
    pub fn remember(&mut self, peer: KnownPeer) {
        self.known.retain(|known| known.node != peer.node);
        self.known.insert(0, peer);
        self.known.truncate(MOST);
    }

    /// Drops a member that left or was forgotten.
    pub fn forget(&mut self, node: NodeId) {
        self.known.retain(|known| known.node != node);
    }

    /// The latest first.
    pub fn iter(&self) -> impl Iterator<Item = &KnownPeer> {
        self.known.iter()
    }

    /// Writes all of them, in place of what was there.
    pub fn save(&self, dir: &DataDir) -> Result<(), IdentityError> {
        let text: String =
            self.known.iter().map(|peer| format!("{} {}\n", peer.node, peer.addresses.join(" "))).collect();
        durable::replace(dir.path(), NAME, text.as_bytes(), durable::PLAIN)
    }
}

fn parse(line: &str) -> Option<KnownPeer> {
    let mut words = line.split_ascii_whitespace();
    let node = words.next()?.parse().ok()?;
    let addresses = Addresses::new(words.map(str::to_owned).collect()).ok()?;
    (!addresses.is_empty()).then_some(KnownPeer { node, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(i: u16) -> KnownPeer {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&i.to_be_bytes());
        let node = mesh_proto::key::SecretKey::from_bytes(&bytes).node_id();
        KnownPeer { node, addresses: Addresses::new(vec![format!("/ip4/10.0.0.1/tcp/{i}")]).unwrap() }
    }

    #[test]
    fn the_latest_are_kept_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        let mut peers = Peers::default();
        for i in 0..300 {
            peers.remember(peer(i));
        }
        peers.remember(peer(200));
        peers.forget(peer(299).node);
        assert_eq!(peers.iter().count(), MOST - 1);
        assert_eq!(peers.iter().next(), Some(&peer(200)));
        peers.save(&dir).unwrap();
        assert_eq!(Peers::load(dir.path()).unwrap(), (peers, 0));
    }

    #[test]
    fn damage_costs_a_line() {
        let temp = tempfile::tempdir().unwrap();
        let good = format!("{} /ip4/10.0.0.1/tcp/1\n", peer(1).node);
        let text = format!("{good}nonsense\n{} \n\u{0}\n{}", peer(2).node, good.replace("/ip4", "ip4"));
        std::fs::write(temp.path().join(NAME), text).unwrap();
        let (peers, skipped) = Peers::load(temp.path()).unwrap();
        assert_eq!((peers.iter().next(), peers.iter().count(), skipped), (Some(&peer(1)), 1, 4));
        std::fs::write(temp.path().join(NAME), vec![b'x'; LIMIT + 1]).unwrap();
        assert_eq!(Peers::load(temp.path()).unwrap(), (Peers::default(), 1));
    }
}
