//! Buckets for values, the same at all members, so that they need not be agreed on: each is 2 % wide, as those of DDSketch
//! are (Masson, Rim and Lee, VLDB '19), from a millionth to 17 trillion, to either side of zero.

/// How far a value of a bucket may be from the one that stands for it, relative to the value.
const ACCURACY: f64 = 0.01;
/// The same, relative to the one that stands for it.
pub const ERROR: f64 = ACCURACY / (1.0 - ACCURACY);
/// Beyond these, values count as the last that has a bucket; nearer to zero, as zero.
const SMALLEST: f64 = 1.0 / 1_048_576.0;
const LARGEST: f64 = 17_592_186_044_416.0;
/// Buckets to one side of zero.
const SIDE: u16 = 2218;
/// The bucket of zero, in the middle.
const ZERO: u16 = SIDE;
pub const BUCKETS: u16 = 2 * SIDE + 1;

/// The ends of a bucket are so far apart.
fn ratio() -> f64 {
    (1.0 + ACCURACY) / (1.0 - ACCURACY)
}

/// The bucket that a value lies in.
pub fn bucket(value: f64) -> u16 {
    let size = value.abs().min(LARGEST);
    if size < SMALLEST {
        return ZERO;
    }
    let step = ((size / SMALLEST).ln() / ratio().ln()).floor();
    // Not negative, and at most 2,217: 2^64 is a little less than the ratio to the power of 2,218.
    let step = (step.max(0.0) as u16).min(SIDE - 1);
    if value > 0.0 { ZERO + 1 + step } else { ZERO - 1 - step }
}

/// Where a bucket begins and ends, the smaller first.
pub fn ends(bucket: u16) -> (f64, f64) {
    let side = |step: u16| {
        let low = SMALLEST * ratio().powi(i32::from(step));
        (low, low * ratio())
    };
    match bucket.min(BUCKETS - 1) {
        ZERO => (0.0, 0.0),
        positive @ ZERO.. => side(positive - ZERO - 1),
        negative => {
            let (low, high) = side(ZERO - 1 - negative);
            (-high, -low)
        }
    }
}

/// What stands for all values of a bucket: none of them is further from it than [`ERROR`] of it.
pub fn middle(bucket: u16) -> f64 {
    let (low, high) = ends(bucket);
    if low == high { low } else { 2.0 * low * high / (low + high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_near_the_middle_of_its_bucket(exponent in -19.9f64..43.9, is_negative: bool) {
            let value = if is_negative { -exponent.exp2() } else { exponent.exp2() };
            let middle = middle(bucket(value));
            prop_assert!((value - middle).abs() <= middle.abs() * (ERROR + 1e-9), "{value} is not near {middle}");
        }

        #[test]
        fn buckets_are_in_the_order_of_values(a in -1e14f64..1e14, b in -1e14f64..1e14) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(bucket(low) <= bucket(high));
            prop_assert!(bucket(high) < BUCKETS);
        }
    }

    #[test]
    fn the_ends_have_buckets_too() {
        assert_eq!(bucket(0.0), ZERO);
        assert_eq!(bucket(-1e-9), ZERO);
        assert_eq!(bucket(f64::MAX), BUCKETS - 1);
        assert_eq!(bucket(f64::MIN), 0);
        assert_eq!(bucket(SMALLEST), ZERO + 1);
        for bucket in 1..BUCKETS {
            let (end, begin) = (ends(bucket - 1).1, ends(bucket).0);
            assert!(end <= begin + begin.abs() * 1e-9, "{bucket}: {end} {begin}");
            assert!(middle(bucket - 1) < middle(bucket));
        }
    }
}
