//! What an operator may set about the network, with the bounds that keep one peer from costing us everything.

use super::class::Class;
use libp2p::Multiaddr;
use std::time::Duration;

/// The settings of a node's network. [`Config::default`] is what `meshd` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default: TCP and QUIC on port 7440, IPv4.
    pub listen: Vec<Multiaddr>,
    /// Addresses that others should use and that this node cannot know by itself (a forwarded port). Default: none.
    pub external: Vec<Multiaddr>,
    /// Where to find the mesh at first: `/ip4`, `/ip6`, `/dns4`, `/dns6`, `/dnsaddr`, with or without `/p2p/…`.
    /// Each is tried until it answers, with growing pauses. Default: none.
    pub bootstrap: Vec<Multiaddr>,
    /// Look for members on the local network. A failure is a warning. Default: true.
    pub mdns: bool,
    /// A connection whose peer has not shown a valid credential by then is closed. Default: 5 s.
    pub admission_timeout: Duration,
    /// Connections that may wait for admission at one time; more are refused, so that strangers cannot use up
    /// `max_connections`. Default: 64.
    pub max_unadmitted: usize,
    /// Established connections in all. Default: 512.
    pub max_connections: u32,
    /// Established connections to one peer: both sides may dial at once, and one may be on its way out. Default: 4.
    pub max_connections_per_peer: u32,
    /// Incoming connections whose handshake is not finished. Default: 128.
    pub max_pending_incoming: u32,
    /// Fraction of the machine's memory above which new connections are refused. Default: 0.9.
    pub max_memory_fraction: f64,
    /// A connection that carries nothing is closed after this long. Default: 60 s.
    pub idle_timeout: Duration,
    /// QUIC gives a silent peer up after this long. TCP learns of a killed process at once, QUIC only by silence.
    /// Default: 5 s.
    pub quic_idle_timeout: Duration,
    /// How often QUIC says that it is still there. Must be well below `quic_idle_timeout`. Default: 1 s.
    pub quic_keep_alive: Duration,
    /// How often a connection is pinged, and how long an answer may take. Default: 15 s and 20 s.
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// Bounds of the framed substreams.
    pub frames: FrameConfig,
    /// The pauses between attempts to reach one address. Default: 500 ms, doubling to 60 s.
    pub backoff: Backoff,
    /// Addresses that are dialled at one time by the dialler; the rest wait their turn. Default: 16.
    pub max_dials: usize,
    /// Gossip topics to follow from the start, without the network's prefix. Default: `members`.
    pub topics: Vec<String>,
    /// The largest gossip message. Default: 64 KiB.
    pub gossip_max_bytes: usize,
    /// Protocols for which [`NetworkHandle::incoming`](super::NetworkHandle::incoming) hands out streams.
    /// Default: `/mesh/blob/1`.
    pub stream_protocols: Vec<&'static str>,
    /// Incoming streams of one such protocol that wait to be taken; more are refused and counted. Default: 64.
    pub max_waiting_streams: usize,
    /// Violations of one peer, worth 1 each and forgotten at one per `violation_decay`, above which it is disconnected
    /// and blocked. Default: 10.
    pub max_violations: u32,
    /// Default: 10 s.
    pub violation_decay: Duration,
    /// For how long such a peer is blocked. Default: 5 min.
    pub block_time: Duration,
    /// Events that wait for the receiver; when they are as many, the network waits too. Default: 4,096.
    pub max_waiting_events: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ["/ip4/0.0.0.0/tcp/7440", "/ip4/0.0.0.0/udp/7440/quic-v1"]
                .map(|text| text.parse().expect("a multiaddr"))
                .to_vec(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            mdns: true,
            admission_timeout: Duration::from_secs(5),
            max_unadmitted: 64,
            max_connections: 512,
            max_connections_per_peer: 4,
            max_pending_incoming: 128,
            max_memory_fraction: 0.9,
            idle_timeout: Duration::from_secs(60),
            quic_idle_timeout: Duration::from_secs(5),
            quic_keep_alive: Duration::from_secs(1),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(20),
            frames: FrameConfig::default(),
            backoff: Backoff::default(),
            max_dials: 16,
            topics: vec![crate::directory::TOPIC.to_owned()],
            gossip_max_bytes: 64 * 1024,
            stream_protocols: vec!["/mesh/blob/1"],
            max_waiting_streams: 64,
            max_violations: 10,
            violation_decay: Duration::from_secs(10),
            block_time: Duration::from_secs(300),
            max_waiting_events: 4096,
        }
    }
}

/// Bounds of the framed substreams, for each class.
#[derive(Clone, Copy, Debug)]
pub struct FrameConfig {
    pub consensus: FrameBounds,
    pub control: FrameBounds,
    pub task: FrameBounds,
    pub bulk: FrameBounds,
}

/// The bounds of one class, for each peer.
#[derive(Clone, Copy, Debug)]
pub struct FrameBounds {
    /// The largest frame, in bytes, in either direction. A peer that announces more violates the protocol.
    pub max_frame: usize,
    /// Bytes that may wait to be written.
    pub queue_bytes: usize,
    /// Frames that may wait to be written.
    pub queue_frames: usize,
}

impl FrameConfig {
    pub const fn of(&self, class: Class) -> FrameBounds {
        match class {
            Class::Consensus => self.consensus,
            Class::Control => self.control,
            Class::Task => self.task,
            Class::Bulk => self.bulk,
        }
    }
}

impl Default for FrameConfig {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            consensus: FrameBounds { max_frame: 4 * MIB, queue_bytes: 16 * MIB, queue_frames: 16_384 },
            // Small: heartbeats that waited behind a megabyte would look like death.
            control: FrameBounds { max_frame: 256 * KIB, queue_bytes: 2 * MIB, queue_frames: 4_096 },
            task: FrameBounds { max_frame: 4 * MIB, queue_bytes: 16 * MIB, queue_frames: 16_384 },
            bulk: FrameBounds { max_frame: 4 * MIB, queue_bytes: 8 * MIB, queue_frames: 256 },
        }
    }
}

/// Pauses that double from `first` to `longest`; each is shortened by a random part of up to a half, so that nodes that
/// lost the same peer do not come back at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `failures` failures in a row; `random` is in 0..1.
    pub fn pause(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_lose_at_most_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(1, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.pause(3, 0.0), Duration::from_secs(2));
        assert_eq!(backoff.pause(1000, 0.0), Duration::from_secs(60));
        assert_eq!(backoff.pause(1, 1.0), Duration::from_millis(250));
    }
}
