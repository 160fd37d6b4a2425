//! What kind of world a seed makes.

use super::{
    bidder::{self, Trick},
    boundary::Boundary,
    council::Council,
    dice::Dice,
    fabricator,
    flood::Flood,
    scale::Plan,
};
use std::time::Duration;

/// Everything about a world that is drawn before it begins. Printed with a failing seed.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Members when it begins.
    pub nodes: usize,
    /// Members at most, with those that join later.
    pub nodes_max: usize,
    /// Virtual microseconds during which things go wrong.
    pub faults_for: u64,
    /// New tasks a virtual second.
    pub tasks_per_second: u64,
    /// Of a million frames, how many are encoded and decoded on their way; the others are moved.
    pub wire: u32,
    /// One way, in microseconds.
    pub latency: (u64, u64),
    /// One commit, in microseconds.
    pub sync: (u64, u64),
    /// How long a brain's thread takes until it looks at what has arrived, in microseconds.
    pub batching: u64,
    /// Between two faults, in microseconds.
    pub fault_every: u64,
    /// Which kinds of faults there are at all: some hide others.
    pub faults: Vec<Fault>,
    /// Frames that may be on their way to one peer.
    pub queue: u32,
    /// Of a million frames, how many of an earlier one arrive again.
    pub duplicates: u32,
    /// Of a million frames of tasks, how many vanish though their connection lasts, and how many are overtaken by later
    /// ones. No transport that we use does that; the machines must not rely on it.
    pub drops: u32,
    pub late: u32,
    /// Of a thousand times that a store absorbs its log, and that a node starts, in how many the power may fail.
    pub torn_absorbs: u32,
    pub torn_starts: u32,
    /// Of a thousand executions, how many do what they should not.
    pub bad_executions: u32,
    /// Millionths by which clocks run fast or slow, at most.
    pub drift: u64,
    /// Bytes of a log segment.
    pub segment: u64,
    /// Microseconds between two times that the store absorbs the log.
    pub absorb: u64,
    pub slots: u32,
    pub tasks: mesh_tasks::Config,
    pub membership: mesh_membership::Config,
    /// Ended records are forgotten while the world lasts.
    pub forgetful: bool,
    /// Operators have nodes drain, and take work again.
    pub drains: bool,
    /// Known limits of the protocol are violations as well.
    pub strict: bool,
    /// Who agrees on the ledger, where there is one.
    pub council: Option<Council>,
    /// How many of the first members lie about what they ran.
    pub fabricators: usize,
    /// Members that lie about themselves to get work, and what they do with it.
    pub bidders: Vec<(usize, Trick)>,
    /// More is wanted for a while than can be done.
    pub flood: Option<Flood>,
    /// The one fault of this world, if it is to have but one.
    pub boundary: Option<Boundary>,
    /// It is a large world, and this is all that happens in it.
    pub plan: Option<Plan>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Break,
    BlackHole,
    Partition,
    OneWay,
    SlowLink,
    Crash,
    CrashAll,
    LoseDisk,
    Destroy,
    SlowDisk,
    FullDisk,
    StepWall,
    Pause,
    Join,
    Leave,
}

impl Fault {
    pub const ALL: [Self; 15] = [
        Self::Break,
        Self::BlackHole,
        Self::Partition,
        Self::OneWay,
        Self::SlowLink,
        Self::Crash,
        Self::CrashAll,
        Self::LoseDisk,
        Self::Destroy,
        Self::SlowDisk,
        Self::FullDisk,
        Self::StepWall,
        Self::Pause,
        Self::Join,
        Self::Leave,
    ];
}

/// What the caller fixes; the rest is the seed's.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Virtual time in all: faults first, then a whole mesh that must come to rest. Default 5 minutes.
    pub virtual_time: Option<Duration>,
    pub nodes: Option<usize>,
    /// New tasks a virtual second. Default 5.
    pub tasks_per_second: Option<u64>,
    /// Every frame through the codec.
    pub wire: bool,
    /// All kinds of faults at once.
    pub all_faults: bool,
    /// Ended records are forgotten while the world lasts; otherwise in some worlds.
    pub forgetful: bool,
    /// Operators have nodes drain, and take work again.
    pub drains: bool,
    /// Known limits of the protocol fail, too.
    pub strict: bool,
    /// One crash, and nothing else but liars.
    pub boundary: Option<Boundary>,
}

/// Virtual microseconds at the end that are kept for healing.
pub const HEALING: u64 = 100_000_000;

impl Options {
    pub fn draw(seed: u64, wanted: &Wanted) -> Self {
        let mut dice = Dice::new(seed, 0);
        let dice = &mut dice;
        let whole = wanted.virtual_time.unwrap_or(Duration::from_secs(300)).as_micros() as u64;
        let drawn_nodes = *dice.pick(&[3, 3, 5, 5, 5, 7, 7]);
        let nodes = wanted.nodes.unwrap_or(drawn_nodes.max(Council::wants(seed)));
        let latency = *dice.pick(&[(50, 300), (100, 2_000), (2_000, 30_000), (500, 80_000)]);
        let sync = *dice.pick(&[(80, 400), (1_000, 4_000), (200, 20_000), (5_000, 40_000)]);
        let forgetful = dice.chance(120) || wanted.forgetful;
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|_| dice.chance(700) || wanted.all_faults).collect();
        let slots = *dice.pick(&[1, 2, 2, 4, 8]);
        let tasks = mesh_tasks::Config {
            poison_limit: *dice.pick(&[2, 3, 5]),
            absent_after: Duration::from_secs(20),
            repair_delay: Duration::from_secs(*dice.pick(&[5, 10, 30])),
            repair_rate: *dice.pick(&[20, 200, 1000]),
            // The machine keeps records for a minute longer than it says.
            retention: match forgetful {
                true => Duration::from_secs(dice.range(5..=60)),
                false => Duration::from_secs(24 * 3600),
            },
            needed_for: Duration::from_secs(40),
            retained_max: if forgetful { *dice.pick(&[150, 1_000_000]) } else { 1_000_000 },
            live_max: *dice.pick(&[120, 2_000_000, 2_000_000]),
            outbox_max: *dice.pick(&[8, 100_000, 100_000]),
            queue_max: *dice.pick(&[50, 1_000_000, 1_000_000]),
            slots,
            ..mesh_tasks::Config::default()
        };
        let membership = mesh_membership::Config {
            heartbeat: Duration::from_millis(*dice.pick(&[1_000, 3_000])),
            timeout: Duration::from_millis(*dice.pick(&[4_000, 10_000])),
            ..mesh_membership::Config::default()
        };
        let council = Council::draw(seed, nodes);
        // A replica has larger records than tasks have.
        let segments: &[u64] = if council.is_some() { &[1 << 20, 2 << 20] } else { &[64 << 10, 128 << 10, 1 << 20] };
        let mut options = Self {
            seed,
            nodes,
            nodes_max: 9.max(nodes),
            faults_for: whole.saturating_sub(HEALING).max(whole / 3),
            tasks_per_second: wanted.tasks_per_second.unwrap_or(5),
            wire: if wanted.wire { 1_000_000 } else { 10_000 },
            latency,
            sync,
            batching: *dice.pick(&[0, 50, 1_000]),
            fault_every: dice.range(1_500_000..=12_000_000),
            faults,
            queue: *dice.pick(&[12, 1_000, 1_000, 1_000]),
            duplicates: *dice.pick(&[0, 1_000, 20_000]),
            drops: *dice.pick(&[0, 0, 1_000, 50_000]),
            late: *dice.pick(&[0, 0, 1_000, 50_000]),
            torn_absorbs: *dice.pick(&[0, 20, 200]),
            torn_starts: *dice.pick(&[0, 50, 300]),
            bad_executions: *dice.pick(&[0, 20, 100, 300]),
            drift: *dice.pick(&[0, 100, 500]),
            segment: *dice.pick(segments),
            absorb: dice.range(5_000_000..=60_000_000),
            slots,
            tasks,
            membership,
            forgetful,
            drains: wanted.drains,
            strict: wanted.strict,
            council,
            fabricators: fabricator::draw(seed),
            bidders: bidder::draw(seed, nodes),
            flood: None,
            boundary: wanted.boundary,
            plan: None,
        };
        options.flood = Flood::draw(&options);
        if options.boundary.is_some() {
            options.faults.clear();
            (options.torn_absorbs, options.torn_starts, options.drops, options.late) = (0, 0, 0, 0);
            options.bidders.clear();
        }
        options
    }

    /// New tasks a virtual second, by then.
    pub fn rate_at(&self, at: u64) -> u64 {
        let flood = self.flood.as_ref().filter(|flood| flood.is_on(at));
        flood.map_or(self.tasks_per_second, |flood| flood.tasks_per_second.max(self.tasks_per_second))
    }

    /// The world's time at which the faults end.
    pub fn heals_at(&self) -> u64 {
        self.plan.map_or(WARM_UP + self.faults_for, |plan| plan.heals_at())
    }
}

/// Virtual microseconds in which the first members find each other before anything else happens.
pub const WARM_UP: u64 = 3_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_world() {
        let wanted = Wanted::default();
        for seed in 0..20 {
            let (a, b) = (Options::draw(seed, &wanted), Options::draw(seed, &wanted));
            assert_eq!(format!("{a:?}"), format!("{b:?}"));
        }
    }

    #[test]
    fn what_is_wanted_is_given() {
        let wanted = Wanted { nodes: Some(4), all_faults: true, wire: true, ..Wanted::default() };
        let options = Options::draw(1, &wanted);
        assert_eq!((options.nodes, options.faults.len(), options.wire), (4, Fault::ALL.len(), 1_000_000));
    }
}
