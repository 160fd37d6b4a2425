use mesh_proto::time::Wall;
use std::time::Duration;

/// How an engine runs. [`Config::new`] is what `meshd` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often a leader that has nothing to say says that it is there, and how long one answer to it may take.
    /// openraft looks at its clock two times in three of these. Default 200 ms.
    pub heartbeat: Duration,
    /// A follower that hears nothing for the longer, within which nobody votes against a leader, and then for a time drawn
    /// once between both, stands for election. Default 350 ms and 500 ms: two heartbeats may be late, and with a look at
    /// the clock that comes late a leader that dies is replaced after 0.6 to 1.3 s.
    pub election: (Duration, Duration),
    /// Bytes of one request; a larger one is refused. Default 128 KiB: what a gateway makes is smaller.
    pub request_bytes: usize,
    /// Bytes of operations in one entry. Default 128 KiB: a follower has one heartbeat's time to take an entry in, which a
    /// link of 6 Mbit/s is enough for then.
    pub batch_bytes: usize,
    /// Entries that the leader has under way at once. Default 8: while one is synced, others are on their way.
    pub pipeline: usize,
    /// Requests that wait for room in an entry. Default 1,024; who brings more is told to come again.
    pub waiting: usize,
    /// Bytes and entries of the log behind the last snapshot upon which the next is made. Default 64 MiB and 100,000:
    /// what a restart executes again.
    pub snapshot_after: (u64, u64),
    /// Bytes of entries kept although a snapshot covers them, for followers that are a little behind. Default 8 MiB.
    pub kept_bytes: u64,
    /// Bytes of a snapshot in one message. Default 512 KiB.
    pub piece_bytes: usize,
    /// How long the last piece of a snapshot may take to be installed. Default 60 s.
    pub install: Duration,
    /// How near to the end of the log a newcomer is before it gets a vote, in entries. Default 256.
    pub near: u64,
    /// Nodes that follow without a vote. Default 31.
    pub learners: usize,
    /// The wall clock.
    pub clock: fn() -> Wall,
}

impl Config {
    pub fn new(clock: fn() -> Wall) -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            election: (Duration::from_millis(350), Duration::from_millis(500)),
            request_bytes: 128 * 1024,
            batch_bytes: 128 * 1024,
            pipeline: 8,
            waiting: 1024,
            snapshot_after: (64 << 20, 100_000),
            kept_bytes: 8 << 20,
            piece_bytes: 512 * 1024,
            install: Duration::from_secs(60),
            near: 256,
            learners: 31,
            clock,
        }
    }
}
