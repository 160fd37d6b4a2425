//! How often a peer may hand in requests: the generic cell rate algorithm (ITU-T I.371, annex A).

use std::time::{Duration, Instant};

/// Requests a second that one peer may hand in over time. A gateway packs what it has into one each 4 ms, and a question
/// goes alone; a tenth of a processor checks the signatures of so many.
const PER_SECOND: u32 = 2500;

/// Requests that may come at once, as when a connection was slow and is not any more.
const BURST: u32 = 1000;

/// Of one peer.
#[derive(Debug, Default)]
pub struct Rate {
    /// When the next would be due, were they evenly spread.
    due: Option<Instant>,
}

impl Rate {
    /// Counts one that came now; how long it has to wait, and all behind it.
    pub fn pass(&mut self, now: Instant) -> Duration {
        let interval = Duration::from_secs(1) / PER_SECOND;
        let due = self.due.map_or(now, |due| due.max(now));
        self.due = Some(due + interval);
        due.saturating_duration_since(now).saturating_sub(interval * (BURST - 1))
    }

    /// Nothing is known of it that matters.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist item 39.
    #[test]
    fn a_burst_passes_and_a_flood_is_held_to_the_rate() {
        let (mut rate, begun) = (Rate::default(), Instant::now());
        let mut now = begun;
        let held = (0..BURST).filter(|_| !rate.pass(now).is_zero()).count();
        assert_eq!(held, 0);
        for _ in 0..2 * PER_SECOND {
            now += rate.pass(now);
        }
        let took = now.duration_since(begun);
        assert!((Duration::from_millis(1990)..Duration::from_millis(2010)).contains(&took), "{took:?}");
        assert!(!rate.is_idle(now));
        assert!(rate.is_idle(now + Duration::from_secs(1)));
    }

    #[test]
    fn who_keeps_to_the_rate_never_waits() {
        let (mut rate, mut now) = (Rate::default(), Instant::now());
        for _ in 0..10_000 {
            assert!(rate.pass(now).is_zero());
            now += Duration::from_secs(1) / PER_SECOND;
        }
    }
}
