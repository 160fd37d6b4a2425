//! Amounts of bytes: `"512B"`, `"16KiB"`, `"2GiB"`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{UnitError, split_number};

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];
const UNIT_NAMES: &str = "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB";
const EXAMPLE: &str = "2GiB";
/// How many of [`UNITS`], from the first, are used to show a size: the binary ones.
const SHOWN: usize = 5;

/// An amount of bytes, written as a whole number with a unit: `"2GiB"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many binary kilobytes.
    pub const fn from_kib(kib: u32) -> Self {
        Self((kib as u64) << 10)
    }

    /// So many binary megabytes.
    pub const fn from_mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// So many binary gigabytes.
    pub const fn from_gib(gib: u32) -> Self {
        Self((gib as u64) << 30)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(UnitError::Empty { example: EXAMPLE });
        }
        let (number, unit) = split_number(trimmed);
        if number.is_empty() {
            return Err(UnitError::NoNumber { text: trimmed.to_owned(), example: EXAMPLE });
        }
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(UnitError::NoUnit { text: text.to_owned(), example: EXAMPLE, units: UNIT_NAMES });
        }
        let factor = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), units: UNIT_NAMES })?;
        let number: Option<u64> = number.parse().ok();
        number
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| UnitError::TooLarge { text: text.to_owned() })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*factor);
        let (name, factor) = UNITS[..SHOWN].iter().rev().find(fits).unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text with a number and a unit ({UNIT_NAMES}), like {EXAMPLE:?}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
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
    fn reads_binary_and_decimal_units() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("16KiB", 16_384), ("2GiB", 2 << 30), ("1 MB", 1_000_000), ("1TiB", 1 << 40)]
        {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text:?}");
        }
    }

    #[test]
    fn shows_the_largest_whole_unit() {
        for (bytes, text) in [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1025, "1025B"), (3 << 30, "3GiB")] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "is empty"),
            ("16", "lacks a unit"),
            ("16kb", "no unit here"),
            ("1.5GiB", "no unit here"),
            ("-1B", "whole number"),
            ("GiB", "whole number"),
            ("99999999999999999999999B", "too large"),
            ("18446744073709551615TiB", "too large"),
        ] {
            let error = text.parse::<Size>().expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64) {
            let size = Size(bytes);
            prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            drop(text.parse::<Size>());
        }
    }
}
