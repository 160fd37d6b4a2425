//! Inputs of an execution, brought to this disk.

use super::{Replicas, find};
use crate::{
    blob::{BlobStore, FetchError, Hold},
    executor::{Limits, Program as Exec, Run, Source},
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

fn no_paths() -> Box<Outcome> {
    let why = "this node does not take paths; its operator may allow them with `exec.in_place = true`";
    Box::new(Outcome::failed(FailureKind::NotAllowed, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        capability::Requirements,
        task::{ExecSpec, Priority, Status, Strategy, TaskKey},
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
}
