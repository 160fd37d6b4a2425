//! Places for streams that are answered: so many in all, and so many of one peer.

use mesh_proto::id::NodeId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Cheap to clone: all clones give out the same places.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    in_all: usize,
    of_one: usize,
    /// No entry of who has none.
    taken: Mutex<BTreeMap<NodeId, usize>>,
}

/// One of them, free again when it is dropped.
pub struct Place {
    shared: Arc<Shared>,
    who: NodeId,
}

impl Places {
    pub fn new(in_all: usize, of_one: usize) -> Self {
        Self(Arc::new(Shared { in_all, of_one, taken: Mutex::default() }))
    }

    /// A place for a stream of `who`; `None` where it has its share, or all are taken.
    pub fn take(&self, who: NodeId) -> Option<Place> {
        let mut taken = self.0.taken();
        let own = taken.get(&who).copied().unwrap_or(0);
        if own >= self.0.of_one || taken.values().sum::<usize>() >= self.0.in_all {
            return None;
        }
        taken.insert(who, own + 1);
        Some(Place { shared: Arc::clone(&self.0), who })
    }
}

impl Shared {
    /// Nothing that can panic happens under the lock.
    fn taken(&self) -> MutexGuard<'_, BTreeMap<NodeId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        match taken.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_its_share_and_all_together_no_more_than_there_are() {
        let places = Places::new(5, 2);
        let node = |n| NodeId::from_bytes([n; 32]);
        let mut held: Vec<Place> = Vec::new();
        for who in [1, 1, 2, 2, 3] {
            held.extend(places.take(node(who)));
        }
        assert_eq!(held.len(), 5);
        assert!(places.take(node(3)).is_none(), "all are taken");
        held.pop();
        for who in [1, 2] {
            assert!(places.take(node(who)).is_none(), "it has its share");
        }
        held.extend(places.take(node(4)));
        assert_eq!(held.len(), 5);
        drop(held);
        assert!(places.0.taken().is_empty(), "who has none is not remembered");
        assert!(places.take(node(1)).is_some());
    }
}
