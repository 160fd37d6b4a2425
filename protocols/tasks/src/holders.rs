use mesh_proto::task::Holder;

/// A set of a few holders, in order: one small piece of memory, where a tree takes room for eleven. There is one for each task
/// that is driven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders(Vec<Holder>);

impl Holders {
    pub fn insert(&mut self, holder: Holder) {
        if let Err(at) = self.0.binary_search(&holder) {
            // Three are the rule.
            self.0.reserve_exact(1);
            self.0.insert(at, holder);
        }
    }

    pub fn remove(&mut self, holder: &Holder) {
        if let Ok(at) = self.0.binary_search(holder) {
            self.0.remove(at);
        }
    }

    pub fn contains(&self, holder: &Holder) -> bool {
        self.0.binary_search(holder).is_ok()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.0.iter()
    }
}

impl FromIterator<Holder> for Holders {
    fn from_iter<I: IntoIterator<Item = Holder>>(holders: I) -> Self {
        let mut holders: Vec<Holder> = holders.into_iter().collect();
        holders.sort_unstable();
        holders.dedup();
        Self(holders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::id::{NodeId, StoreId};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(begin in prop::collection::vec(0..6u8, 0..5), steps in prop::collection::vec((0..6u8, any::<bool>()), 0..20)) {
            let holder = |n: u8| Holder { node: NodeId::from_bytes([n / 2; 32]), store: StoreId(u64::from(n)) };
            let mut holders: Holders = begin.iter().copied().map(holder).collect();
            let mut set: BTreeSet<Holder> = begin.iter().copied().map(holder).collect();
            for (n, is_added) in steps {
                match is_added {
                    true => {
                        holders.insert(holder(n));
                        set.insert(holder(n));
                    }
                    false => {
                        holders.remove(&holder(n));
                        set.remove(&holder(n));
                    }
                }
                prop_assert!(holders.iter().eq(&set) && holders.len() == set.len());
                prop_assert!((0..6).all(|n| holders.contains(&holder(n)) == set.contains(&holder(n))));
            }
        }
    }
}
