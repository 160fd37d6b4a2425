use std::time::Duration;

use super::tally::SLICE;

/// How long after `fault` the first operation ended that was due behind it: what was under way when it came may still be
/// answered by those that live.
///
/// `all` are, of each gateway, the first ends of what was due in each slice of time from the beginning of the load on, at
/// which `fault` is counted from, too.
pub fn first_end_after<'a>(fault: Duration, all: impl IntoIterator<Item = &'a Vec<Option<u64>>>) -> Option<Duration> {
    let from = usize::try_from(fault.as_micros().div_ceil(SLICE.as_micros())).unwrap_or(usize::MAX);
    let ends = all.into_iter().flat_map(|firsts| firsts.iter().skip(from)).flatten();
    ends.min().map(|end| Duration::from_micros(*end).saturating_sub(fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_does_not_end_an_outage() {
        // Falls at 203 ms. One that was due at 200 ms is answered at 350, and again from 450 ms on.
        let mut one = vec![Some(10); 40];
        one.push(Some(350_000));
        one.extend([Some(460_000), None, Some(452_000)]);
        let other = vec![None; 50];
        let fault = Duration::from_millis(203);
        assert_eq!(first_end_after(fault, [&one, &other]), Some(Duration::from_millis(249)));
        assert_eq!(first_end_after(Duration::from_millis(220), [&one, &other]), None, "it never ended");
    }
}
