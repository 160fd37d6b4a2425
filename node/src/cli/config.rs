//! `meshd config show|check`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::settings::Global;
use crate::config::{self, Entry, FileSource, Sources};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print every value in force and who gave it.
    Show,
    /// Say whether a file would be accepted, without the environment and without flags.
    Check(Check),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The file; without it, the one that would be read.
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    valid: bool,
}

impl Config {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        match self {
            Self::Show => {
                let entries = crate::run::entries(&global.load(Vec::new())?);
                let width = entries.iter().map(|entry| entry.key.len()).max().unwrap_or(0);
                let line = |entry: &Entry| {
                    let mut line = format!("{:width$} = {}  # {}", entry.key, entry.text(), entry.origin);
                    for (name, file) in &entry.resolved {
                        line += &format!("\n{:width$}   # {name} is {file}", "");
                    }
                    line
                };
                entries.iter().try_for_each(|entry| output.put(entry, line))?;
                Ok(())
            }
            Self::Check(check) => {
                let path = match &check.file {
                    Some(path) => path.clone(),
                    None => global.file()?,
                };
                config::load(&Sources { file: Some(FileSource::read(&path)?), ..Sources::default() })?;
                let checked = Checked { file: path.display().to_string(), valid: true };
                Ok(output.put(&checked, |checked| format!("{} is valid", checked.file))?)
            }
        }
    }
}
