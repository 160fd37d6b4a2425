use std::{cmp::Ordering, fmt, str::FromStr};

/// A version as programs have them: one to four numbers, and maybe a name of what comes before it (`7.0.0-rc.1`). As it was
/// written: `6` is not `6.0`. What semantic versioning puts behind a `+` is left out, as it orders nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: Vec<u32>,
    before: Option<String>,
}

/// Numbers of one version: `535.104.5` has three, and Chrome four.
const NUMBERS: usize = 4;

impl Version {
    #[must_use]
    pub fn new(numbers: [u32; 3]) -> Self {
        Self { numbers: numbers.to_vec(), before: None }
    }

    /// Whether it was written with a dot, or with what nothing but a version has.
    pub(super) fn is_plain_number(&self) -> bool {
        self.numbers.len() == 1 && self.before.is_none()
    }

    /// Where it stands to a version that is asked for, by the numbers that are written there: 6.1.1 is equal to 6 and to 6.1,
    /// and above 6.0. Else by precedence (Semantic Versioning 2.0.0, section 11): 6.0.0-rc.1 is below 6.
    #[must_use]
    pub fn compare(&self, asked: &Self) -> Ordering {
        let number = |at: usize| self.numbers.get(at).copied().unwrap_or(0);
        let order = asked.numbers.iter().enumerate().map(|(at, asked)| number(at).cmp(asked));
        order.fold(Ordering::Equal, Ordering::then).then_with(|| {
            let is_at_start = self.numbers.iter().skip(asked.numbers.len()).all(|number| *number == 0);
            match (&self.before, &asked.before) {
                (Some(mine), Some(theirs)) if is_at_start => precedence(mine, theirs),
                (Some(_), None) if is_at_start => Ordering::Less,
                (Some(_) | None, Some(_)) => Ordering::Greater,
                (Some(_) | None, None) => Ordering::Equal,
            }
        })
    }
}

/// Of what stands behind the hyphen: numbers by their value and below words, word by word, the shorter first.
fn precedence(mine: &str, theirs: &str) -> Ordering {
    let (mut mine, mut theirs) = (mine.split('.'), theirs.split('.'));
    loop {
        let order = match (mine.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Text that is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVersion;

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let ordered = text.split_once('+').map_or(text, |(ordered, _)| ordered);
        let (numbers, before) = match ordered.split_once('-') {
            Some((numbers, before)) => (numbers, Some(before)),
            None => (ordered, None),
        };
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if before.is_some_and(|before| !before.split('.').all(is_word)) {
            return Err(BadVersion);
        }
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let parse = |text: &str| if is_number(text) { text.parse().ok() } else { None };
        let numbers: Option<Vec<u32>> = numbers.split('.').take(NUMBERS + 1).map(parse).collect();
        match numbers.filter(|numbers| numbers.len() <= NUMBERS) {
            Some(numbers) => Ok(Self { numbers, before: before.map(str::to_owned) }),
            None => Err(BadVersion),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.numbers.iter().enumerate() {
            write!(f, "{}{number}", if at == 0 { "" } else { "." })?;
        }
        self.before.as_ref().map_or(Ok(()), |before| write!(f, "-{before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap_or_else(|BadVersion| panic!("{text}"))
    }

    #[test]
    fn versions_compare_by_what_was_asked() {
        use Ordering::{Equal, Greater, Less};
        for (have, asked, order) in [
            ("6.1.1", "6", Equal),
            ("6.1.1", "6.1", Equal),
            ("6.1.1", "6.0", Greater),
            ("6.1.1", "7", Less),
            ("6", "6.0.0", Equal),
            ("6", "6.0.1", Less),
            ("10.0", "9.9", Greater),
            ("535.104.05", "535.104.5", Equal),
            ("6.0.0-rc.1", "6", Less),
            ("6.1.0-rc.1", "6", Equal),
            ("6.0.0", "6.0.0-rc.1", Greater),
            ("6.0.1-rc.1", "6.0.0-rc.2", Greater),
            ("6.0.0-rc.2", "6.0.0-rc.10", Less),
            ("6.0.0-alpha", "6.0.0-alpha.1", Less),
            ("6.0.0-1", "6.0.0-alpha", Less),
            ("6.0.0+build", "6.0.0", Equal),
        ] {
            assert_eq!(version(have).compare(&version(asked)), order, "{have} to {asked}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in ["", "v6", "6.", ".6", "6..1", "6.x", "6-", "6-a..b", "1.2.3.4.5", "4294967296", "+6", "-6", "6 "] {
            assert_eq!(bad.parse::<Version>(), Err(BadVersion), "{bad:?}");
        }
        assert_eq!(version("06.1-a-b+c.d").to_string(), "6.1-a-b");
    }
}
