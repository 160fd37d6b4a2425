//! What can be said of a command without the state. Asked before ordering, so that the user hears at once; asked again
//! when a command is executed, so that a committee with a broken member in front does not differ about it.

use crate::json::{self, Value};
use mesh_proto::{
    ledger::{Body, Change, Command, Electorate, Propose},
    limits,
};
use std::collections::BTreeSet;

/// Why a command is not worth ordering. The user's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("the command's key is empty")]
    NoKey,
    #[error("the body of a proposal must be a JSON object that says something")]
    Body,
    #[error("`{name}` needs a text that says {what}")]
    Missing { name: &'static str, what: &'static str },
    #[error("`consensus_threshold` must be more than 0 and at most 1")]
    Threshold,
    #[error("{what} of {ms} ms: must be {least} to {most} ms")]
    Duration { what: &'static str, ms: u64, least: u64, most: u64 },
    #[error("{rounds} rounds: must be 1 to {MOST_ROUNDS}")]
    Rounds { rounds: u16 },
    #[error("an electorate of {0}: must be 1 to {max}", max = limits::ELECTORATE)]
    Electorate(usize),
    #[error("a committee of {0}: must be 1 to {max}", max = limits::FOUNDERS)]
    Committee(u8),
    #[error("a seat in the committee is of a disk: name its store")]
    NoStore,
    #[error("versions begin at 1")]
    Version,
    #[error("evidence without anything in it")]
    NoEvidence,
}

/// A lease: time to hear of it and to renew it, and not so long that a dead holder blocks for good.
pub const LEASE_MS: (u64, u64) = (100, 24 * 60 * 60 * 1000);
/// A round of votes: time to hear of it, and at most 30 days.
pub const ROUND_MS: (u64, u64) = (100, 30 * 24 * 60 * 60 * 1000);
/// How long memory may be kept that is not kept for ever: ten years.
pub const TTL_MS: (u64, u64) = (1, 3653 * 24 * 60 * 60 * 1000);
pub const MOST_ROUNDS: u16 = 100;

/// Checks shapes and sizes. Signatures are checked by `Checked::check`.
pub fn validate(command: &Command) -> Result<(), Invalid> {
    if command.id.key.is_empty() {
        return Err(Invalid::NoKey);
    }
    match &command.body {
        Body::Propose(propose) => proposal(propose),
        Body::MemoryPut { ttl_ms, .. } | Body::MemoryCompareAndSwap { ttl_ms, .. } => put(&command.id.key, *ttl_ms),
        Body::Award { lease_ms, .. } | Body::Lock { lease_ms, .. } | Body::Renew { lease_ms, .. } => {
            duration("a lease", *lease_ms, LEASE_MS)
        }
        Body::Motion(motion) => change(&motion.unverified().change),
        Body::ActivateVersion(0) => Err(Invalid::Version),
        Body::Support(support) if support.unverified().version == 0 => Err(Invalid::Version),
        Body::Evidence(evidence) if evidence.proof.is_empty() => Err(Invalid::NoEvidence),
        Body::Vote(_)
        | Body::Close(_)
        | Body::MemoryDelete { .. }
        | Body::Admit(_)
        | Body::Evidence(_)
        | Body::Support(_)
        | Body::ActivateVersion(_)
        | Body::Unlock { .. }
        | Body::Tick => Ok(()),
    }
}

/// A write to memory, of a command with this key.
pub fn put(key: &[u8], ttl_ms: Option<u64>) -> Result<(), Invalid> {
    match (key.is_empty(), ttl_ms) {
        (true, _) => Err(Invalid::NoKey),
        (false, Some(ms)) => duration("a time to live", ms, TTL_MS),
        (false, None) => Ok(()),
    }
}

fn proposal(propose: &Propose) -> Result<(), Invalid> {
    duration("a round", propose.round_ms, ROUND_MS)?;
    if propose.rounds == 0 || propose.rounds > MOST_ROUNDS {
        return Err(Invalid::Rounds { rounds: propose.rounds });
    }
    if let Electorate::Ids(ids) = &propose.electorate
        && (ids.is_empty() || ids.len() > limits::ELECTORATE)
    {
        return Err(Invalid::Electorate(ids.len()));
    }
    body(&propose.body)
}

/// A proposal says what it likes, but what has a meaning to programs must have its shape.
fn body(text: &str) -> Result<(), Invalid> {
    let entries = json::object(text).filter(|entries| !entries.is_empty()).ok_or(Invalid::Body)?;
    let find = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.value);
    // Two readers that take another one of two equal names would act differently; and what is escaped is equal unseen.
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name).filter(|name| !name.contains('\\')).collect();
    if names.len() < entries.len() {
        return Err(Invalid::Body);
    }
    let says = |name, what| match find(name) {
        Some(Value::Text(text)) if !text.trim().is_empty() => Ok(()),
        Some(Value::Text(_) | Value::Number(_) | Value::Other) | None => Err(Invalid::Missing { name, what }),
    };
    if find("task_assignment").is_some() || find("assigned_to").is_some() {
        says("task_assignment", "what is assigned")?;
        says("assigned_to", "to whom")?;
    }
    match find("consensus_threshold") {
        None => Ok(()),
        Some(Value::Number(number)) if is_share(number) => Ok(()),
        Some(Value::Number(_) | Value::Text(_) | Value::Other) => Err(Invalid::Threshold),
    }
}

/// Whether a number is more than 0 and at most 1, as it is written: `1`, `1.0`, `0.67`.
fn is_share(number: &str) -> bool {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nothing = fraction.bytes().all(|byte| byte == b'0');
    digits && matches!((whole, nothing), ("0", false) | ("1", true))
}

fn change(change: &Change) -> Result<(), Invalid> {
    match change {
        Change::CommitteeAuto(auto) if auto.max == 0 || usize::from(auto.max) > limits::FOUNDERS => {
            Err(Invalid::Committee(auto.max))
        }
        Change::CommitteeAdd(seat) if seat.store.is_none() => Err(Invalid::NoStore),
        Change::CommitteeAuto(_)
        | Change::CommitteeAdd(_)
        | Change::CommitteeRemove(_)
        | Change::Revoke(_)
        | Change::InviterAdd { .. }
        | Change::InviterRemove(_) => Ok(()),
    }
}

fn duration(what: &'static str, ms: u64, (least, most): (u64, u64)) -> Result<(), Invalid> {
    match (least..=most).contains(&ms) {
        true => Ok(()),
        false => Err(Invalid::Duration { what, ms, least, most }),
    }
}
