//! What a bid is worth, in whole numbers, so that it is the same everywhere.

/// One, in parts per million.
pub const WHOLE: u32 = 1_000_000;

/// How much each criterion counts, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    capability: u32,
    load: u32,
    performance: u32,
    resources: u32,
}

/// Weights that are not shares of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the weights of capability, load, performance and resources sum to {sum} parts per million, and not to 1,000,000"
)]
pub struct BadWeights {
    pub sum: u64,
}

impl Weights {
    pub fn new(capability: u32, load: u32, performance: u32, resources: u32) -> Result<Self, BadWeights> {
        let sum = [capability, load, performance, resources].into_iter().map(u64::from).sum();
        if sum == u64::from(WHOLE) {
            Ok(Self { capability, load, performance, resources })
        } else {
            Err(BadWeights { sum })
        }
    }
}

/// As DESIGN section 7 has them: 0.4, 0.3, 0.2 and 0.1.
impl Default for Weights {
    fn default() -> Self {
        Self { capability: 400_000, load: 300_000, performance: 200_000, resources: 100_000 }
    }
}

/// What is known of a bidder, each in parts per million and at most [`WHOLE`]: more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Criteria {
    /// How far it has what is only preferred; what is required it has.
    pub capability: u32,
    /// Of its slots, those that are free.
    pub idle: u32,
    /// What came of the attempts that it was granted, by what this node saw.
    pub performance: u32,
    /// Of its memory, what is free.
    pub resources: u32,
}

impl Criteria {
    /// In parts per million.
    pub fn score(&self, weights: &Weights) -> u32 {
        let Weights { capability, load, performance, resources } = *weights;
        let parts = [
            (self.capability, capability),
            (self.idle, load),
            (self.performance, performance),
            (self.resources, resources),
        ];
        let sum: u64 = parts.iter().map(|(part, weight)| u64::from((*part).min(WHOLE)) * u64::from(*weight)).sum();
        u32::try_from(sum / u64::from(WHOLE)).unwrap_or(WHOLE)
    }
}

/// Of so many slots, the share that is free.
pub fn idle_share(slots: u32, busy: u32) -> u32 {
    let free = u64::from(slots.saturating_sub(busy)) * u64::from(WHOLE);
    free.checked_div(u64::from(slots)).and_then(|share| u32::try_from(share).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_score_is_the_weighted_sum() {
        let weights = Weights::default();
        let criteria = |capability, idle, performance, resources| Criteria { capability, idle, performance, resources };
        assert_eq!(criteria(WHOLE, WHOLE, WHOLE, WHOLE).score(&weights), WHOLE);
        assert_eq!(criteria(WHOLE, 0, 0, 0).score(&weights), 400_000);
        assert_eq!(criteria(0, WHOLE, 0, 0).score(&weights), 300_000);
        assert_eq!(criteria(0, 0, WHOLE, 0).score(&weights), 200_000);
        assert_eq!(criteria(0, 0, 0, WHOLE).score(&weights), 100_000);
        assert_eq!(criteria(700_000, 500_000, 900_000, 250_000).score(&weights), 280_000 + 150_000 + 180_000 + 25_000);
        assert_eq!(criteria(u32::MAX, 0, 0, 0).score(&weights), 400_000, "nobody is more than whole");
        assert_eq!((idle_share(4, 1), idle_share(4, 9), idle_share(0, 0)), (750_000, 0, 0));
    }

    #[test]
    fn weights_are_shares_of_one() {
        assert_eq!(Weights::new(400_000, 300_000, 200_000, 100_000), Ok(Weights::default()));
        assert_eq!(Weights::new(400_000, 300_000, 200_000, 100_001), Err(BadWeights { sum: 1_000_001 }));
        assert_eq!(Weights::new(u32::MAX, 1, 0, 0), Err(BadWeights { sum: u64::from(u32::MAX) + 1 }));
    }

    proptest! {
        /// More of anything never makes a bid worth less.
        #[test]
        fn a_score_grows_with_each_criterion(a in 0..=WHOLE, b in 0..=WHOLE, c in 0..=WHOLE, d in 0..=WHOLE, more in 0..=WHOLE) {
            let weights = Weights::default();
            let of = |capability, idle, performance, resources| {
                Criteria { capability, idle, performance, resources }.score(&weights)
            };
            let score = of(a, b, c, d);
            let up = |part: u32| part.saturating_add(more).min(WHOLE);
            prop_assert!([of(up(a), b, c, d), of(a, up(b), c, d), of(a, b, up(c), d), of(a, b, c, up(d))]
                .iter().all(|better| *better >= score));
            prop_assert!(score <= WHOLE);
        }
    }
}
