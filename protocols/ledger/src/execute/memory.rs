//! Shared memory. Its entries are written by hand: a version, two dates and the value as it came, so that a write copies
//! it once.

use crate::{key, state::State};
use mesh_proto::{
    id::Digest,
    ledger::{Done, Entry, Expect, Index, MemoryItem, MemoryKey, Namespace, Rejection},
    limits,
    task::Octets,
    time::Wall,
};
use std::time::Duration;

const HEADER: usize = 24;

/// An entry of memory without its value.
#[derive(Clone, Copy, Debug)]
struct Head {
    version: u64,
    written: Wall,
    expires: Option<Wall>,
}

pub fn put(
    state: &mut State,
    namespace: &str,
    key: &str,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<Done, Rejection> {
    let key = key::memory(namespace, key);
    if state.is_full(key.len() + value.len()) {
        return Err(Rejection::Full);
    }
    Ok(write(state, &key, value, ttl_ms))
}

pub fn delete(state: &mut State, namespace: &Namespace, key: &MemoryKey) -> Done {
    let key = key::memory(namespace.as_str(), key.as_str());
    match head(state, &key) {
        Some(head) => erase(state, &key, head),
        None => Done::Deleted { found: false },
    }
}

pub fn compare_and_swap(
    state: &mut State,
    namespace: &Namespace,
    key: &MemoryKey,
    expect: Expect,
    value: Option<&Octets>,
    ttl_ms: Option<u64>,
) -> Result<Done, Rejection> {
    let key = key::memory(namespace.as_str(), key.as_str());
    let head = head(state, &key);
    let live = head.filter(|head| !head.is_over(state.now()));
    let agrees = match (expect, live) {
        (Expect::Absent, None) => true,
        (Expect::Version(version), Some(live)) => version == live.version,
        (Expect::Value(digest), Some(_)) => digest == value_digest(state, &key),
        (Expect::Absent, Some(_)) | (Expect::Version(_) | Expect::Value(_), None) => false,
    };
    if !agrees {
        return Err(Rejection::Mismatch { version: live.map(|live| live.version) });
    }
    match (value, head) {
        (Some(value), _) if state.is_full(key.len() + value.len()) => Err(Rejection::Full),
        (Some(value), _) => Ok(write(state, &key, value, ttl_ms)),
        (None, Some(head)) => Ok(erase(state, &key, head)),
        (None, None) => Ok(Done::Deleted { found: false }),
    }
}

/// What an entry of memory holds; none if it is no such entry.
pub fn read(entry: &Entry) -> Option<MemoryItem> {
    let head = Head::read(entry.value())?;
    let value = Octets::from(&entry.value()[HEADER..]);
    let Head { version, written, expires } = head;
    Some(MemoryItem { version, written, expires, value })
}

/// The key within its namespace.
pub fn key_of(entry: &Entry) -> Option<MemoryKey> {
    let at = entry.key().iter().position(|byte| *byte == 0)?;
    MemoryKey::new(std::str::from_utf8(&entry.key()[at + 1..]).ok()?).ok()
}

/// What `read` gives, if it has not expired.
pub fn read_live(entry: &Entry, now: Wall) -> Option<MemoryItem> {
    read(entry).filter(|item| item.expires.is_none_or(|expires| expires > now))
}

fn write(state: &mut State, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Done {
    let State { map, meta, graves, .. } = state;
    let (now, first) = (meta.time, first_version(meta.index));
    let expires = ttl_ms.map(|ms| now + Duration::from_millis(ms));
    let (mut version, mut before) = (first, None);
    map.put_with(key, |entry| {
        before = entry.and_then(|entry| Head::read(entry.value()));
        if let Some(last) = before.map(|head| head.version).or_else(|| graves.get(key).copied()) {
            version = (last + 1).max(first);
        }
        Entry::new(key, &[&Head { version, written: now, expires }.encode(), value])
    });
    if let Some(expires) = before.and_then(|head| head.expires) {
        map.remove(&key::at(key::EXPIRY, expires, key));
    }
    if let Some(expires) = expires {
        map.put(&key::at(key::EXPIRY, expires, key), &[]);
    }
    Done::Written { version }
}

fn erase(state: &mut State, key: &[u8], head: Head) -> Done {
    let found = !head.is_over(state.now());
    if let Some(expires) = head.expires {
        state.map.remove(&key::at(key::EXPIRY, expires, key));
    }
    state.map.remove(key);
    state.graves.insert(key.to_vec(), head.version);
    Done::Deleted { found }
}

/// Versions of a batch begin where no earlier batch came to, so that a key that was deleted begins above what it was,
/// and they depend on nothing but the writes of the same key.
fn first_version(index: Index) -> u64 {
    index.0.saturating_mul(limits::BATCH_COMMANDS as u64)
}

fn head(state: &State, key: &[u8]) -> Option<Head> {
    state.map.get(key).and_then(Head::read)
}

fn value_digest(state: &State, key: &[u8]) -> Digest {
    let value = state.map.get(key).and_then(|bytes| bytes.get(HEADER..)).unwrap_or_default();
    Digest::from_bytes(*blake3::hash(value).as_bytes())
}

impl Head {
    fn is_over(&self, now: Wall) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.version.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.written.0.to_be_bytes());
        // No time to live is so short that something expires at 0.
        bytes[16..].copy_from_slice(&self.expires.unwrap_or_default().0.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (version, written, expires) = (number(0)?, Wall(number(8)?), Wall(number(16)?));
        Some(Self { version, written, expires: Some(expires).filter(|expires| *expires != Wall(0)) })
    }
}
