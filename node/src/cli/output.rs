//! `--output text|json`: the format of what a verb prints, and nothing else.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde::Serialize;

/// The format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Where a verb prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints one thing, as a line of JSON or as `text` makes it.
    pub(super) fn put<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
        let line = match self.format {
            Format::Text => text(value),
            Format::Json => serde_json::to_string(value).map_err(io::Error::other)?,
        };
        writeln!(io::stdout().lock(), "{line}")
    }
}
