//! `Range: bytes=…`, of which one range is served. What is not understood, or asks for several, gets the whole, as
//! RFC 9110 allows.

use axum::http::HeaderValue;

/// What part of the bytes is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Both included.
    Bytes { first: u64, last: u64 },
    /// All of it lies behind the end.
    Unsatisfiable,
}

/// `None`: all of them.
pub(super) fn parse(range: &HeaderValue, size: u64) -> Option<Part> {
    let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.trim().split_once('-')?;
    if first.is_empty() {
        // The last so many.
        let wanted = number(last)?.min(size);
        return Some(match wanted {
            0 => Part::Unsatisfiable,
            _ => Part::Bytes { first: size - wanted, last: size - 1 },
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match first < size {
        true => Part::Bytes { first, last: last.min(size - 1) },
        false => Part::Unsatisfiable,
    })
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_the_rest_is_the_whole() {
        let part = |text: &str, size| parse(&HeaderValue::from_str(text).unwrap(), size);
        let bytes = |first, last| Some(Part::Bytes { first, last });
        assert_eq!(part("bytes=0-0", 10), bytes(0, 0));
        assert_eq!(part("bytes=3-", 10), bytes(3, 9));
        assert_eq!(part("bytes=3-99", 10), bytes(3, 9));
        assert_eq!(part("bytes=-4", 10), bytes(6, 9));
        assert_eq!(part("bytes=-99", 10), bytes(0, 9));
        for behind in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(part(behind, 10), Some(Part::Unsatisfiable), "{behind}");
        }
        assert_eq!(part("bytes=0-", 0), Some(Part::Unsatisfiable));
        for whole in ["bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,4-5", "lines=1-2", "bytes=+1-2", "bytes=a-"] {
            assert_eq!(part(whole, 10), None, "{whole}");
        }
    }
}
