use mesh_proto::fixed::Fixed;
use std::collections::BTreeMap;

/// Some numbers that are divided among members, by what they are of; what is not there is zero.
///
/// All is modulo 2^128. Totals of what was given wrap around in long runs and under hostile values; what is held is right all
/// the same, for it is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mass(BTreeMap<u16, i128>);

impl Mass {
    pub fn get(&self, of: u16) -> i128 {
        self.0.get(&of).copied().unwrap_or(0)
    }

    pub fn set(&mut self, of: u16, number: i128) {
        match number {
            0 => self.0.remove(&of),
            number => self.0.insert(of, number),
        };
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u16, i128)> + '_ {
        self.0.iter().map(|(of, number)| (*of, *number))
    }

    pub fn add(&mut self, other: &Self) {
        other.iter().for_each(|(of, number)| self.set(of, self.get(of).wrapping_add(number)));
    }

    pub fn take(&mut self, other: &Self) {
        other.iter().for_each(|(of, number)| self.set(of, self.get(of).wrapping_sub(number)));
    }

    /// One of so many equal parts; what does not divide stays with the rest.
    pub fn part(&self, parts: i128) -> Self {
        let part = self.iter().map(|(of, number)| (of, number.wrapping_div(parts)));
        Self(part.filter(|(_, number)| *number != 0).collect())
    }

    pub fn to_wire(&self) -> Vec<(u16, Fixed)> {
        self.iter().map(|(of, number)| (of, Fixed(number))).collect()
    }

    pub fn of_wire(numbers: &[(u16, Fixed)]) -> Self {
        Self(numbers.iter().map(|(of, number)| (*of, number.0)).filter(|(_, number)| *number != 0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mass() -> impl Strategy<Value = Mass> {
        proptest::collection::btree_map(0u16..6, any::<i128>(), 0..6).prop_map(|numbers| {
            let mut mass = Mass::default();
            numbers.into_iter().for_each(|(of, number)| mass.set(of, number));
            mass
        })
    }

    proptest! {
        #[test]
        fn what_is_given_away_in_parts_is_all_there_still(whole in mass(), parts in 1i128..9, given in 0usize..9) {
            let part = whole.part(parts);
            let mut rest = whole.clone();
            let given = given.min(usize::try_from(parts).unwrap());
            (0..given).for_each(|_| rest.take(&part));
            (0..given).for_each(|_| rest.add(&part));
            prop_assert_eq!(rest, whole);
        }

        #[test]
        fn adding_is_commutative_and_associative(a in mass(), b in mass(), c in mass()) {
            let sum = |all: [&Mass; 3]| all.iter().fold(Mass::default(), |mut sum, mass| { sum.add(mass); sum });
            prop_assert_eq!(sum([&a, &b, &c]), sum([&c, &a, &b]));
            let (mut left, mut right) = (a.clone(), b.clone());
            left.add(&b);
            left.add(&c);
            right.add(&c);
            right.add(&a);
            prop_assert_eq!(left, right);
        }

        #[test]
        fn the_wire_keeps_it(whole in mass()) {
            prop_assert_eq!(Mass::of_wire(&whole.to_wire()), whole);
        }
    }
}
