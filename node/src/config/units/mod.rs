//! Values with their unit in them: `"3s"`, `"2GiB"`. A bare number is refused, since nobody remembers its unit.

mod size;
mod span;

pub use size::Size;
pub use span::Span;

/// Why a text is no value with a unit. Each names what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing was given.
    #[error("is empty; write a number and a unit, like {example:?}")]
    Empty {
        /// A value that would be accepted.
        example: &'static str,
    },
    /// A number stands where a number and a unit should.
    #[error("{text:?} lacks a unit; write it like {example:?} (units: {units})")]
    NoUnit {
        /// What was given.
        text: String,
        /// A value that would be accepted.
        example: &'static str,
        /// The units that are known.
        units: &'static str,
    },
    /// The unit is not one of ours.
    #[error("{unit:?} is no unit here; the units are {units}")]
    UnknownUnit {
        /// What stands after the number.
        unit: String,
        /// The units that are known.
        units: &'static str,
    },
    /// No whole number stands where one should.
    #[error("{text:?} does not start with a whole number; write it like {example:?}")]
    NoNumber {
        /// What was given, from where the number should be.
        text: String,
        /// A value that would be accepted.
        example: &'static str,
    },
    /// More than can be held.
    #[error("{text:?} is too large")]
    TooLarge {
        /// What was given.
        text: String,
    },
}

/// Splits leading ASCII digits off.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
