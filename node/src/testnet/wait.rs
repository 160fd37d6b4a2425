//! Waiting for nodes by what they say of themselves.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Gateways, TestnetError};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of a log that an error shows.
const TAIL: usize = 4096;

/// How a node ended, if it has, and what it logged.
type Ended<'a> = &'a mut dyn FnMut(usize) -> (Option<String>, String);

/// Waits until the node at place `at` of `gateways` is ready and reaches `wanted` members, itself included.
pub(super) async fn whole(
    gateways: &Gateways,
    at: usize,
    node: usize,
    wanted: u32,
    until: Instant,
    patience: Duration,
    ended: Ended<'_>,
) -> Result<(), TestnetError> {
    loop {
        let why = match gateways.status(at).await {
            Ok(status) if status.ready && status.reachable >= wanted => return Ok(()),
            Ok(status) if status.ready => {
                format!("it reaches {} of {wanted} members and knows {}", status.reachable, status.members)
            }
            Ok(status) => format!("it is not ready: {}", status.reasons.join("; ")),
            Err(error) => error.to_string(),
        };
        pause(node, why, until, patience, ended).await?;
    }
}

/// Waits until the only node of `gateways` answers.
pub(super) async fn answers(
    gateways: &Gateways,
    node: usize,
    until: Instant,
    patience: Duration,
    ended: Ended<'_>,
) -> Result<(), TestnetError> {
    while let Err(error) = gateways.status(0).await {
        pause(node, error.to_string(), until, patience, ended).await?;
    }
    Ok(())
}

/// Waits a little, unless there is nothing to wait for any more.
async fn pause(
    node: usize,
    why: String,
    until: Instant,
    patience: Duration,
    ended: Ended<'_>,
) -> Result<(), TestnetError> {
    let (status, log) = ended(node);
    if let Some(status) = status {
        return Err(TestnetError::Ended { node, status, log });
    }
    if Instant::now() > until {
        return Err(TestnetError::TimedOut { node, seconds: patience.as_secs(), why, log });
    }
    tokio::time::sleep(LOOK).await;
    Ok(())
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let bytes = match std::fs::read(log) {
        Ok(bytes) => bytes,
        Err(error) => return format!("({}: {error})", log.display()),
    };
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL)..]).into_owned();
    match (bytes.len() > TAIL, text.split_once('\n')) {
        (true, Some((_, whole_lines))) => whole_lines.to_owned(),
        _ => text,
    }
}
