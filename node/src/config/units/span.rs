//! Lengths of time: `"250ms"`, `"3s"`, `"1h30m"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{UnitError, split_number};

/// Units from the largest, in microseconds.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];
const UNIT_NAMES: &str = "d, h, m, s, ms, us";
const EXAMPLE: &str = "3s";

/// A length of time to the microsecond, written as whole numbers with units, the largest first or not: `"1h30m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis as u64 * 1_000)
    }

    /// So many seconds.
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs as u64 * 1_000_000)
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// No time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.get()
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let too_large = || UnitError::TooLarge { text: text.to_owned() };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(UnitError::Empty { example: EXAMPLE });
        }
        let mut micros = 0u64;
        while !rest.is_empty() {
            let (number, after) = split_number(rest);
            if number.is_empty() {
                return Err(UnitError::NoNumber { text: rest.to_owned(), example: EXAMPLE });
            }
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            if unit.trim().is_empty() {
                return Err(UnitError::NoUnit { text: text.to_owned(), example: EXAMPLE, units: UNIT_NAMES });
            }
            let factor = UNITS
                .iter()
                .find(|(name, _)| *name == unit.trim())
                .map(|(_, factor)| *factor)
                .ok_or_else(|| UnitError::UnknownUnit { unit: unit.trim().to_owned(), units: UNIT_NAMES })?;
            let number: u64 = number.parse().map_err(|_| too_large())?;
            micros = number.checked_mul(factor).and_then(|part| micros.checked_add(part)).ok_or_else(too_large)?;
            rest = next;
        }
        Ok(Self(micros))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, factor) in UNITS {
            if rest >= factor {
                write!(f, "{}{name}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text with a number and a unit ({UNIT_NAMES}), like {EXAMPLE:?}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_units_alone_and_together() {
        for (text, micros) in [
            ("3s", 3_000_000),
            ("250ms", 250_000),
            ("1h30m", 5_400_000_000),
            ("1d", 86_400_000_000),
            (" 7us ", 7),
            ("1h 30m", 5_400_000_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Span>(), Ok(Span(micros)), "{text:?}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "is empty"),
            ("3", "lacks a unit"),
            ("3s4", "lacks a unit"),
            ("3 parsecs", "no unit here"),
            ("1.5s", "no unit here"),
            ("-3s", "whole number"),
            ("s", "whole number"),
            ("999999999999999999999s", "too large"),
            ("18446744073709551615d", "too large"),
        ] {
            let error = text.parse::<Span>().expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(micros: u64) {
            let span = Span(micros);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            drop(text.parse::<Span>());
        }
    }
}
