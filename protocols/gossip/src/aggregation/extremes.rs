use mesh_proto::{aggregate::Fold, fixed::Fixed};
use std::collections::BTreeMap;

/// The least or most of what was heard, each component for itself. To hear something twice, in any order, is to hear it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extremes(BTreeMap<u16, i128>);

impl Extremes {
    pub fn of(numbers: impl IntoIterator<Item = (u16, i128)>) -> Self {
        Self(numbers.into_iter().collect())
    }

    pub fn of_wire(numbers: &[(u16, Fixed)]) -> Self {
        Self::of(numbers.iter().map(|(of, number)| (*of, number.0)))
    }

    pub fn to_wire(&self) -> Vec<(u16, Fixed)> {
        self.iter().map(|(of, number)| (of, Fixed(number))).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u16, i128)> + '_ {
        self.0.iter().map(|(of, number)| (*of, *number))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn merge(&mut self, fold: Fold, other: &Self) {
        for (of, number) in other.iter() {
            let known = self.0.entry(of).or_insert(number);
            *known = match fold {
                Fold::Least => number.min(*known),
                Fold::Most => number.max(*known),
                Fold::Sum | Fold::Buckets => *known,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extremes() -> impl Strategy<Value = Extremes> {
        proptest::collection::btree_map(0u16..4, any::<i128>(), 0..4).prop_map(Extremes)
    }

    fn merged(fold: Fold, a: &Extremes, b: &Extremes) -> Extremes {
        let mut merged = a.clone();
        merged.merge(fold, b);
        merged
    }

    proptest! {
        #[test]
        fn merging_is_commutative_associative_and_idempotent(a in extremes(), b in extremes(), c in extremes()) {
            for fold in [Fold::Least, Fold::Most] {
                let ab = merged(fold, &a, &b);
                prop_assert_eq!(&ab, &merged(fold, &b, &a));
                prop_assert_eq!(merged(fold, &ab, &c), merged(fold, &a, &merged(fold, &b, &c)));
                prop_assert_eq!(&merged(fold, &ab, &b), &ab);
                prop_assert_eq!(&merged(fold, &a, &a), &a);
            }
        }
    }

    #[test]
    fn the_least_and_the_most_of_each_component() {
        let (a, b) = (Extremes::of([(0, -3), (1, 5)]), Extremes::of([(0, 2), (2, 7)]));
        assert_eq!(merged(Fold::Least, &a, &b), Extremes::of([(0, -3), (1, 5), (2, 7)]));
        assert_eq!(merged(Fold::Most, &a, &b), Extremes::of([(0, 2), (1, 5), (2, 7)]));
    }
}
