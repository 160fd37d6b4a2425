//! What is wrong with a text, in words that say what to write instead.

use super::{Kind, Name, Operator};
use crate::limits;

/// Why a text is no value of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("nothing stands behind the sign")]
    Empty,
    #[error("`{0}`: a value has at most {max} bytes, without any of , < > = ! ? and control characters", max = limits::LABEL_BYTES)]
    Text(String),
    #[error("`{text}` is not {kind}, as `{name}` needs")]
    Kind { name: Name, text: String, kind: Kind },
}

/// Why a text is no capability, or one too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("`{0}`: a node has something, or so much of it: `name` or `name=value`")]
    Sign(String),
    #[error("`{0}` is there twice")]
    Twice(Name),
    #[error("more than {} capabilities, or than {} bytes of them", limits::CAPABILITIES, limits::CAPABILITIES_BYTES)]
    TooMany,
}

/// Why a text is no requirement, or one too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    #[error("there is nothing between two commas, or at an end")]
    Empty,
    #[error(transparent)]
    Name(#[from] BadName),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("`{name}{operator}{text}`: {kind} has no order; use = or !=")]
    Unordered { name: Name, operator: Operator, text: String, kind: Kind },
    #[error("`{0}`: the signs are >= <= > < = !=, and a trailing ? for what is only preferred")]
    Sign(String),
    #[error("more than {} requirements", limits::REQUIREMENTS)]
    TooMany,
}

/// Text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: small letters, digits and any of . _ - (`gpu`, `zone`), or `tool:` and a command's name, and at \
     most {max} bytes",
    max = limits::LABEL_BYTES
)]
pub struct BadName(pub(super) String);

/// As much of a user's text as a message repeats.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}
