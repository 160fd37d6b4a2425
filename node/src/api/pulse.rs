use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// When the brain's loop and the log last turned. Both are to turn at least once a second, work or none, so that
/// silence means a stall. Written by their threads, read by `/livez` on its own.
#[derive(Clone)]
pub struct Pulse(Arc<Beats>);

struct Beats {
    start: Instant,
    /// Milliseconds after `start`.
    brain: AtomicU64,
    log: AtomicU64,
}

impl Pulse {
    /// Starts as if both had just turned.
    pub fn new() -> Self {
        Self(Arc::new(Beats { start: Instant::now(), brain: AtomicU64::new(0), log: AtomicU64::new(0) }))
    }

    pub fn brain_turned(&self) {
        self.0.brain.store(self.now_ms(), Ordering::Relaxed);
    }

    pub fn log_turned(&self) {
        self.0.log.store(self.now_ms(), Ordering::Relaxed);
    }

    /// What has not turned for longer than `limit`, and for how long.
    pub fn stalled(&self, limit: Duration) -> Vec<(&'static str, Duration)> {
        let now = self.now_ms();
        [("brain", &self.0.brain), ("log", &self.0.log)]
            .into_iter()
            .map(|(name, beat)| (name, Duration::from_millis(now.saturating_sub(beat.load(Ordering::Relaxed)))))
            .filter(|(_, age)| *age > limit)
            .collect()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_turn_is_named() {
        let pulse = Pulse::new();
        assert!(pulse.stalled(Duration::from_secs(1)).is_empty());
        std::thread::sleep(Duration::from_millis(30));
        pulse.log_turned();
        let stalled = pulse.stalled(Duration::from_millis(15));
        assert_eq!(stalled.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["brain"]);
    }
}
