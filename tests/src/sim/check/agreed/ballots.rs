use crate::sim::check::{Rule, Violation};
use mesh_ledger::Ledger;
use mesh_proto::{
    id::{NetworkId, NodeId},
    ledger::{Choice, Decision, Proposal, ProposalId, ProposalState, Query, Row, Standing, Tally},
};
use std::collections::{BTreeMap, BTreeSet};

/// What was put to the vote, who voted how, and what users were told of it.
#[derive(Default)]
pub struct Ballots {
    /// Signed by their voters.
    cast: BTreeSet<(ProposalId, u16, NodeId, Choice)>,
    /// Whose proposers have wanted to close them.
    closed: BTreeSet<ProposalId>,
    decided: BTreeMap<ProposalId, ProposalState>,
}

impl Ballots {
    /// A voter has signed this, and from now on it may count.
    pub fn casts(&mut self, proposal: ProposalId, round: u16, voter: NodeId, choice: Choice) {
        self.cast.insert((proposal, round, voter, choice));
    }

    pub fn closes(&mut self, proposal: ProposalId) {
        self.closed.insert(proposal);
    }

    /// Somebody is told how it stands. Whether it is decided.
    pub fn told(&mut self, proposal: ProposalId, state: ProposalState) -> Result<bool, Violation> {
        let ProposalState::Decided { .. } = state else { return Ok(false) };
        let first = *self.decided.entry(proposal).or_insert(state);
        match first == state {
            true => Ok(true),
            false => {
                let what = format!("{proposal} was decided as {first:?}, and as {state:?}");
                Err(Violation::new(Rule::NoForgery, what))
            }
        }
    }

    /// Looks at a ledger of a correct replica: each vote in it is one that its voter cast, and each decision follows from
    /// them. How many votes and decisions there were.
    pub fn judge(&self, ledger: &Ledger, network: &NetworkId) -> Result<(u64, u64), Violation> {
        let (mut votes, mut decisions, mut after) = (0, 0, None);
        loop {
            let answer = ledger.answer(&Query::Proposals { after, limit: 100 });
            for row in &answer.rows {
                let Row::Proposal { id, proposal, standing } = row else { continue };
                after = Some(*id);
                votes += self.votes(ledger, network, id, proposal, standing)?;
                decisions += u64::from(self.decision(id, proposal, standing)?);
            }
            if !answer.more {
                return Ok((votes, decisions));
            }
        }
    }

    fn votes(
        &self,
        ledger: &Ledger,
        network: &NetworkId,
        id: &ProposalId,
        proposal: &Proposal,
        standing: &Standing,
    ) -> Result<u64, Violation> {
        let forged = |what: String| Err(Violation::new(Rule::NoForgery, what));
        let mut tally = Tally::default();
        let rows = ledger.answer(&Query::Votes(*id)).rows;
        for row in &rows {
            let Row::Vote(signed) = row else { continue };
            let Ok(vote) = signed.verify(network) else {
                return forged(format!("{id} has a vote of {} that it did not sign", signed.voter));
            };
            if !self.cast.contains(&(vote.proposal, vote.round, signed.voter, vote.choice)) || vote.proposal != *id {
                return forged(format!("{id} has {vote:?} of {}, who never voted so", signed.voter));
            }
            if !proposal.may_vote(&signed.voter) || vote.round != standing.round {
                return forged(format!("{id} counts {vote:?} of {}, who may not", signed.voter));
            }
            tally.add(vote.choice);
        }
        match tally == standing.tally {
            true => Ok(rows.len() as u64),
            false => forged(format!("{id} stands at {:?}, and its votes are {tally:?}", standing.tally)),
        }
    }

    fn decision(&self, id: &ProposalId, proposal: &Proposal, standing: &Standing) -> Result<bool, Violation> {
        let ProposalState::Decided { decision, .. } = standing.state else { return Ok(false) };
        let by_votes = standing.tally.decides(proposal.threshold, proposal.size());
        let follows = match decision {
            Decision::Accepted | Decision::Rejected => by_votes == Some(decision),
            Decision::Expired => by_votes.is_none() && standing.round == proposal.rounds,
            Decision::Withdrawn => by_votes.is_none() && self.closed.contains(id),
        };
        let as_told = self.decided.get(id).is_none_or(|told| *told == standing.state);
        match follows && as_told {
            true => Ok(true),
            false => {
                let told = self.decided.get(id);
                let what = format!("{id} is {standing:?}, which does not follow; users were told {told:?}");
                Err(Violation::new(Rule::NoForgery, what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_ledger::Rules;
    use mesh_proto::{
        genesis::{Engine, Founders, Genesis},
        key::SecretKey,
        ledger::{Body, Checked, Command, CommandId, Electorate, Index, Propose, SignedVote, Threshold, Vote},
        time::Wall,
    };

    #[test]
    fn a_vote_that_nobody_cast_and_a_decision_that_differs_are_found() {
        let key = |n| SecretKey::from_bytes(&[n; 32]);
        let genesis = Genesis {
            name: "simulated".parse().unwrap(),
            nonce: [1; 32],
            maker: key(1).node_id(),
            engine: Engine::Pbft,
            open: false,
            created: Wall(1),
            committee: Founders::new(vec![key(1).node_id()]).unwrap(),
        };
        let network = genesis.network_id();
        let mut ledger = Ledger::genesis(&genesis, Rules::default());
        let mut run = |at: u64, body: Body| {
            let id = CommandId { principal: "u".parse().unwrap(), key: vec![at as u8].into(), born: Index::GENESIS };
            let checked = Checked::check(Command { id, body }, &genesis, |_| false).unwrap();
            ledger.apply(Index(at), Wall(1000 + at), &[checked]).unwrap();
        };
        run(
            1,
            Body::Propose(Propose {
                title: "one".parse().unwrap(),
                body: r#"{"what":"one"}"#.into(),
                electorate: Electorate::Ids(vec![key(1).node_id(), key(2).node_id()]),
                threshold: Threshold::DEFAULT,
                round_ms: 60_000,
                rounds: 1,
            }),
        );
        let id = match &ledger.answer(&Query::Proposals { after: None, limit: 1 }).rows[..] {
            [Row::Proposal { id, .. }] => *id,
            rows => panic!("{rows:?}"),
        };
        let mut run = |at: u64, body: Body| {
            let id = CommandId { principal: "u".parse().unwrap(), key: vec![at as u8].into(), born: Index::GENESIS };
            let checked = Checked::check(Command { id, body }, &genesis, |_| false).unwrap();
            ledger.apply(Index(at), Wall(1000 + at), &[checked]).unwrap();
        };
        let vote = Vote { proposal: id, round: 1, choice: Choice::Reject };
        run(2, Body::Vote(SignedVote::cast(&key(2), &network, vote)));
        let mut ballots = Ballots::default();
        assert_eq!(ballots.judge(&ledger, &network).unwrap_err().rule, Rule::NoForgery, "nobody cast it");
        ballots.casts(id, 1, key(2).node_id(), Choice::Approve);
        assert_eq!(ballots.judge(&ledger, &network).unwrap_err().rule, Rule::NoForgery, "it was cast otherwise");
        ballots.casts(id, 1, key(2).node_id(), Choice::Reject);
        assert_eq!(ballots.judge(&ledger, &network), Ok((1, 1)));
        let told = |decision| ProposalState::Decided { decision, index: Index(2), at: Wall(1002) };
        assert_eq!(ballots.told(id, ProposalState::Open), Ok(false));
        assert_eq!(ballots.told(id, told(Decision::Accepted)), Ok(true));
        assert!(ballots.told(id, told(Decision::Rejected)).is_err());
        assert_eq!(ballots.judge(&ledger, &network).unwrap_err().rule, Rule::NoForgery, "users were told otherwise");
    }
}
