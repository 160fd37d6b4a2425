use super::{
    answer::Bucket,
    asked::Operation,
    buckets::{BUCKETS, ends, middle},
    contribution::{COVERED, FIRST, ORIGIN, REACHED, SIZE, VALUE, WEIGHT},
    mass::Mass,
};

/// What a mass says of all members: every part of it that was mixed for long enough says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// As [`super::Answer::values`]; of a histogram how many values each bucket has.
    pub values: Vec<f64>,
    pub covers: f64,
    pub reached: f64,
    /// What is large and small among these values.
    pub size: f64,
}

impl Estimate {
    /// None while no weight of the origin's has come to it, or the weights are not what they are in a settled mesh: after
    /// members were lost some hold less than nothing for a while.
    pub fn of(operation: Operation, length: u16, mass: &Mass) -> Option<Self> {
        let origin = mass.get(ORIGIN);
        if origin <= 0 || mass.get(REACHED) <= 0 || mass.get(COVERED) < 0 {
            return None;
        }
        // Both in the same unit.
        let members = |of: u16| mass.get(of) as f64 / origin as f64;
        let (covers, reached) = (members(COVERED), members(REACHED));
        let in_values = WEIGHT as f64 / VALUE as f64;
        let over = |weight: i128, of: u16| match weight {
            0 => 0.0,
            weight => mass.get(of) as f64 * in_values / weight as f64,
        };
        let each = |weight: i128| (FIRST..FIRST + length).map(|of| over(weight, of)).collect();
        let (values, size) = match operation {
            Operation::Count => (vec![covers], covers),
            _ if covers < 0.5 => (Vec::new(), 0.0),
            Operation::Sum => (each(origin), over(origin, SIZE)),
            Operation::Mean => (each(mass.get(COVERED)), over(mass.get(COVERED), SIZE)),
            Operation::Min | Operation::Max => (Vec::new(), 0.0),
            Operation::Quantile(share) => {
                let value = quantile(mass, share, covers);
                (vec![value], value.abs())
            }
            Operation::Histogram(_) => (counts(mass).map(|(_, count)| count).collect(), covers),
        };
        Some(Self { values, covers, reached, size })
    }

    /// How far the values are from those of another.
    pub fn distance(&self, other: &Self) -> f64 {
        if self.values.len() != other.values.len() {
            return f64::INFINITY;
        }
        self.values.iter().zip(&other.values).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
    }
}

/// How many values each bucket has.
fn counts(mass: &Mass) -> impl Iterator<Item = (u16, f64)> + '_ {
    let origin = mass.get(ORIGIN) as f64;
    (0..BUCKETS).map(move |bucket| (bucket, mass.get(FIRST + bucket) as f64 / origin))
}

/// The nearest rank: the least value that so large a share of the values does not exceed. Sums of counts are whole in
/// truth, so that they are rounded: else the median of an even number would be one of two by chance.
fn quantile(mass: &Mass, share: f64, covers: f64) -> f64 {
    let rank = (share * covers.round() - 1e-9).ceil().max(1.0);
    let mut sum = 0.0;
    let mut last = 0;
    for (bucket, count) in counts(mass) {
        sum += count;
        if count > 0.0 {
            last = bucket;
        }
        if sum.round() >= rank {
            break;
        }
    }
    middle(last)
}

/// At most so many buckets, from the first to the last that has values.
pub fn histogram(mass: &Mass, most: usize) -> Vec<Bucket> {
    if mass.get(ORIGIN) <= 0 {
        return Vec::new();
    }
    // What is below half a member is what has not been evened out yet.
    let there: Vec<(u16, f64)> = counts(mass).filter(|(_, count)| *count >= 0.5).collect();
    let (Some((first, _)), Some((last, _))) = (there.first(), there.last()) else { return Vec::new() };
    let each = usize::from(last - first + 1).div_ceil(most.max(1));
    let mut buckets = Vec::new();
    for begin in (*first..=*last).step_by(each) {
        let end = begin.saturating_add(u16::try_from(each - 1).unwrap_or(u16::MAX)).min(*last);
        let sum: f64 = there.iter().filter(|(bucket, _)| (begin..=end).contains(bucket)).map(|(_, count)| count).sum();
        buckets.push(Bucket { from: ends(begin).0, to: ends(end).1, count: sum.round() as u64 });
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::super::{asked::Asked, contribution::contribution};
    use super::*;
    use std::time::Duration;

    /// What all members hold together, as each would say in the end.
    fn together(operation: Operation, values: &[f64]) -> Mass {
        let asked = Asked { operation, name: "x".into(), length: 1, tolerance: 0.1, timeout: Duration::ZERO };
        let mut all = Mass::default();
        all.set(ORIGIN, WEIGHT);
        for value in values {
            let (mut mass, _) = contribution(&asked.subject(), &[*value]).unwrap();
            mass.set(REACHED, WEIGHT);
            all.add(&mass);
        }
        all
    }

    fn only(operation: Operation, values: &[f64]) -> f64 {
        let estimate = Estimate::of(operation, 1, &together(operation, values)).unwrap();
        assert_eq!((estimate.covers, estimate.reached), (values.len() as f64, values.len() as f64));
        estimate.values[0]
    }

    #[test]
    fn sums_means_and_counts_are_those_of_the_values() {
        let values = [1.0, -2.5, 40.0, 0.0];
        assert_eq!(only(Operation::Count, &values), 4.0);
        assert_eq!(only(Operation::Sum, &values), 38.5);
        assert_eq!(only(Operation::Mean, &values), 9.625);
    }

    #[test]
    fn quantiles_are_by_nearest_rank_and_within_a_hundredth() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        for (share, value) in [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.95, 95.0), (1.0, 100.0)] {
            let found = only(Operation::Quantile(share), &values);
            assert!((found - value).abs() <= value * 0.0101, "{share}: {found} for {value}");
        }
        let found = only(Operation::Quantile(0.5), &[-7.0, -7.0, 3.0, 9.0]);
        assert!((found + 7.0).abs() < 0.071, "the lower of two middles: {found}");
    }

    #[test]
    fn a_histogram_has_every_value_once() {
        let mass = together(Operation::Histogram(4), &[1.0, 1.0, 2.0, 8.0, 100.0]);
        let histogram = histogram(&mass, 4);
        assert!(histogram.len() <= 4, "{histogram:?}");
        assert_eq!(histogram.iter().map(|bucket| bucket.count).sum::<u64>(), 5);
        assert!(histogram[0].from <= 1.0 && histogram.last().unwrap().to >= 100.0);
        assert!(histogram.windows(2).all(|two| (two[0].to - two[1].from).abs() < two[0].to * 1e-6), "{histogram:?}");
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(Estimate::of(Operation::Sum, 1, &Mass::default()), None);
        let mut mass = together(Operation::Mean, &[]);
        assert_eq!(Estimate::of(Operation::Mean, 1, &mass), None, "nobody takes part");
        mass.set(REACHED, WEIGHT);
        let nobody = Estimate::of(Operation::Mean, 1, &mass).unwrap();
        assert_eq!((nobody.values, nobody.covers, nobody.reached), (vec![], 0.0, 1.0));
        assert_eq!(super::histogram(&mass, 4), []);
    }
}
