use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest that is told apart.
const LONGEST_US: u64 = 600_000_000;
/// Decimal digits that are kept.
const DIGITS: u8 = 3;

/// Latencies of any number of operations in some 200 KB.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self(histogram.unwrap_or_else(|_| unreachable!("lawful bounds")))
    }
}

impl Latencies {
    pub fn note(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(us.max(1));
    }

    /// What another process has noted: microseconds, and how often.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    pub fn absorb(&mut self, counts: &[(u64, u64)]) {
        for (us, count) in counts {
            self.0.saturating_record_n(*us, *count);
        }
    }

    /// Milliseconds that `part` of all stay within; zero of none.
    pub fn at(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_noted_is_put_together() {
        let (mut first, mut second) = (Latencies::default(), Latencies::default());
        (1..=50).for_each(|ms| first.note(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| second.note(Duration::from_millis(ms)));
        first.absorb(&second.counts());
        for (part, ms) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            assert!((first.at(part) - ms).abs() <= ms / 500.0, "{part}: {}", first.at(part));
        }
        assert_eq!(Latencies::default().at(0.5), 0.0);
        second.note(Duration::from_secs(100_000));
        assert!(second.at(1.0) >= LONGEST_US as f64 / 1000.0, "what is longer counts as the longest");
    }
}
