//! Proposals and votes, each vote signed with the key of its voter.

use super::{Patrons, Wish, command};
use crate::sim::{
    check::{Rule, Violation, agreed::Ballots},
    client::Reach,
    count::Count,
};
use mesh_proto::{
    agreement::Operation,
    id::NodeId,
    ledger::{Body, Choice, Done, Electorate, Outcome, ProposalId, Propose, Rejection, SignedVote, Threshold, Vote},
};

#[derive(Clone, Debug)]
pub enum Poll {
    Propose,
    Vote { proposal: ProposalId, round: u16, voter: NodeId, choice: Choice },
    Close { proposal: ProposalId, owns: bool },
}

/// A proposal that somebody was told the id of.
#[derive(Clone, Copy)]
pub struct Known {
    proposal: ProposalId,
    principal: u64,
}

/// Later ones take the place of earlier ones.
const KNOWN: usize = 3;

impl Poll {
    /// From now on it may count.
    pub fn begins(&self, ballots: &mut Ballots) {
        match self {
            Self::Propose | Self::Close { owns: false, .. } => {}
            Self::Vote { proposal, round, voter, choice } => ballots.casts(*proposal, *round, *voter, *choice),
            Self::Close { proposal, owns: true } => ballots.closes(*proposal),
        }
    }
}

impl Patrons {
    /// In some worlds something is put to the vote, and voted on, now and then.
    pub(super) fn draw_poll(&mut self, principal: u64, want: u32) -> Option<(Wish, Operation)> {
        if !self.polls || !self.more.chance(250) {
            return None;
        }
        let is_known = !self.open_polls.is_empty();
        let (poll, principal, body) = match self.more.below(12) {
            0 | 1 => (Poll::Propose, principal, self.propose()),
            2 if is_known => {
                let Known { proposal, principal: proposer } = *self.more.pick(&self.open_polls);
                // Another's is not his to close.
                let by = if self.more.chance(200) { principal } else { proposer };
                (Poll::Close { proposal, owns: by == proposer }, by, Body::Close(proposal))
            }
            _ if is_known => {
                let (poll, body) = self.vote();
                (poll, principal, body)
            }
            _ => (Poll::Propose, principal, self.propose()),
        };
        Some((Wish::Poll(poll), command(principal, want, body)))
    }

    /// What is put to the vote.
    pub fn proposals(&self) -> Vec<ProposalId> {
        self.open_polls.iter().map(|known| known.proposal).collect()
    }

    fn propose(&mut self) -> Body {
        let electorate = match self.more.below(3) {
            0 => Electorate::Committee,
            _ => Electorate::Ids(self.nodes.iter().copied().take(self.more.range(1..=5) as usize).collect()),
        };
        let threshold =
            *self.more.pick(&[Threshold::DEFAULT, Threshold::DEFAULT, Threshold::new(10_000).expect("a share")]);
        let round_ms = self.more.spread(2_000..=60_000);
        let rounds = *self.more.pick(&[1, 1, 2]);
        let (title, body) = ("a change".parse().expect("a title"), r#"{"what":"a change"}"#.to_owned());
        Body::Propose(Propose { title, body, electorate, threshold, round_ms, rounds })
    }

    fn vote(&mut self) -> (Poll, Body) {
        let proposal = self.more.pick(&self.open_polls).proposal;
        // Mostly one of the electorate.
        let key = &self.keys_of_nodes[self.more.below(self.keys_of_nodes.len().min(5))];
        let choice = *self.more.pick(&[Choice::Approve, Choice::Approve, Choice::Reject, Choice::Abstain]);
        let round = if self.more.chance(850) { 1 } else { 2 };
        let signed = SignedVote::cast(key, &self.network, Vote { proposal, round, choice });
        (Poll::Vote { proposal, round, voter: signed.voter, choice }, Body::Vote(signed))
    }

    pub(super) fn poll(
        &mut self,
        want: u32,
        poll: &Poll,
        outcome: &Outcome,
        reach: &mut Reach<'_>,
    ) -> Result<(), Violation> {
        let ballots = &mut reach.checks.agreed.ballots;
        let (count, is_decided) = match (poll, outcome) {
            (Poll::Propose, Outcome::Done(Done::Proposed(proposal))) => {
                let principal = super::claims::principal_of(&self.wants[want as usize].operation);
                if self.open_polls.len() == KNOWN {
                    self.open_polls.remove(0);
                }
                self.open_polls.push(Known { proposal: *proposal, principal });
                (Count::RanProposed, false)
            }
            (Poll::Vote { proposal, .. } | Poll::Close { proposal, owns: true }, Outcome::Done(Done::Voted(state))) => {
                (Count::RanVoted, ballots.told(*proposal, *state)?)
            }
            (
                Poll::Vote { .. },
                Outcome::Rejected(
                    Rejection::Decided
                    | Rejection::WrongRound { .. }
                    | Rejection::NotElector
                    | Rejection::AlreadyVoted
                    | Rejection::Unknown,
                ),
            )
            | (Poll::Close { owns: false, .. }, Outcome::Rejected(Rejection::NotOwner))
            | (Poll::Close { .. }, Outcome::Rejected(Rejection::Decided | Rejection::Unknown)) => {
                (Count::RanNotVoted, false)
            }
            _ => return Err(Violation::new(Rule::ExactlyOnce, format!("{poll:?} came to {outcome:?}"))),
        };
        reach.counts.add(count);
        if is_decided {
            reach.counts.add(Count::RanDecided);
        }
        Ok(())
    }
}
