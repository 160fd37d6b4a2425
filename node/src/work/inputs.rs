//! Inputs of an execution, brought to this disk.

use super::{Replicas, find};
use crate::{
    blob::{BlobStore, FetchError, Hold},
    executor::{Fixed, Limits, Program as Exec, Run, Source},
};
use bytes::Bytes;
use mesh_proto::{
    id::TaskId,
    task::{FailureKind, Outcome, Payload, Program, Spec},
};
use std::{path::PathBuf, time::Duration};

/// Everything the specification names, held here until the hold is dropped.
pub async fn fetch(blobs: &BlobStore, replicas: &Replicas, spec: &Spec) -> Result<Vec<Hold>, FetchError> {
    let mut holds = Vec::new();
    for blob in spec.blobs() {
        holds.push(find::fetch(blobs, replicas, blob.id, Some(blob.size), &blob.nodes, |_| {}).await?);
    }
    Ok(holds)
}

/// What the executors need. `holds` are the specification's blobs, in its order.
pub fn run_of(task: TaskId, attempt: u32, spec: &Spec, holds: &[Hold], in_place: bool) -> Result<Run, Box<Outcome>> {
    if matches!(&spec.program, Program::Exec(exec) if exec.in_place) && !in_place {
        return Err(no_paths());
    }
    let mut paths = spec.blobs().zip(holds).map(|(_, hold)| hold.path());
    let stdin = source(&spec.input, &mut paths, in_place)?;
    let mut inputs = Vec::new();
    for file in &spec.files {
        inputs.push((file.name.clone(), source(&file.content, &mut paths, in_place)?));
    }
    let (program, outputs) = match &spec.program {
        Program::Exec(exec) => (Exec::Exec { argv: exec.argv.clone(), env: exec.env.clone() }, exec.outputs.clone()),
        Program::Wasm(wasm) => {
            let Some((blob, module)) = wasm.module.blob().zip(paths.next()) else { return Err(no_program()) };
            let fixed = wasm.deterministic.then(|| fixed(task, spec));
            let (argv, env) = (wasm.argv.clone(), wasm.env.clone());
            (Exec::Wasm { id: blob.id, module, argv, env, fixed }, wasm.outputs.clone())
        }
        Program::Worker(worker) => {
            (Exec::Worker { kind: worker.kind.clone(), argv: worker.argv.clone() }, worker.outputs.clone())
        }
        Program::Sleep { ms } => (Exec::Sleep(Duration::from_millis(*ms)), Vec::new()),
        Program::Sha256 => (Exec::Sha256, Vec::new()),
        Program::Echo | Program::Manifest { .. } => (Exec::Echo, Vec::new()),
    };
    Ok(Run {
        task,
        attempt,
        fence: u64::from(attempt),
        program,
        stdin,
        inputs,
        outputs,
        time_limit: Duration::from_millis(spec.time_limit_ms.max(1)),
        limits: Limits::default(),
    })
}

/// Of a replica only what all of its task have in common: its id, and the date on which who polled asked for it, are its own, and
/// executions that see them never agree.
fn fixed(task: TaskId, spec: &Spec) -> Fixed {
    match spec.replica_of() {
        Some((of, _)) => Fixed { task: of, born: REPLICAS_BEGIN },
        None => Fixed { task, born: Duration::from_millis(spec.born.0) },
    }
}

/// When the clocks of replicas begin, 2000-01-01: nobody of those that poll is asked for the date, who could lie.
const REPLICAS_BEGIN: Duration = Duration::from_secs(946_684_800);

fn source(
    payload: &Payload,
    paths: &mut impl Iterator<Item = PathBuf>,
    in_place: bool,
) -> Result<Source, Box<Outcome>> {
    match payload {
        Payload::Inline(bytes) if bytes.is_empty() => Ok(Source::Null),
        Payload::Inline(bytes) => Ok(Source::Inline(Bytes::copy_from_slice(bytes))),
        Payload::Path(path) if in_place => Ok(Source::File(PathBuf::from(path))),
        Payload::Path(_) => Err(no_paths()),
        Payload::Blob(blob) => paths.next().map(Source::File).ok_or_else(|| {
            Box::new(Outcome::failed(FailureKind::InputUnavailable, format!("blob {} is not here", blob.id)))
        }),
    }
}

fn no_program() -> Box<Outcome> {
    Box::new(Outcome::failed(FailureKind::InputUnavailable, "the program is not here"))
}

fn no_paths() -> Box<Outcome> {
    let why = "this node does not take paths; its operator may allow them with `exec.in_place = true`";
    Box::new(Outcome::failed(FailureKind::NotAllowed, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        capability::Requirements,
        id::NodeId,
        task::{ExecSpec, OnIsolation, Priority, Status, Strategy, TaskKey},
        time::Wall,
    };

    fn spec(in_place: bool, input: Payload) -> Spec {
        let exec = ExecSpec { argv: vec!["cat".into()], env: Vec::new(), outputs: Vec::new(), in_place };
        Spec {
            principal: "ada".into(),
            key: TaskKey::Own(b"a".to_vec()),
            born: Wall(0),
            program: Program::Exec(exec),
            input,
            files: Vec::new(),
            priority: Priority::Medium,
            time_limit_ms: 1000,
            deadline: None,
            retries: 0,
            job: None,
            unique: false,
            requirements: Requirements::default(),
            strategy: Strategy::default(),
            on_isolation: OnIsolation::default(),
            redundancy: 1,
            after: Vec::new(),
            trace: [0; 16],
        }
    }

    #[test]
    fn what_says_that_it_takes_paths_runs_only_where_that_is_allowed() {
        let path = || Payload::Path("/shared/a".into());
        let run = |spec: &Spec, in_place| run_of(TaskId::from_bytes([1; 32]), 1, spec, &[], in_place);
        assert!(run(&spec(false, Payload::empty()), false).is_ok());
        for takes_paths in [spec(true, Payload::empty()), spec(false, path()), spec(true, path())] {
            assert!(run(&takes_paths, true).is_ok());
            let refused = run(&takes_paths, false).unwrap_err();
            assert!(
                matches!(&refused.status, Status::Failed(why) if why.kind == FailureKind::NotAllowed),
                "{refused:?}"
            );
        }
    }

    /// Each is another task, asked for at another time, maybe by another node.
    #[test]
    fn replicas_of_one_task_have_the_same_chance_and_time_and_other_tasks_their_own() {
        let of = |n| TaskId::from_bytes([n; 32]);
        let replica = |of, member: u8, born| Spec {
            key: TaskKey::Replica(of, NodeId::from_bytes([member; 32])),
            born: Wall(born),
            ..spec(false, Payload::empty())
        };
        let one = fixed(of(1), &replica(of(9), 1, 1_000));
        assert_eq!(one, fixed(of(2), &replica(of(9), 2, 2_000)));
        assert_eq!(one.task, of(9));
        assert_ne!(one, fixed(of(1), &replica(of(8), 1, 1_000)));
        let alone = Spec { born: Wall(1_000), ..spec(false, Payload::empty()) };
        assert_eq!(fixed(of(1), &alone), Fixed { task: of(1), born: Duration::from_secs(1) });
    }
}
