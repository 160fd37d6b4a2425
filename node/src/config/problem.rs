//! What the operator must mend, one sentence each.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Origin;

/// Why there is no configuration. All of it is the operator's to mend; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there or was named, and cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("the configuration file {} is larger than {limit_bytes} bytes; is it the right file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file is no TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        message: String,
    },
    /// Keys or values are wrong; every one that was found.
    #[error("{}", Lines(.0))]
    Problems(Vec<Problem>),
}

/// One key or value that is wrong, where it comes from, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, `section.field`.
    pub key: String,
    /// Who gave the value.
    pub origin: Origin,
    /// What is wrong and what to do, after the key.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (from {})", self.key, self.message, self.origin)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects what a section finds wrong with its values, so that one run names every problem.
pub struct Report<'a> {
    section: &'static str,
    problems: &'a mut Vec<(String, String)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(section: &'static str, problems: &'a mut Vec<(String, String)>) -> Self {
        Self { section, problems }
    }

    /// `field` of this section is wrong; `message` says why and what would be right.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push((format!("{}.{field}", self.section), message.into()));
    }

    /// Refuses `value` outside `least..=most`.
    pub fn within<T: PartialOrd + fmt::Display>(&mut self, field: &str, value: T, least: T, most: T) {
        if value < least || value > most {
            self.wrong(field, format!("{value} is outside {least} to {most}"));
        }
    }
}
