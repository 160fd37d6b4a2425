mod basics;
mod crash;
mod faults;
mod model;
mod random;
mod real;
mod rot;

use super::{
    LogConfig, LogError, NewLog, Opened,
    sim_disk::{Mount, SimDisk},
};
use mesh_proto::id::{LogPosition, StoreId};

const NEW: NewLog = NewLog { store_id: StoreId(0xfeed), salt: 0x5a17 };

fn small() -> LogConfig {
    LogConfig { segment_size: 4096, free_segments: 2 }
}

fn open(disk: &SimDisk) -> Result<Opened<Mount>, LogError> {
    super::Log::open(disk.mount(), &small(), NEW)
}

/// All records after a position; checks that the positions have no gap.
fn contents<D: super::Disk>(log: &super::Log<D>, after: LogPosition) -> Result<Vec<Vec<u8>>, LogError> {
    let mut found = Vec::new();
    let mut expected = after.next();
    let last = log.replay(after, |position, record| {
        assert_eq!(position, expected);
        expected = expected.next();
        found.push(record.to_vec());
        Ok::<(), LogError>(())
    })?;
    assert_eq!(last.next(), expected);
    Ok(found)
}

/// A record that no other number or length gives.
fn record(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ len as u64;
    for chunk in bytes.chunks_mut(8) {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    bytes
}
