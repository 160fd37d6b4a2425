//! Whom to dial, and when again. Pure: the driver asks what is due, and reports what came of it.
//!
//! Plain TCP addresses nearby go first; the others follow a second later, or at once when those failed.

use super::{
    config::Backoff,
    reach::{is_near_tcp, split_peer},
};
use libp2p::{
    Multiaddr, PeerId,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The head start of TCP nearby.
const HEAD_START: Duration = Duration::from_secs(1);
/// Addresses of one target.
const ADDRESSES: usize = 16;
/// Targets in all. Bootstrap addresses and remembered peers come first; what mDNS or callers add beyond is refused.
const TARGETS: usize = 2048;

/// For how long a target is pursued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pursuit {
    /// One attempt at all its addresses.
    Once,
    /// As long as it is seen on the local network.
    WhileSeen,
    /// Until it is reached, and again when it is lost.
    Always,
}

#[derive(Debug)]
pub struct Dialer {
    backoff: Backoff,
    max_dials: usize,
    next: u64,
    targets: BTreeMap<u64, Target>,
    dials: BTreeMap<ConnectionId, Dial>,
}

#[derive(Debug)]
struct Target {
    peer: Option<PeerId>,
    /// Without `/p2p/`.
    addresses: Vec<Multiaddr>,
    pursuit: Pursuit,
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Waiting(Instant),
    /// The near addresses are being dialled; the others follow at this time.
    Near(Instant),
    All,
    Connected,
}

#[derive(Debug)]
struct Dial {
    target: u64,
    addresses: Vec<Multiaddr>,
}

impl Dialer {
    pub fn new(backoff: Backoff, max_dials: usize) -> Self {
        Self { backoff, max_dials, next: 0, targets: BTreeMap::new(), dials: BTreeMap::new() }
    }

    /// Adds a target, or addresses to the one that this peer has. `false` if there is no room for it.
    pub fn add(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>, pursuit: Pursuit, at: Instant) -> bool {
        let mut addresses: Vec<_> = addresses.into_iter().map(|address| split_peer(address).0).collect();
        addresses.dedup();
        addresses.truncate(ADDRESSES);
        let known = peer.and_then(|_| self.targets.values_mut().find(|target| target.peer == peer));
        if let Some(target) = known {
            addresses.retain(|address| !target.addresses.contains(address));
            // The newest first: an old one that nobody uses any more falls out at the end.
            target.addresses.splice(0..0, addresses);
            target.addresses.truncate(ADDRESSES);
            target.pursuit = target.pursuit.max(pursuit);
            if let State::Waiting(next) = &mut target.state {
                *next = (*next).min(at);
            }
            return true;
        }
        if self.targets.len() >= TARGETS || addresses.is_empty() {
            return false;
        }
        let target = Target { peer, addresses, pursuit, failures: 0, state: State::Waiting(at) };
        self.targets.insert(self.next, target);
        self.next += 1;
        true
    }

    /// No longer pursues a peer.
    pub fn remove(&mut self, peer: PeerId) {
        self.targets.retain(|_, target| target.peer != Some(peer));
    }

    /// A peer is no longer seen on the local network.
    pub fn unseen(&mut self, peer: PeerId) {
        self.targets.retain(|_, target| target.peer != Some(peer) || target.pursuit != Pursuit::WhileSeen);
    }

    /// What to dial now. Call until `None`.
    pub fn due(&mut self, now: Instant) -> Option<DialOpts> {
        if self.dials.len() >= self.max_dials {
            return None;
        }
        let (id, target) = self.targets.iter_mut().find(|(_, target)| target.is_due(now))?;
        let (opts, addresses) = target.dial(now);
        self.dials.insert(opts.connection_id(), Dial { target: *id, addresses });
        Some(opts)
    }

    /// When [`due`](Self::due) may have something next.
    pub fn deadline(&self) -> Option<Instant> {
        if self.dials.len() >= self.max_dials {
            return None;
        }
        self.targets.values().filter_map(Target::next).min()
    }

    /// The addresses of a dial of ours that is under way.
    pub fn dialled(&self, connection: ConnectionId) -> &[Multiaddr] {
        self.dials.get(&connection).map_or(&[], |dial| &dial.addresses)
    }

    /// A dial, or the admission after it, came to nothing. `lasting`: trying again soon is of no use.
    pub fn failed(&mut self, connection: ConnectionId, lasting: bool, now: Instant, random: f64) {
        let Some(dial) = self.dials.remove(&connection) else { return };
        if self.dials.values().any(|other| other.target == dial.target) {
            return;
        }
        let Some(target) = self.targets.get_mut(&dial.target) else { return };
        match target.state {
            State::Connected | State::Waiting(_) => {}
            State::Near(_) if target.others().next().is_some() => target.state = State::Near(now),
            State::Near(_) | State::All if target.pursuit == Pursuit::Once => {
                self.targets.remove(&dial.target);
            }
            State::Near(_) | State::All => {
                target.failures = target.failures.saturating_add(1);
                let failures = if lasting { u32::MAX } else { target.failures };
                target.state = State::Waiting(now + self.backoff.pause(failures, random));
            }
        }
    }

    /// A peer was admitted, by whichever side dialled.
    pub fn reached(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(dial) = self.dials.remove(&connection)
            && let Some(target) = self.targets.get_mut(&dial.target)
        {
            target.peer = Some(peer);
        }
        self.targets.retain(|_, target| target.peer != Some(peer) || target.pursuit != Pursuit::Once);
        for target in self.targets.values_mut().filter(|target| target.peer == Some(peer)) {
            target.state = State::Connected;
            target.failures = 0;
        }
    }

    /// The last connection to a peer is gone.
    pub fn lost(&mut self, peer: PeerId, now: Instant, random: f64) {
        for target in self.targets.values_mut().filter(|target| target.peer == Some(peer)) {
            if let State::Connected = target.state {
                target.state = State::Waiting(now + self.backoff.pause(1, random));
            }
        }
    }
}

impl Target {
    fn next(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Near(at) => self.others().next().map(|_| at),
            State::All | State::Connected => None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next().is_some_and(|at| at <= now)
    }

    fn others(&self) -> impl Iterator<Item = &Multiaddr> {
        self.addresses.iter().filter(|address| !is_near_tcp(address))
    }

    fn dial(&mut self, now: Instant) -> (DialOpts, Vec<Multiaddr>) {
        let near: Vec<_> = self.addresses.iter().filter(|address| is_near_tcp(address)).cloned().collect();
        let others: Vec<_> = self.others().cloned().collect();
        // A second dial of ours to this peer may be under way, but not somebody else's connection.
        let (addresses, state, condition) = match self.state {
            State::Near(_) => (others, State::All, PeerCondition::Disconnected),
            _ if near.is_empty() => (others, State::All, PeerCondition::DisconnectedAndNotDialing),
            _ => (near, State::Near(now + HEAD_START), PeerCondition::DisconnectedAndNotDialing),
        };
        self.state = state;
        // Always from a new port. From the listening port, two nodes that dial each other at once on one machine meet
        // in one TCP connection with two dialling ends, and a restarted node's old connection blocks the new one.
        let opts = match (self.peer, &addresses[..]) {
            (Some(peer), _) => {
                DialOpts::peer_id(peer).condition(condition).addresses(addresses.clone()).allocate_new_port().build()
            }
            (None, [address, ..]) => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
            (None, []) => unreachable!("a target has an address"),
        };
        (opts, addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer() -> Dialer {
        Dialer::new(Backoff::default(), 4)
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn near_tcp_goes_first_and_the_rest_follows_at_once_when_it_failed() {
        let (mut dialer, now, peer) = (dialer(), Instant::now(), PeerId::random());
        let near = address("/ip4/127.0.0.1/tcp/1");
        let far = address("/ip4/8.8.8.8/udp/1/quic-v1");
        assert!(dialer.add(Some(peer), vec![far.clone(), near.clone()], Pursuit::Always, now));
        let first = dialer.due(now).unwrap().connection_id();
        assert_eq!(dialer.dialled(first), [near]);
        assert!(dialer.due(now).is_none());
        assert_eq!(dialer.deadline(), Some(now + HEAD_START));
        dialer.failed(first, false, now, 0.0);
        let second = dialer.due(now).unwrap().connection_id();
        assert_eq!(dialer.dialled(second), [far]);
        dialer.failed(second, false, now, 0.0);
        assert_eq!(dialer.deadline(), Some(now + Backoff::default().first));
    }

    #[test]
    fn what_is_reached_rests_until_it_is_lost() {
        let (mut dialer, now, peer) = (dialer(), Instant::now(), PeerId::random());
        dialer.add(None, vec![address("/ip4/127.0.0.1/tcp/1")], Pursuit::Always, now);
        let dial = dialer.due(now).unwrap().connection_id();
        dialer.reached(peer, dial);
        assert_eq!(dialer.deadline(), None);
        dialer.lost(peer, now, 0.0);
        assert_eq!(dialer.due(now + Backoff::default().first).unwrap().get_peer_id(), Some(peer));
    }

    #[test]
    fn one_attempt_is_one_attempt_and_a_lasting_cause_waits_longest() {
        let (mut dialer, now) = (dialer(), Instant::now());
        dialer.add(Some(PeerId::random()), vec![address("/ip4/127.0.0.1/tcp/1")], Pursuit::Once, now);
        let once = dialer.due(now).unwrap().connection_id();
        dialer.failed(once, false, now, 0.0);
        assert_eq!(dialer.deadline(), None);
        dialer.add(None, vec![address("/ip4/127.0.0.1/tcp/2")], Pursuit::Always, now);
        let always = dialer.due(now).unwrap().connection_id();
        dialer.failed(always, true, now, 0.0);
        assert_eq!(dialer.deadline(), Some(now + Backoff::default().longest));
    }
}
