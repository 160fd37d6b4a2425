//! All chance in a simulated world comes from here, and all of it from the seed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;

/// One stream of draws. Streams of one seed are independent, so that a change in what one part of the world draws
/// leaves the draws of the others alone and a failing seed stays close to itself while it is being looked at.
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        // The multiply-shift reduction: its bias of n in 2^64 is of no interest here.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    pub fn range(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        low + self.below((high - low + 1) as usize) as u64
    }

    /// As [`Self::range`], but each order of magnitude is as likely as any other: most delays short, some very long.
    pub fn spread(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        let (low, high) = (low.max(1), high.max(1));
        let magnitudes = u64::BITS - (high / low).leading_zeros();
        let top = low.saturating_mul(1 << self.below(magnitudes as usize + 1).min(62)).clamp(low, high);
        self.range(low..=top)
    }

    /// True `per_mille` times of a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < per_mille as usize
    }

    /// True `per_million` times of a million: for what is asked at every frame.
    pub fn rarely(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < per_million as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_repeat_and_differ() {
        let draws = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
    }

    #[test]
    fn draws_keep_to_their_ranges() {
        let mut dice = Dice::new(7, 0);
        for _ in 0..10_000 {
            assert!((5..=9).contains(&dice.range(5..=9)));
            assert!((3..=40_000).contains(&dice.spread(3..=40_000)));
            assert!(dice.below(3) < 3);
        }
        assert!((0..1000).all(|_| !dice.chance(0)) && (0..1000).all(|_| dice.chance(1000)));
    }
}
