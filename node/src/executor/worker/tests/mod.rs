mod handle;
mod registry;

use super::{Job, Registration, WorkerId};
use crate::executor::run::{Limits, Program, Run, Source};
use mesh_proto::{capability::Capabilities, id::TaskId};
use std::{sync::Arc, time::Duration};

pub fn task(number: u8) -> TaskId {
    TaskId::from_bytes([number; 32])
}

pub fn id(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

/// For a worker of this kind, within ten seconds.
pub fn run(number: u8, kind: &str) -> Run {
    Run {
        task: task(number),
        attempt: 1,
        fence: 1,
        program: Program::Worker { kind: kind.parse().unwrap(), argv: vec!["--fast".into()] },
        stdin: Source::Inline("some words".into()),
        inputs: vec![("data/a".into(), Source::Inline("a".into()))],
        outputs: vec!["out/b".into()],
        time_limit: Duration::from_secs(10),
        limits: Limits { free_bytes: 0, ..Limits::default() },
    }
}

pub fn job(number: u8, kind: &str) -> Arc<Job> {
    Arc::new(Job { run: run(number, kind), kind: kind.parse().unwrap(), argv: Vec::new() })
}

/// Of these kinds, with so many places.
pub fn registration(kinds: &[&str], concurrency: u32) -> Registration {
    Registration {
        name: "w".into(),
        kinds: kinds.iter().map(|kind| kind.parse().unwrap()).collect(),
        capabilities: Capabilities::default(),
        concurrency,
    }
}

pub fn bringing(capabilities: &[&str], kind: &str) -> Registration {
    let capabilities = Capabilities::parse(capabilities.iter().copied()).unwrap();
    Registration { capabilities, ..registration(&[kind], 1) }
}
