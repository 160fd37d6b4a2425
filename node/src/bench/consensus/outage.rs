use std::time::Duration;

use super::tally::SLICE;

/// How long after `fault` the first operation ended that was not under way when it came: the end of the longest pause
/// that began after it. Answers that were on their way still come for a moment, and do not end it.
///
/// `slices` are the ends of operations from the beginning of the load on, at which `fault` is counted from, too.
pub fn first_end_after(fault: Duration, slices: &[u32]) -> Option<Duration> {
    let from = usize::try_from(fault.as_micros() / SLICE.as_micros()).unwrap_or(usize::MAX);
    let mut longest = (0, None);
    let mut empty = 0;
    for (at, ends) in slices.iter().enumerate().skip(from) {
        match ends {
            0 => empty += 1,
            _ => {
                if empty > longest.0 {
                    longest = (empty, Some(at));
                }
                empty = 0;
            }
        }
    }
    let end = SLICE * u32::try_from(longest.1?).unwrap_or(u32::MAX);
    Some(end.saturating_sub(fault))
}

/// The ends at all gateways together.
pub fn together<'a>(all: impl IntoIterator<Item = &'a Vec<u32>>) -> Vec<u32> {
    let mut sum: Vec<u32> = Vec::new();
    for slices in all {
        sum.resize(sum.len().max(slices.len()), 0);
        sum.iter_mut().zip(slices).for_each(|(sum, ends)| *sum += ends);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_does_not_end_an_outage() {
        let mut slices = vec![5; 100];
        // Falls at 200 ms; answers come until 210 ms, one more at 250 ms, and again from 450 ms on.
        slices[42..90].fill(0);
        slices[50] = 1;
        assert_eq!(first_end_after(Duration::from_millis(200), &slices), Some(Duration::from_millis(250)));
        slices[60..].fill(0);
        slices[50..60].fill(0);
        assert_eq!(first_end_after(Duration::from_millis(200), &slices), None, "it never ended");
        assert_eq!(together([&vec![1, 2], &vec![1, 2, 3]]), [2, 4, 3]);
    }
}
