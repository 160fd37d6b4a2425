use std::time::Duration;

/// How long requests took from their gateway to f + 1 equal replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Those that took no longer than each bound, and longer than the one before; the last has no bound.
    pub counts: [u64; Self::BOUNDS_MS.len() + 1],
    pub sum: Duration,
}

impl Latencies {
    pub const BOUNDS_MS: [u64; 13] = [1, 2, 3, 5, 10, 20, 50, 100, 250, 500, 1000, 2500, 10_000];

    pub fn note(&mut self, took: Duration) {
        let place = Self::BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.counts[place] += 1;
        self.sum += took;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_counted_below_its_bound() {
        let mut latencies = Latencies::default();
        for micros in [10, 1000, 1001, 60_000_000] {
            latencies.note(Duration::from_micros(micros));
        }
        assert_eq!((latencies.counts[0], latencies.counts[1], latencies.counts[13]), (2, 1, 1));
        assert_eq!((latencies.count(), latencies.sum), (4, Duration::from_micros(60_002_011)));
    }
}
