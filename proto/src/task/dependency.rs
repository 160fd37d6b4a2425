use super::{SpecError, spec::check_path};
use crate::{bounded, id::TaskId, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A task that must have ended well before another one starts, and what that one takes of its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    #[serde(rename = "i")]
    pub task: TaskId,
    /// Laid in by whoever runs the other, before it starts. With the other files at most [`limits::TASK_FILES`].
    #[serde(
        rename = "r",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub takes: Vec<Take>,
}

/// A part of a result that becomes an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    #[serde(rename = "p")]
    pub part: Part,
    #[serde(rename = "t")]
    pub place: Place,
}

/// What of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// What it wrote to standard output.
    #[serde(rename = "o")]
    Output,
    /// One of the files that were kept, by its name.
    #[serde(rename = "f")]
    File(String),
}

/// Where an input goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Standard input, which then has no bytes of its own.
    #[serde(rename = "i")]
    Input,
    /// A file in the task's directory.
    #[serde(rename = "f")]
    File(String),
}

/// Whether no task is named twice, and no input given twice: `files` are given already, and standard input if `has_input`.
pub(super) fn check<'a>(
    after: &'a [Dependency],
    files: impl Iterator<Item = &'a str>,
    mut has_input: bool,
) -> Result<(), SpecError> {
    let too_long = |field, size, limit| Err(SpecError::TooLong { field, size, limit });
    if after.len() > limits::DEPENDENCIES {
        return too_long("dependencies", after.len(), limits::DEPENDENCIES);
    }
    let mut tasks = BTreeSet::new();
    let mut names: BTreeSet<&str> = files.collect();
    for dependency in after {
        if !tasks.insert(dependency.task) {
            return Err(SpecError::RepeatedDependency(dependency.task));
        }
        for take in &dependency.takes {
            if let Part::File(name) = &take.part {
                check_path(name)?;
            }
            match &take.place {
                Place::Input if std::mem::replace(&mut has_input, true) => return Err(SpecError::TwoInputs),
                Place::Input => {}
                Place::File(name) => {
                    check_path(name)?;
                    if !names.insert(name) {
                        return Err(SpecError::TwoFiles(name.chars().take(80).collect()));
                    }
                }
            }
        }
    }
    match names.len() {
        within if within <= limits::TASK_FILES => Ok(()),
        beyond => too_long("files", beyond, limits::TASK_FILES),
    }
}
