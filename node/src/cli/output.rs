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

/// Whether the user wants no colour: <https://no-color.org>.
pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
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

    pub(super) fn is_text(self) -> bool {
        self.format == Format::Text
    }

    /// Prints the things of a list: a line of JSON each, or a table.
    pub(super) fn rows<T: Serialize, const N: usize>(
        self,
        head: [&str; N],
        rows: &[T],
        cells: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.format == Format::Json {
            for row in rows {
                writeln!(stdout, "{}", serde_json::to_string(row).map_err(io::Error::other)?)?;
            }
            return Ok(());
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(head.map(str::to_uppercase));
        rows.iter().for_each(|row| {
            table.add_row(cells(row));
        });
        for line in table.to_string().lines() {
            writeln!(stdout, "{}", line.trim_end())?;
        }
        Ok(())
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
