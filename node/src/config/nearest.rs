//! The known name that a mistyped one most likely means.

/// Longer names than this are not compared: the table grows with the square, and nobody mistypes so much.
const LONGEST: usize = 64;

/// The candidate with the least edit distance, if it is near enough to be a likely slip: a third of the letters, or two.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > LONGEST {
        return None;
    }
    let bound = (length / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `left` into `right` (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let mut cost = (above[j] + usize::from(l != r)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 4] = ["api.listen", "network.listen", "network.mdns", "tasks.copies"];

    #[test]
    fn finds_the_likely_one() {
        for (typed, meant) in [
            ("api.listne", Some("api.listen")),
            ("apo.listen", Some("api.listen")),
            ("network.mnds", Some("network.mdns")),
            ("task.copies", Some("tasks.copies")),
            ("weather.tomorrow", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, KEYS), meant, "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_a_metric_on_what_matters(left in "[a-c.]{0,12}", right in "[a-c.]{0,12}") {
            prop_assert_eq!(distance(&left, &left), 0);
            prop_assert_eq!(distance(&left, &right), distance(&right, &left));
            prop_assert!(distance(&left, &right) <= left.len().max(right.len()));
            prop_assert_eq!(distance(&left, &right) == 0, left == right);
        }
    }
}
