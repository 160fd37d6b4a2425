//! A while in which more is wanted than can be run, and most of it is urgent: what is not has to wait, and may not wait for
//! ever.

use super::{
    dice::Dice,
    options::{Options, WARM_UP},
};
use mesh_proto::task::Priority;

/// When it is, and how it is.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Microseconds.
    pub from: u64,
    pub until: u64,
    pub tasks_per_second: u64,
    /// How long a task takes on average, so that the slots of all together are too few.
    pub takes_ms: u64,
}

/// Of a thousand worlds.
const WORLDS: u32 = 120;
/// Of a thousand tasks of a flood, how many can wait.
const LOW: u32 = 80;
const LASTS: u64 = 8_000_000;
const PER_SECOND: u64 = 40;

impl Flood {
    pub fn draw(options: &Options) -> Option<Self> {
        let mut dice = Dice::new(options.seed, 17);
        let drawn = dice.chance(WORLDS);
        let from = WARM_UP + dice.range(3_000_000..=20_000_000);
        // What has waited is to be done before the faults end.
        let is_long_enough = options.faults_for >= 60_000_000;
        if !drawn || !is_long_enough || options.boundary.is_some() {
            return None;
        }
        let slots = options.nodes as u64 * u64::from(options.slots);
        // A half more than there is room for.
        let takes_ms = (slots * 1500 / PER_SECOND).max(50);
        Some(Self { from, until: from + LASTS, tasks_per_second: PER_SECOND, takes_ms })
    }

    pub fn is_on(&self, at: u64) -> bool {
        (self.from..self.until).contains(&at)
    }

    /// What is wanted of one task in it: how urgent it is, and for how many milliseconds it sleeps.
    pub fn rush(&self, dice: &mut Dice) -> (Priority, u64) {
        let priority = match dice.chance(LOW) {
            true => Priority::Low,
            false => *dice.pick(&[Priority::High, Priority::Critical]),
        };
        (priority, dice.range(self.takes_ms / 2..=self.takes_ms * 3 / 2))
    }
}
