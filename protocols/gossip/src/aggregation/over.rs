use mesh_proto::{aggregate::AggregateId, time::Mono};
use std::{collections::BTreeMap, time::Duration};

/// How an aggregation ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Ended,
    /// This member gave up its part; the others go on.
    GivenUp,
}

/// Aggregations that have ended here, until nobody speaks of them any more.
#[derive(Clone, Debug, Default)]
pub struct Over(BTreeMap<AggregateId, (End, Mono)>);

impl Over {
    pub fn get(&self, id: &AggregateId) -> Option<End> {
        self.0.get(id).map(|(end, _)| *end)
    }

    /// One is forgotten for it where there are so many: the one that would be forgotten first.
    pub fn insert(&mut self, id: AggregateId, end: End, until: Mono, most: usize) {
        self.0.insert(id, (end, until));
        if self.0.len() > most {
            let first = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(id, _)| *id);
            first.map(|id| self.0.remove(&id));
        }
    }

    pub fn forget(&mut self, now: Mono) {
        self.0.retain(|_, (_, until)| *until > now);
    }

    /// Nobody goes on for longer than the longest may take, from when they heard of it first.
    pub fn until(now: Mono, longest: Duration) -> Mono {
        now + longest * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::id::NodeId;

    #[test]
    fn ends_are_bounded_and_forgotten_in_time() {
        let id = |number| AggregateId { origin: NodeId::from_bytes([1; 32]), number };
        let mut over = Over::default();
        (1..=5).for_each(|n| over.insert(id(n), End::Ended, Mono(n), 3));
        assert_eq!([2, 3, 4, 5].map(|n| over.get(&id(n)).is_some()), [false, true, true, true]);
        over.forget(Mono(4));
        assert_eq!([3, 4, 5].map(|n| over.get(&id(n)).is_some()), [false, false, true]);
    }
}
