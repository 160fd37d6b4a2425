//! Outputs of an execution, durable where the outcome says before anybody hears of it.

use super::{Replicas, outcome};
use crate::{
    blob::{BlobError, BlobStore, Ingested, Take},
    executor::{Outcome as Ran, Output},
};
use mesh_proto::task::{BlobRef, Octets, Outcome, Payload};

/// Keeps what does not fit into the record as blobs, on this disk and on others.
pub async fn keep(blobs: &BlobStore, replicas: &Replicas, ran: &Ran) -> Result<Outcome, BlobError> {
    let mut room = outcome::INLINE_TOTAL;
    let stdout = keep_one(blobs, replicas, &ran.stdout, &mut room).await?;
    let stderr = keep_one(blobs, replicas, &ran.stderr, &mut room).await?;
    let mut files = Vec::new();
    for (name, output) in &ran.files {
        files.push((name.clone(), keep_one(blobs, replicas, output, &mut room).await?));
    }
    Ok(outcome::outcome(ran, stdout, stderr, files))
}

async fn keep_one(
    blobs: &BlobStore,
    replicas: &Replicas,
    output: &Output,
    room: &mut usize,
) -> Result<Payload, BlobError> {
    if let Some(Payload::Inline(bytes)) = outcome::inline(output)
        && bytes.len() <= *room
    {
        *room -= bytes.len();
        return Ok(Payload::Inline(bytes));
    }
    let Ingested { id, size, .. } = match output {
        Output::Inline(bytes) => blobs.ingest(bytes.as_ref(), Some(bytes.len() as u64)).await?,
        // Copied and not moved: the outcome owns its directory, and a failure here must leave it whole.
        Output::File { path, len, .. } if *len > 0 => blobs.ingest_file(path.clone(), Take::Copy).await?,
        Output::File { .. } => return Ok(Payload::Inline(Octets::default())),
    };
    let nodes = replicas.spread(blobs, id).await;
    Ok(Payload::Blob(BlobRef { id, size, nodes }))
}
