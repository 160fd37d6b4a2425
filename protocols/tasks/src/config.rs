use crate::auction::AuctionConfig;
use std::time::Duration;

/// Between two looks through all records, for repair and retirement.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// Between two rounds of one look: with a million records, none of them may take long.
pub(crate) const CATCH_UP: Duration = Duration::from_millis(50);

/// Ended records that are kept open before a busy node packs them; twice as many are packed in one tick.
pub(crate) const UNSEALED: usize = 512;

/// Records that live and were written last, and are kept open: as many as a busy node has under way at a time.
pub(crate) const FRESH: usize = 4_096;

/// Times and bounds of the task layer.
#[derive(Clone, Debug)]
pub struct Config {
    /// Copies of a record. Default 3.
    pub copies: usize,
    /// Length of a home list. Default 5.
    pub home: usize,
    /// A holder that has not confirmed a placement by then is replaced. Default 250 ms.
    pub place_timeout: Duration,
    /// A placement is given up after this. Default 5 s.
    pub submit_timeout: Duration,
    /// An unconfirmed birth is settled by its holders after this. Default 1 s.
    pub settle_after: Duration,
    /// The first holder tries to take over from a silent driver at once, the next one so much later. Default 200 ms.
    pub takeover_step: Duration,
    /// A ballot that has not won is tried again after this and a random part. Default 1 s.
    pub ballot_timeout: Duration,
    /// A granted attempt of which nothing was heard is asked after. Default 2 s.
    pub ask_after: Duration,
    /// An executor's outbox is offered again after this. Default 2 s.
    pub report_again: Duration,
    /// First pause before a failed attempt is repeated; doubles. Default 100 ms.
    pub backoff: Duration,
    /// The longest pause. Default 10 s.
    pub backoff_max: Duration,
    /// Attempts lost with their executors before a task is given up as poison. Default 5. With its own failures at
    /// most as many as a record holds, `mesh_proto::limits::FAILED_ATTEMPTS`.
    pub poison_limit: u32,
    /// A task that another one is to start after, and that nobody knows, may be still to come for so long. Default 30 s.
    pub absent_after: Duration,
    /// A member is asked for its replica again, under another id, where the first could be placed and was not for so long, or is
    /// held by nobody that could say what became of it. Default 15 s.
    pub replica_again: Duration,
    /// A copy on a silent node is replaced after this. Default 30 s.
    pub repair_delay: Duration,
    /// Records whose repair is begun a second. Default 1,000.
    pub repair_rate: u32,
    /// Terminal records are kept for this. Default 24 h.
    pub retention: Duration,
    /// One of them that another task needs, which is to start after it, is kept for so long after its driver last said so, which
    /// it does four times as often. Default 1 h.
    pub needed_for: Duration,
    /// Terminal records kept, at most. Default 1,000,000.
    pub retained_max: usize,
    /// Records that are not ended, at most; above it placements are answered busy. Default 2,000,000.
    pub live_max: usize,
    /// Executions at a time. Default: the number of cores.
    pub slots: u32,
    /// Granted attempts waiting for a slot, at most. Default 1,000,000.
    pub queue_max: usize,
    /// The end of an execution is held back for so long at most, for others to be written with it, where others wait for
    /// its slot. Default 50 ms.
    pub linger: Duration,
    /// Results waiting to be settled, at most; above it nothing new is started. Default 100,000.
    pub outbox_max: usize,
    /// How auctions are held.
    pub auction: AuctionConfig,
    /// Story lines kept in memory. Default 65,536.
    pub story_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            copies: 3,
            home: 5,
            place_timeout: Duration::from_millis(250),
            submit_timeout: Duration::from_secs(5),
            settle_after: Duration::from_secs(1),
            takeover_step: Duration::from_millis(200),
            ballot_timeout: Duration::from_secs(1),
            ask_after: Duration::from_secs(2),
            report_again: Duration::from_secs(2),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            poison_limit: 5,
            absent_after: Duration::from_secs(30),
            replica_again: Duration::from_secs(15),
            repair_delay: Duration::from_secs(30),
            repair_rate: 1000,
            retention: Duration::from_secs(24 * 3600),
            needed_for: Duration::from_secs(3600),
            retained_max: 1_000_000,
            live_max: 2_000_000,
            slots: 2,
            queue_max: 1_000_000,
            linger: Duration::from_millis(50),
            outbox_max: 100_000,
            auction: AuctionConfig::default(),
            story_max: 65_536,
        }
    }
}
