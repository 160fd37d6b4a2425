//! Outputs of an execution, durable where the outcome says before anybody hears of it.

use super::{Replicas, outcome};
use crate::{
    blob::{BlobError, BlobStore, Ingested, Take},
    executor::{Outcome as Ran, Output},
};
use std::time::Duration;

use mesh_proto::task::{BlobRef, Octets, Outcome, Payload};

/// How often a copy is tried for again, and after what pause.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Why outputs are not durable.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("on {copies} of the {wanted} disks that they must be on")]
    TooFewCopies { copies: usize, wanted: usize },
}

/// Keeps what does not fit into the record as blobs, on this disk and on others.
pub async fn keep(blobs: &BlobStore, replicas: &Replicas, ran: &Ran) -> Result<Outcome, KeepError> {
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
) -> Result<Payload, KeepError> {
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
    let mut nodes = replicas.spread(blobs, id).await;
    // Accepted results have their copies; a mesh that cannot take them now may in a moment.
    for _ in 0..TRIES {
        if nodes.len() >= replicas.wanted() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        nodes = replicas.spread(blobs, id).await;
    }
    if nodes.len() < replicas.wanted() {
        return Err(KeepError::TooFewCopies { copies: nodes.len(), wanted: replicas.wanted() });
    }
    Ok(Payload::Blob(BlobRef { id, size, nodes }))
}
