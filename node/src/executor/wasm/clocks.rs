//! Clocks of a deterministic execution: they count how often they were read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Between two readings. A program that waits for time to pass sees it pass.
const STEP: Duration = Duration::from_micros(1);

/// From the date on which the task was born, which is in its record.
pub struct CountedWall {
    born: Duration,
    readings: AtomicU64,
}

impl CountedWall {
    pub fn new(born: Duration) -> Self {
        Self { born, readings: AtomicU64::new(0) }
    }
}

impl HostWallClock for CountedWall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        let readings = self.readings.fetch_add(1, Ordering::Relaxed);
        self.born.saturating_add(Duration::from_micros(readings))
    }
}

#[derive(Default)]
pub struct CountedMonotonic(AtomicU64);

impl HostMonotonicClock for CountedMonotonic {
    fn resolution(&self) -> u64 {
        STEP.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(self.resolution(), Ordering::Relaxed)
    }
}
