//! How badly members behave. One violation may be a bug of an old version; many in a row are not.

use mesh_proto::id::NodeId;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A level for each peer that rises by one with each violation and falls by one in each `decay`.
#[derive(Debug)]
pub struct Violations {
    most: u32,
    decay: Duration,
    levels: BTreeMap<NodeId, (f64, Instant)>,
}

impl Violations {
    pub fn new(most: u32, decay: Duration) -> Self {
        Self { most, decay, levels: BTreeMap::new() }
    }

    /// Notes one; `true` if the peer has to go.
    pub fn note(&mut self, node: NodeId, now: Instant) -> bool {
        let decay = self.decay;
        let level_at = |level: f64, since: Instant| {
            (level - now.saturating_duration_since(since).as_secs_f64() / decay.as_secs_f64().max(1e-3)).max(0.0)
        };
        // Bounded by the members that misbehaved of late.
        self.levels.retain(|_, (level, since)| level_at(*level, *since) > 0.0);
        let entry = self.levels.entry(node).or_insert((0.0, now));
        *entry = (level_at(entry.0, entry.1) + 1.0, now);
        let too_many = entry.0 > f64::from(self.most);
        if too_many {
            self.levels.remove(&node);
        }
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_forgiven_in_time_and_many_are_not() {
        let (mut violations, start) = (Violations::new(2, Duration::from_secs(10)), Instant::now());
        let node = NodeId::from_bytes([1; 32]);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!violations.note(node, at(0)));
        assert!(!violations.note(node, at(0)));
        assert!(!violations.note(node, at(20)), "the first two are forgotten");
        assert!(!violations.note(node, at(20)));
        assert!(violations.note(node, at(20)));
    }
}
