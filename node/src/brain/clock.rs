//! The clocks that the brain is given.

use mesh_proto::time::{Mono, Now, Wall};
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts suspended time where the system can tell (DESIGN section 3), so that a node that slept knows it.
#[cfg(target_os = "linux")]
const MONO: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const MONO: ClockId = ClockId::Monotonic;

/// Now, by both clocks.
pub fn now() -> Now {
    let mono = clock_gettime(MONO);
    let micros = u64::try_from(mono.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(mono.tv_nsec).unwrap_or(0) / 1000;
    Now { mono: Mono(micros), wall: wall() }
}

/// The date. A clock before 1970 is taken for 1970.
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
