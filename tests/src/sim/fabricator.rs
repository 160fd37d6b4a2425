//! Members that lie about what came of what they ran, all of them alike, and about what others said of it.

use super::dice::Dice;
use mesh_proto::{
    id::{Digest, NetworkId, TaskId},
    key::SecretKey,
    limits,
    task::{Count, FailureKind, Item, Outcome, Payload, Sealable, Sealed, Status},
};
use std::sync::Arc;

/// How many of a world's first members there are: in most worlds none, never more than two.
pub fn draw(seed: u64) -> usize {
    *Dice::new(seed, 14).pick(&[0, 0, 0, 1, 1, 2])
}

/// What a program of this task writes.
pub fn truth(of: &TaskId) -> Payload {
    Payload::Inline(of.as_bytes()[..8].to_vec().into())
}

fn lie() -> Payload {
    Payload::Inline(vec![0xff; 8].into())
}

/// What one member says of its replica.
pub fn said_of(of: &TaskId, is_fabricator: bool, outcome: Outcome) -> Outcome {
    let stdout = if is_fabricator { lie() } else { truth(of) };
    if outcome.is_success() { Outcome { stdout, ..outcome } } else { outcome }
}

/// Puts a count of its own in the place of what is true, now and then. Whether it did.
pub fn forge(
    item: &mut Item,
    keys: &[&SecretKey],
    network: &NetworkId,
    work: impl Fn(&TaskId) -> Option<Digest>,
    dice: &mut Dice,
) -> bool {
    let Item::Report { task, outcome, .. } = item else { return false };
    if outcome.count.is_none() || !dice.chance(400) {
        return false;
    }
    if let Some(Count { asked, said }) = outcome.count.as_ref().filter(|_| dice.chance(250)) {
        // All that is counted is true, and more are to have been asked: so many that those who agree are no majority.
        let count = Count { asked: asked.saturating_mul(2), said: said.clone() };
        let undecided = Outcome { count: Some(count), ..Outcome::failed(FailureKind::NoMajority, "") };
        *outcome = Arc::new(undecided);
        return true;
    }
    let Some(work) = work(task) else { return false };
    let of = Sealable { task: *task, work };
    let lie = Outcome { status: Status::Exit(0), stdout: lie(), ..Outcome::failed(FailureKind::Lost, "") };
    let said = keys.iter().filter_map(|key| {
        let mut said = lie.clone();
        said.seal(key, network, &of);
        said.sealed(network, &of, key.node_id())
    });
    let mut said: Vec<_> = said.collect();
    // One of them may be two, or in the name of somebody who said something else.
    let honest = outcome.count.iter().flat_map(|count| &count.said).copied();
    let twisted = honest.map(|one| Sealed { result: lie.result(), ..one });
    match dice.below(3) {
        0 => said.extend(twisted),
        1 => said.extend(said.clone()),
        _ => {}
    }
    said.truncate(limits::REPLICAS);
    let asked = u8::try_from(said.len()).unwrap_or(u8::MAX);
    *outcome = Arc::new(Outcome { count: Some(Count { asked, said }), ..lie });
    true
}
