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
        Payload::Path(_) => {
            let why = "this node does not take paths; its operator may allow them with `exec.in_place = true`";
            Err(Box::new(Outcome::failed(FailureKind::NotAllowed, why)))
        }
        Payload::Blob(blob) => paths.next().map(Source::File).ok_or_else(|| {
            Box::new(Outcome::failed(FailureKind::InputUnavailable, format!("blob {} is not here", blob.id)))
        }),
    }
}
