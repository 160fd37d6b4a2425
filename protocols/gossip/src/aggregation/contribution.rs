//! What a member puts in.

use super::{
    buckets::{BUCKETS, bucket},
    extremes::Extremes,
    mass::Mass,
};
use mesh_proto::aggregate::{Fold, Subject};

/// What weights are counted in: a member's whole weight, which is divided further than any mesh is large.
pub const WEIGHT: i128 = 1 << 60;
/// What values are counted in: 1 is so many, and the smallest difference is a trillionth.
pub const VALUE: i128 = 1 << 40;
/// A value may be so large, to either side: a billion of them add up in 128 bits, beside room for rounding.
pub const VALUE_MAX: f64 = 9_223_372_036_854_775_808.0;

/// Held by who asks: all else in relation to it is a sum over members.
pub const ORIGIN: u16 = 0;
/// One of each that takes part.
pub const REACHED: u16 = 1;
/// One of each that has such a value.
pub const COVERED: u16 = 2;
/// How large values are, whatever their sign: what is accurate enough is in relation to it.
pub const SIZE: u16 = 3;
/// Of the first component, or the first bucket.
pub const FIRST: u16 = 4;

/// Numbers that a mass of it may have.
pub fn numbers(subject: &Subject) -> u16 {
    match subject.fold {
        Fold::Sum => FIRST + subject.length,
        Fold::Least | Fold::Most => FIRST,
        Fold::Buckets => FIRST + BUCKETS,
    }
}

pub fn fixed(value: f64) -> Option<i128> {
    // Of what is in bounds nothing but digits below the last is lost.
    (value.abs() <= VALUE_MAX).then_some((value * VALUE as f64) as i128)
}

pub fn float(number: i128) -> f64 {
    number as f64 / VALUE as f64
}

/// What a member adds when it finds that it has this value; nothing where that is none that the question is about.
pub fn contribution(subject: &Subject, values: &[f64]) -> Option<(Mass, Extremes)> {
    if subject.length == 0 && !values.is_empty() {
        let mut mass = Mass::default();
        mass.set(COVERED, WEIGHT);
        return Some((mass, Extremes::default()));
    }
    if values.len() != usize::from(subject.length) {
        return None;
    }
    let fixed: Vec<i128> = values.iter().map(|value| fixed(*value)).collect::<Option<_>>()?;
    let (mut mass, mut extremes) = (Mass::default(), Extremes::default());
    mass.set(COVERED, WEIGHT);
    match subject.fold {
        Fold::Sum => {
            let size = values.iter().map(|value| value.abs()).sum::<f64>() / f64::from(subject.length);
            mass.set(SIZE, self::fixed(size)?);
            (FIRST..).zip(&fixed).for_each(|(of, number)| mass.set(of, *number));
        }
        Fold::Least | Fold::Most => extremes = Extremes::of((0..).zip(fixed)),
        Fold::Buckets => mass.set(FIRST + bucket(*values.first()?), WEIGHT),
    }
    Some((mass, extremes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(fold: Fold, length: u16) -> Subject {
        Subject { fold, name: "loss".into(), length }
    }

    #[test]
    fn what_is_no_number_or_of_another_length_adds_nothing() {
        let sum = subject(Fold::Sum, 2);
        for values in [&[1.0][..], &[1.0, 2.0, 3.0], &[1.0, f64::NAN], &[f64::INFINITY, 1.0], &[1e19, 0.0]] {
            assert_eq!(contribution(&sum, values), None, "{values:?}");
        }
        let (mass, extremes) = contribution(&sum, &[1.0, -2.5]).unwrap();
        assert_eq!((mass.get(FIRST), mass.get(FIRST + 1)), (VALUE, -5 * VALUE / 2));
        assert_eq!((mass.get(COVERED), mass.get(SIZE), extremes.len()), (WEIGHT, 7 * VALUE / 4, 0));
    }

    #[test]
    fn what_is_merged_is_no_mass() {
        let (mass, extremes) = contribution(&subject(Fold::Most, 1), &[-4.0]).unwrap();
        assert_eq!((mass.len(), extremes), (1, Extremes::of([(0, -4 * VALUE)])));
        let (mass, _) = contribution(&subject(Fold::Buckets, 1), &[0.0]).unwrap();
        assert_eq!((mass.get(FIRST + bucket(0.0)), mass.len()), (WEIGHT, 2));
    }
}
