use super::{
    Name, Version,
    error::{ValueError, shown},
};
use crate::limits;
use std::fmt;

/// How much of something there is, which version, or which one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `gpu=1`
    Amount(u64),
    /// In bytes: `mem=2GiB`. Shown in the largest unit that divides it.
    Size(u64),
    /// `tool:ffmpeg=6.1.1`, `cuda=12.2`
    Version(Version),
    /// `zone=eu`. At most [`limits::LABEL_BYTES`].
    Text(String),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Amount,
    Size,
    Version,
    Text,
}

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
/// How many of [`UNITS`], from the first, are used to show a size: the binary ones.
const SHOWN: usize = 5;

impl Value {
    /// The value of that name that is written so. `arch` is known by its other names as well.
    pub fn parse(name: &Name, text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ValueError::Empty);
        }
        let is_free = |letter: char| !letter.is_control() && !matches!(letter, ',' | '<' | '>' | '=' | '!' | '?');
        if text.len() > limits::LABEL_BYTES || !text.chars().all(is_free) {
            return Err(ValueError::Text(shown(text)));
        }
        let value = match name.kind() {
            Some(Kind::Amount) => number(text).map(Self::Amount),
            Some(Kind::Size) => size(text).map(Self::Size),
            Some(Kind::Version) => text.parse().ok().map(Self::Version),
            Some(Kind::Text) if name.as_str() == "arch" => Some(Self::Text(architecture(text).to_owned())),
            Some(Kind::Text) => Some(Self::Text(text.to_owned())),
            None => Some(Self::guess(text)),
        };
        let wrong = |kind| ValueError::Kind { name: name.clone(), text: shown(text), kind };
        value.ok_or_else(|| wrong(name.kind().unwrap_or(Kind::Text)))
    }

    /// Of a name that may have any.
    fn guess(text: &str) -> Self {
        let version = || text.parse().ok().filter(|version: &Version| !version.is_plain_number());
        let amount = number(text).map(Self::Amount).or_else(|| size(text).map(Self::Size));
        amount.or_else(|| version().map(Self::Version)).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Amount(_) => Kind::Amount,
            Self::Size(_) => Kind::Size,
            Self::Version(_) => Kind::Version,
            Self::Text(_) => Kind::Text,
        }
    }

    /// Where there is more and less of it.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Amount(number) | Self::Size(number) => Some(*number),
            Self::Version(_) | Self::Text(_) => None,
        }
    }

    /// A version, or a whole number, which is one as well.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Version(version) => Some(version.clone()),
            Self::Amount(number) => number.to_string().parse().ok(),
            Self::Size(_) | Self::Text(_) => None,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (amount, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number(amount)?.checked_mul(*factor)
}

/// By the name that kernels give it.
fn architecture(text: &str) -> &str {
    match text {
        "amd64" | "x86-64" | "x64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(number) => write!(f, "{number}"),
            Self::Size(bytes) => {
                let fits = |(_, factor): &&(&str, u64)| *bytes != 0 && bytes.is_multiple_of(*factor);
                let (name, factor) = UNITS[..SHOWN].iter().rev().find(fits).unwrap_or(&UNITS[0]);
                write!(f, "{}{name}", bytes / factor)
            }
            Self::Version(version) => write!(f, "{version}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amount => "a whole number",
            Self::Size => "an amount of bytes (`2GiB`)",
            Self::Version => "a version (`6`, `6.1.1`)",
            Self::Text => "a name",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, text: &str) -> Result<Value, ValueError> {
        Value::parse(&name.parse().unwrap(), text)
    }

    #[test]
    fn a_name_or_the_text_says_what_a_value_is() {
        let version = |text: &str| Value::Version(text.parse().unwrap_or_else(|_| panic!("{text}")));
        for (name, text, expected) in [
            ("gpu", "1", Value::Amount(1)),
            ("disk", "2TB", Value::Size(2_000_000_000_000)),
            ("mem", "2 GiB", Value::Size(2 << 30)),
            ("cuda", "12.2", version("12.2")),
            ("tool:ffmpeg", "6", version("6")),
            ("zone", "12", Value::Text("12".into())),
            ("rack", "b 7", Value::Text("b 7".into())),
            ("arch", "arm64", Value::Text("aarch64".into())),
            ("many", "99999999999999999999", Value::Text("99999999999999999999".into())),
        ] {
            assert_eq!(value(name, text), Ok(expected), "{name}={text}");
        }
        for (name, text) in
            [("mem", "2"), ("mem", "2Gb"), ("cores", "two"), ("tool:ffmpeg", "new"), ("a", ""), ("a", "x=y")]
        {
            assert!(value(name, text).is_err(), "{name}={text}");
        }
        let error = value("mem", "2").unwrap_err().to_string();
        assert_eq!(error, "`2` is not an amount of bytes (`2GiB`), as `mem` needs");
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_divides_them() {
        for (bytes, text) in [(0, "0B"), (1, "1B"), (1 << 10, "1KiB"), (3 << 29, "1536MiB"), (1 << 50, "1024TiB")] {
            assert_eq!(Value::Size(bytes).to_string(), text);
        }
    }
}
