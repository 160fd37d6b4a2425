//! What meshd and a guard say to each other: frames of a length (4 bytes, little-endian) and CBOR, over a socket pair.
//! Both ends are the same binary, so the form has no version.

use super::outcome::{Level, Status};
use super::run::Limits;
use mesh_proto::codec::{self, DecodeError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// Above the largest order: arguments, inline input, and the names of 2,048 files.
pub const MAX_FRAME: usize = 8 << 20;
/// Output up to this size travels in the report, and later in the task's record.
pub const INLINE_BYTES: usize = 16 << 10;
/// Of all named outputs in one report.
pub const INLINE_FILES_BYTES: usize = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
pub enum ToGuard {
    Run(Box<Order>),
    /// The lease runs anew from the arrival.
    Renew,
    /// `SIGTERM`, and `SIGKILL` after the grace.
    Cancel,
}

/// One command to run, checked by meshd.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// Set apart for the command; the guard makes and removes it.
    pub work: PathBuf,
    /// Made by the guard when something must be kept in files; taken over by meshd.
    pub out: PathBuf,
    pub program: PathBuf,
    pub argv: Vec<String>,
    /// `NAME=value`, complete.
    pub env: Vec<String>,
    pub stdin: Content,
    pub inputs: Vec<(String, Content)>,
    pub outputs: Vec<String>,
    pub time_limit_us: u64,
    pub lease_us: u64,
    pub grace_us: u64,
    pub limits: Limits,
}

/// Bytes that a command is given.
#[derive(Debug, Serialize, Deserialize)]
pub enum Content {
    Null,
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    File(PathBuf),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum FromGuard {
    /// The guard is ready for orders. `pid` is meshd's name for it, `fence` the version of Landlock around its commands.
    Ready {
        pid: i32,
        level: Level,
        fence: Option<u32>,
    },
    /// This level cannot be had here.
    Unsupported {
        error: String,
    },
    /// The command runs and did not end at once.
    Running,
    Report(Box<Report>),
}

/// The end of a command; nothing of it runs any more.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub status: Status,
    pub stdout: Kept,
    pub stderr: Kept,
    pub files: Vec<(String, Kept)>,
    pub cpu_us: u64,
    pub wall_us: u64,
    pub max_rss_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Kept {
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A file of that name in the directory `out`.
    File {
        name: String,
        len: u64,
        truncated: bool,
    },
}

/// A frame, ready to write.
pub fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = codec::encode_into(vec![0; 4], message);
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Takes the first whole frame out of `buffer`; `None` when there is none yet.
pub fn take<T: DeserializeOwned>(buffer: &mut Vec<u8>) -> Result<Option<T>, DecodeError> {
    let Some((head, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*head) as usize;
    if length > MAX_FRAME {
        return Err(DecodeError::TooLarge { size: length, limit: MAX_FRAME });
    }
    if rest.len() < length {
        return Ok(None);
    }
    let message = codec::decode(&rest[..length], MAX_FRAME)?;
    buffer.drain(..4 + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut bytes = frame(&ToGuard::Renew);
        bytes.extend(frame(&ToGuard::Cancel));
        let mut buffer = Vec::new();
        let mut taken = Vec::new();
        for byte in bytes {
            buffer.push(byte);
            taken.extend(take::<ToGuard>(&mut buffer).unwrap());
        }
        assert!(matches!(taken[..], [ToGuard::Renew, ToGuard::Cancel]));
        assert!(buffer.is_empty());
        assert!(take::<ToGuard>(&mut vec![255; 8]).is_err());
    }
}
