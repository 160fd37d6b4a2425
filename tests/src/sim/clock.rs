//! The two clocks of a node, both wrong in their own way.

use mesh_proto::time::{Mono, Now, Wall};

/// Reads the world's time, microseconds since its beginning, as one node sees it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the monotonic clock showed when the world began: another value at each node, as it counts from boot.
    mono_base: u64,
    /// Millionths by which both clocks run fast, or slow.
    drift: i64,
    /// Milliseconds by which the wall clock is ahead of the truth. Steps change it.
    wall_ahead: i64,
}

/// Milliseconds since 1970 when a world begins.
pub const WALL_AT_START: u64 = 1_900_000_000_000;

/// Milliseconds. A node refuses keys that are an hour ahead of its clock.
const MOST_BEHIND: i64 = 3_590_000;

impl Clock {
    pub fn new(mono_base: u64, drift: i64, wall_ahead: i64) -> Self {
        Self { mono_base, drift, wall_ahead }
    }

    pub fn now(&self, at: u64) -> Now {
        let local = self.local(at);
        let wall = WALL_AT_START as i64 + (local / 1000) as i64 + self.wall_ahead;
        Now { mono: Mono(self.mono_base + local), wall: Wall(wall.max(0) as u64) }
    }

    /// The world's time at which the monotonic clock has reached `mono`.
    pub fn at(&self, mono: Mono) -> u64 {
        let local = mono.0.saturating_sub(self.mono_base);
        // The inverse of `local`, rounded up and then corrected: a timer must never fire early.
        let mut at = (u128::from(local) * 1_000_000 / (1_000_000 + self.drift) as u128) as u64;
        while self.local(at) < local {
            at += 1;
        }
        at
    }

    /// However many steps there are, it is never so far behind that a key drawn now seems to be from the future.
    pub fn step_wall(&mut self, milliseconds: i64) {
        self.wall_ahead = (self.wall_ahead + milliseconds).clamp(-MOST_BEHIND, 4 * MOST_BEHIND);
    }

    /// Puts the wall clock right, as a time daemon does in the end.
    pub fn correct_wall(&mut self) {
        self.wall_ahead = 0;
    }

    fn local(&self, at: u64) -> u64 {
        (u128::from(at) * (1_000_000 + self.drift) as u128 / 1_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_neither_early_nor_late() {
        for drift in [-500, -1, 0, 1, 499] {
            let clock = Clock::new(77, drift, 0);
            for at in [0, 1, 999, 1_000_003, 299_999_999] {
                let mono = clock.now(at).mono;
                assert!(clock.now(clock.at(mono)).mono >= mono);
                assert!(clock.at(mono) <= at);
            }
        }
    }

    #[test]
    fn a_step_moves_the_wall_clock_alone() {
        let mut clock = Clock::new(0, 0, 0);
        let before = clock.now(5_000_000);
        clock.step_wall(-3_500_000);
        let after = clock.now(5_000_000);
        assert_eq!(after.mono, before.mono);
        assert_eq!(after.wall.0 + 3_500_000, before.wall.0);
    }
}
