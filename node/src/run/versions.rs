//! Which version allowed commands say that they have: each is run once at the start, as a task would run it, with
//! `--version` and nothing else.

use crate::{
    config::{Config, Versions},
    executor::{
        ExecutorConfig, ExecutorEvent, Executors, Limits, Outcome, Output, Program, Run, RunError, Source, Status,
    },
};
use bytes::Bytes;
use mesh_proto::{
    capability::{Name, Value},
    id::TaskId,
};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// For one command, and for all: the node starts without what is not known by then.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(5);

/// Where the system's own commands are, which know the word. A script of the operator's may do its work instead.
const SYSTEM: [&str; 2] = ["/bin", "/usr/bin"];

/// By the name of each command that says one.
pub async fn versions(config: &Config, executors: &ExecutorConfig) -> BTreeMap<String, Value> {
    let Some(exec) = &executors.exec else { return BTreeMap::new() };
    let commands: Vec<String> = exec
        .allowed
        .commands()
        .filter(|(_, file)| match config.capabilities.versions {
            Versions::None => false,
            Versions::System => {
                file.parent().is_some_and(|parent| SYSTEM.iter().any(|system| parent == Path::new(system)))
            }
            Versions::All => true,
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    if commands.is_empty() {
        return BTreeMap::new();
    }
    let (events, mut ended) = mpsc::channel(commands.len().max(1));
    // Not where tasks run: what a command that hangs leaves is still being cleared away when the first of them start.
    let directory = executors.directory.with_file_name("versions");
    let executors = match Executors::start(ExecutorConfig { directory, ..executors.clone() }, events) {
        Ok(executors) => executors,
        Err(error) => {
            // Whoever starts them for good says so.
            tracing::debug!(%error, "no command was asked for its version");
            return BTreeMap::new();
        }
    };
    let until = Instant::now() + PATIENCE_FOR_ALL;
    let (mut found, mut under_way) = (BTreeMap::new(), 0);
    for (number, command) in commands.iter().enumerate() {
        while under_way >= executors.slots() {
            if !hear(&commands, &mut ended, until, &mut found).await {
                return found;
            }
            under_way -= 1;
        }
        match executors.run(asked(number, command)) {
            Ok(None) => under_way += 1,
            Ok(Some(outcome)) => note(command, &outcome, &mut found),
            Err(RunError::Busy { .. } | RunError::Duplicate { .. }) => {}
        }
    }
    while under_way > 0 && hear(&commands, &mut ended, until, &mut found).await {
        under_way -= 1;
    }
    found
}

/// Waits for the end of one. False: for no longer.
async fn hear(
    commands: &[String],
    ended: &mut mpsc::Receiver<ExecutorEvent>,
    until: Instant,
    found: &mut BTreeMap<String, Value>,
) -> bool {
    loop {
        match tokio::time::timeout_at(until, ended.recv()).await {
            Ok(Some(ExecutorEvent::Finished { attempt, outcome, .. })) => {
                if let Some(command) = usize::try_from(attempt).ok().and_then(|at| commands.get(at)) {
                    note(command, &outcome, found);
                }
                return true;
            }
            Ok(Some(ExecutorEvent::Started { .. })) => {}
            Ok(None) | Err(_) => {
                tracing::warn!(
                    "commands were asked for their version, and not all have answered within {PATIENCE_FOR_ALL:?}"
                );
                return false;
            }
        }
    }
}

fn asked(number: usize, command: &str) -> Run {
    Run {
        task: TaskId::from_bytes([0; 32]),
        attempt: u32::try_from(number).unwrap_or(u32::MAX),
        fence: 0,
        program: Program::Exec { argv: vec![command.to_owned(), "--version".into()], env: Vec::new() },
        stdin: Source::Null,
        inputs: Vec::new(),
        outputs: Vec::new(),
        time_limit: PATIENCE,
        limits: Limits {
            output_bytes: 64 << 10,
            file_bytes: 64 << 10,
            total_file_bytes: 64 << 10,
            ..Limits::default()
        },
    }
}

fn note(command: &str, outcome: &Outcome, found: &mut BTreeMap<String, Value>) {
    let said = match (&outcome.status, &outcome.stdout, &outcome.stderr) {
        (Status::Exit(0), Output::Inline(text), _) if !text.is_empty() => text,
        (Status::Exit(0), _, Output::Inline(text)) => text,
        _ => return,
    };
    if let Some(version) = version(command, said) {
        found.insert(command.to_owned(), version);
    }
}

/// In the first line, the first word that begins as a version does: `ffmpeg version 6.1.1-3ubuntu5`, `sort (GNU coreutils)
/// 9.1`, `Python 3.11.2`, `jq-1.6`, `go version go1.21`, `tool v2.0`.
fn version(command: &str, said: &Bytes) -> Option<Value> {
    let text = String::from_utf8_lossy(said);
    let name = Name::tool(command).ok()?;
    let mut words = text.lines().next()?.split(|letter: char| letter.is_whitespace() || "(),;/-".contains(letter));
    words.find_map(|word| {
        let word = word.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let numbers: Vec<&str> = word.split('.').take_while(number).take(3).collect();
        // A single number may be anything: a year, a width.
        if numbers.len() < 2 { None } else { Value::parse(&name, &numbers.join(".")).ok() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_commands_say() {
        for (said, expected) in [
            ("sort (GNU coreutils) 9.1\nCopyright (C) 2022", Some("9.1")),
            ("ffmpeg version 6.1.1-3ubuntu5 Copyright (c) 2000-2023", Some("6.1.1")),
            ("Python 3.11.2\n", Some("3.11.2")),
            ("jq-1.6\n", Some("1.6")),
            ("go version go1.21.3 linux/amd64", Some("1.21.3")),
            ("tool v2.0", Some("2.0")),
            ("Chromium 120.0.6099.129 built on Debian", Some("120.0.6099")),
            ("usage: thing [2024]", None),
            ("", None),
            ("\nthe second line 1.2", None),
        ] {
            let found = version("sort", &Bytes::from_static(said.as_bytes())).map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{said}");
        }
    }
}
