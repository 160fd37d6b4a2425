use std::time::Duration;

/// Times and bounds of one replica. What all must have alike is in `EpochConfig`.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the first sight of a request to its execution, before the view is left. Doubles with each view change.
    /// Default 800 ms. Section 4.4.
    pub timeout: Duration,
    /// The longest that it doubles to. Default 30 s.
    pub timeout_max: Duration,
    /// Slots with requests executed in one view before a doubled timeout is halved again. Default 64.
    pub shrink_after: u32,
    /// How long the primary may be idle while a request waits, as a part of the timeout: 1 / this. Default 4. Clement et
    /// al., NSDI '09, section 4.
    pub idle_divisor: u32,
    /// How long the primary may take to bring a change of the committee to the next checkpoint, as long as it executes
    /// something in each time-out; four time-outs if that is longer. Default 25 s: 128 numbers of 31 members on a few cores
    /// take seconds.
    pub change_patience: Duration,
    /// The period in which the primary's rate is measured. Default 1 s.
    pub pace_period: Duration,
    /// The rate that is asked of a new primary, of the best of the views before, in percent. Default 50.
    pub pace_floor: u32,
    /// What the floor rises by in each period. Default 5 percent points.
    pub pace_step: u32,
    /// Where the floor stops rising. Default 80: at 100 a healthy network would change views for its own jitter.
    pub pace_ceiling: u32,
    /// W: batches that the primary has in flight. Default 8. Larger ones hide the latency of more syncs.
    pub in_flight: u32,
    /// How long the primary waits for a batch to fill, for each other one that is in flight: half of the time that batches
    /// take from proposal to execution, but no less than this. Default 2 ms.
    pub batch_delay: Duration,
    /// And no more than this. Default 8 ms: where the network is what takes the time, waiting makes nothing cheaper.
    pub batch_delay_max: Duration,
    /// How far the time of a fresh proposal may be from the clock. Default 10 s.
    pub time_bound: Duration,
    /// A backup relays a request that the primary has not proposed after this, and again after twice as long each time.
    /// Default 100 ms.
    pub relay_after: Duration,
    /// Bodies and batches that are missing are asked for after this: they are mostly on their way. Default 10 ms.
    pub fetch_after: Duration,
    /// And asked for again, of the next replica. View changes are asked for after this, and again after twice as long each
    /// time, up to an eighth of the time-out. Default 100 ms.
    pub fetch_again: Duration,
    /// Between two status messages while something is unfinished and nothing is executed. Default 150 ms.
    pub status_busy: Duration,
    /// And while nothing is: what it is for then is a replica that missed all of something and does not know it. Default 3 s.
    pub status_idle: Duration,
    /// And by who has no vote: others send it nothing but what it asks for. Default 1 s.
    pub status_learner: Duration,
    /// One replica is answered at most so often. Default 40 ms.
    pub answer_every: Duration,
    /// Slots of which a status is answered. Default 16.
    pub answer_slots: u32,
    /// Behind a stable checkpoint within the window, a state transfer begins if nothing was executed for so long.
    /// Default 500 ms.
    pub stall: Duration,
    /// Pieces of state asked for at once. Default 8.
    pub transfer_window: usize,
    /// A piece that has not come is asked of the next. Default 500 ms.
    pub transfer_timeout: Duration,
    /// A snapshot that somebody fetches from is kept for so long after the last question. Default 10 s.
    pub pin_for: Duration,
    /// And no longer than this from when the next one became stable, however often it is asked for: who needs longer begins
    /// anew with what it has. Default 60 s.
    pub pin_most: Duration,
    /// Gateways of whom one member may have relayed requests waiting at the primary, beside those that came themselves; and
    /// of whom a backup relays at a time. All members should have it alike: a primary that keeps fewer lanes is suspected of
    /// what it has no room for. Default 4: of 31 members that is as many as come themselves.
    pub relay_lanes: usize,
    /// Gateways that a primary may bring into the client table of whom nothing was heard here and that the caller does not
    /// know, before what it proposes waits until that is so: in one view, or in four time-outs for each. Default 16: of those
    /// that are let in some reach the primary first, or a few members alone.
    pub strangers: u32,
    /// Gateways that are remembered to have asked here, or to be known to the caller; who was silent for longest is forgotten
    /// first. Default 4096.
    pub acquaintances: usize,
    /// Bytes of requests that one gateway may have waiting. Default 8 MiB.
    pub lane_bytes: usize,
    /// Bytes of executed batches that are kept at and below the stable checkpoint, for whoever is a little behind it; never
    /// more than a window of them. Default 16 MiB.
    pub past_bytes: usize,
    /// Pieces of evidence kept against one member. Default 4: one convicts.
    pub evidence_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(800),
            timeout_max: Duration::from_secs(30),
            shrink_after: 64,
            idle_divisor: 4,
            change_patience: Duration::from_secs(25),
            pace_period: Duration::from_secs(1),
            pace_floor: 50,
            pace_step: 5,
            pace_ceiling: 80,
            in_flight: 8,
            batch_delay: Duration::from_millis(2),
            batch_delay_max: Duration::from_millis(8),
            time_bound: Duration::from_secs(10),
            relay_after: Duration::from_millis(100),
            fetch_after: Duration::from_millis(10),
            fetch_again: Duration::from_millis(100),
            status_busy: Duration::from_millis(150),
            status_idle: Duration::from_secs(3),
            status_learner: Duration::from_secs(1),
            answer_every: Duration::from_millis(40),
            answer_slots: 16,
            stall: Duration::from_millis(500),
            transfer_window: 8,
            transfer_timeout: Duration::from_millis(500),
            pin_for: Duration::from_secs(10),
            pin_most: Duration::from_secs(60),
            relay_lanes: 4,
            strangers: 16,
            acquaintances: 4096,
            lane_bytes: 8 << 20,
            past_bytes: 16 << 20,
            evidence_max: 4,
        }
    }
}
