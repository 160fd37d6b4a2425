//! Counting what several executors say of one task, by whoever wants to know.

use super::draw::{Drawable, Drawn, draw};
use mesh_proto::{
    id::{Digest, NetworkId, NodeId, TaskId},
    limits,
    task::{Count, FailureKind, Outcome, Sealable, Sealed, Spec, Status},
};
use std::collections::{BTreeMap, BTreeSet};

/// Why a result is not that of a majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    #[error("nobody's result was counted")]
    Nobody,
    #[error("{0} is counted twice")]
    Twice(NodeId),
    #[error("what {0} is to have said is not signed by it")]
    Forged(NodeId),
    #[error("without {0}, who is not drawn for it now, they are no majority")]
    NotDrawn(NodeId),
    #[error("{agree} of {asked} agree on it")]
    Minority { agree: usize, asked: usize },
    #[error("{asked} are to have been asked, above the limit of {}", limits::REPLICAS)]
    TooMany { asked: usize },
    #[error(
        "of {said} that said something, where {wanted} were to, {most} said the same: that is no want of a majority"
    )]
    Undecided { most: usize, said: usize, wanted: usize },
}

/// How many said the same, most first. Of as many, the one whose digest is first.
pub fn tally<'a>(all: impl Iterator<Item = &'a Sealed>) -> Option<(Digest, usize)> {
    let mut counts: BTreeMap<Digest, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one.result).or_default() += 1);
    counts.into_iter().max_by(|(one, count), (other, than)| count.cmp(than).then(other.cmp(one)))
}

/// Whether executors of whom `said` said something, at most `most` of them the same, are at odds for good. By those that say
/// something alone: of how many were asked nobody but who polls knows, and he made three that agree a tie by claiming six.
pub(super) fn is_none(most: usize, said: usize, redundancy: usize) -> bool {
    said >= redundancy && most * 2 <= said
}

/// Whether `outcome`, of a task for several executors, is what most of those did that were drawn for it, by what the caller
/// knows of the members. It trusts nobody's word on it: each result is signed, and those that signed are among the first by lot
/// of all that are able, or of those that can be reached; and they are a majority of as many of these as were asked, whether
/// the others said something or not. Who counts can leave out what he does not like, but gains nothing by it. Members come and
/// go meanwhile: the word of one who is not drawn now counts for nothing, and those that are drawn now may be enough.
pub fn verify<'a>(
    network: &NetworkId,
    of: &TaskId,
    spec: &Spec,
    outcome: &Outcome,
    members: impl IntoIterator<Item = Drawable<'a>>,
) -> Result<(), CountError> {
    let Some(Count { asked, said }) = &outcome.count else { return Err(CountError::Nobody) };
    if said.is_empty() {
        return Err(CountError::Nobody);
    }
    let wanted = usize::from(spec.redundancy);
    // Who claims that he asked more needs more that agree.
    let asked = usize::from(*asked).max(said.len()).max(wanted);
    if asked > limits::REPLICAS {
        return Err(CountError::TooMany { asked });
    }
    let of_work = Sealable { task: *of, work: spec.work() };
    let mut who = BTreeSet::new();
    for one in said {
        if !who.insert(one.node) {
            return Err(CountError::Twice(one.node));
        }
        one.verify(network, &of_work).map_err(|_| CountError::Forged(one.node))?;
    }
    let order = draw(of, &spec.requirements, members);
    let first = |reached_only: bool| -> BTreeSet<NodeId> {
        // What one has may have changed since it ran it, and that it can be reached.
        let may_be_asked = |one: &&Drawn| one.able && (!reached_only || one.connected) || who.contains(&one.node);
        order.iter().filter(may_be_asked).take(asked).map(|one| one.node).collect()
    };
    let is_none_agreed = matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::NoMajority);
    let result = outcome.result();
    let judge = |drawn: &BTreeSet<NodeId>| {
        let heard = || said.iter().filter(|one| drawn.contains(&one.node));
        if is_none_agreed {
            let (most, said) = (tally(heard()).map_or(0, |(_, most)| most), heard().count());
            return if is_none(most, said, wanted) {
                Ok(())
            } else {
                Err(CountError::Undecided { most, said, wanted })
            };
        }
        let agree = heard().filter(|one| one.result == result).count();
        if agree * 2 > asked { Ok(()) } else { Err(CountError::Minority { agree, asked }) }
    };
    let (all, reached) = (first(false), first(true));
    let stranger = who.iter().find(|node| !all.contains(node) && !reached.contains(node));
    let judged = judge(&all).or_else(|_| judge(&reached));
    judged.map_err(|error| stranger.map_or(error, |stranger| CountError::NotDrawn(*stranger)))
}
