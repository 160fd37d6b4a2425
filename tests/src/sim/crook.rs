//! A gateway that lies. Its machine is a correct one whose requests are twisted on their way out: it repeats numbers, asks
//! different replicas for different things under one of them, and makes up commands of its own users, and votes and motions
//! of everybody. Nobody whom the checkers look after goes through it.

use super::{
    count::{Count, Counts},
    dice::Dice,
};
use mesh_proto::{
    agreement::Operation,
    codec,
    id::{NetworkId, NodeId},
    key::{SecretKey, Signature},
    ledger::{
        Body, Change, Choice, Command, CommandId, Evidence, Index, Motion, ProposalId, SignedMotion, SignedVote, Vote,
    },
    pbft::{Message, Operations, Request, RequestNumber},
};
use std::sync::Arc;

/// What it remembers.
#[derive(Default)]
pub struct Crook {
    /// The last request of its own, which every replica is sent, and what some are told in its place.
    last: Option<(Arc<Request>, Option<Arc<Request>>, Trick)>,
    earlier: Vec<Arc<Request>>,
    /// Proposals that it may forge votes for.
    pub proposals: Vec<ProposalId>,
}

/// What it does with one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trick {
    None,
    /// Some replicas are asked for something else under the same number.
    TwoFaced,
    /// Something else under the number of an earlier request, beside this one.
    OldNumber,
    /// Under a number far ahead.
    FarNumber,
    /// Under the number that its next request will have.
    TakesNext,
    /// Nobody signed it.
    Unsigned,
}

const TRICKS: [(Trick, Count); 5] = [
    (Trick::TwoFaced, Count::CrookTwoFaced),
    (Trick::OldNumber, Count::CrookOldNumber),
    (Trick::FarNumber, Count::CrookFarNumber),
    (Trick::TakesNext, Count::CrookTakesNext),
    (Trick::Unsigned, Count::CrookUnsigned),
];

/// Earlier requests that it remembers.
const EARLIER: usize = 16;

/// Who it is, and whose names it uses.
pub struct Names<'a> {
    pub key: &'a SecretKey,
    pub network: NetworkId,
    pub nodes: &'a [NodeId],
}

impl Crook {
    /// What goes to the member of this index in place of a request of its own.
    pub fn twist(
        &mut self,
        dice: &mut Dice,
        counts: &mut Counts,
        names: &Names<'_>,
        to: usize,
        request: &Arc<Request>,
    ) -> Vec<Arc<Message>> {
        if self.last.as_ref().is_none_or(|(last, ..)| last != request) {
            self.plan(dice, counts, names, request);
        }
        let Some((last, other, trick)) = &self.last else { return Vec::new() };
        let all = match (trick, other) {
            (Trick::TwoFaced, Some(other)) if !to.is_multiple_of(2) => vec![other],
            (Trick::TwoFaced | Trick::None, _) | (_, None) => vec![last],
            (_, Some(other)) => vec![other, last],
        };
        all.into_iter().map(|request| Arc::new(Message::Request(Arc::clone(request)))).collect()
    }

    fn plan(&mut self, dice: &mut Dice, counts: &mut Counts, names: &Names<'_>, request: &Arc<Request>) {
        let (trick, count) = match dice.chance(700) {
            true => *dice.pick(&TRICKS),
            false => (Trick::None, Count::CrookNonsense),
        };
        let life = request.life;
        let number = match trick {
            Trick::None | Trick::TwoFaced | Trick::Unsigned => request.number,
            Trick::OldNumber if self.earlier.is_empty() => request.number,
            Trick::OldNumber => dice.pick(&self.earlier).number,
            Trick::FarNumber => RequestNumber::new(request.number.get() + dice.spread(2..=1 << 40)),
            Trick::TakesNext => request.number.next(),
        };
        let other = (trick != Trick::None).then(|| {
            counts.add(count);
            let operations = self.operations(dice, counts, names);
            let mut other = Request::sign_with_digest(names.key, &names.network, (life, number), operations).0;
            if trick == Trick::Unsigned {
                other.signature = Signature::from_bytes([5; 64]);
            }
            Arc::new(other)
        });
        if self.earlier.len() == EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.push(Arc::clone(request));
        self.last = Some((Arc::clone(request), other, trick));
    }

    /// Some of what nobody asked for.
    fn operations(&self, dice: &mut Dice, counts: &mut Counts, names: &Names<'_>) -> Operations {
        let many = dice.range(1..=4);
        let all: Vec<Vec<u8>> = (0..many).map(|_| self.operation(dice, counts, names)).collect();
        Operations::pack(all.iter().map(|operation| &operation[..])).expect("a few small operations")
    }

    fn operation(&self, dice: &mut Dice, counts: &mut Counts, names: &Names<'_>) -> Vec<u8> {
        // Of its own name everything it says is true.
        let others: Vec<NodeId> = names.nodes.iter().copied().filter(|node| *node != names.key.node_id()).collect();
        let other = *dice.pick(&others);
        let (count, body) = match (dice.below(8), self.proposals.is_empty()) {
            (0, _) => {
                counts.add(Count::CrookNonsense);
                return codec::encode(&dice.next());
            }
            (1 | 2, false) => {
                let proposal = *dice.pick(&self.proposals);
                let vote = Vote { proposal, round: 1, choice: Choice::Approve };
                let mut signed = SignedVote::cast(names.key, &names.network, vote);
                signed.voter = other;
                (Count::CrookForgedVote, Body::Vote(signed))
            }
            (3, _) => {
                let motion = Motion { serial: dice.below(2) as u64, change: Change::CommitteeRemove(other) };
                let mut signed = SignedMotion::sign(names.key, &names.network, motion);
                signed.by = names.nodes[0];
                (Count::CrookForgedMotion, Body::Motion(signed))
            }
            (4, _) => {
                let proof = codec::encode(&(dice.next(), dice.next())).into();
                (Count::CrookForgedEvidence, Body::Evidence(Evidence { accused: other, proof }))
            }
            _ => (Count::CrookForgedCommand, command_of_its_own(dice, names)),
        };
        counts.add(count);
        // Few names, so that one is used for different things. But such a name is soon taken, and a vote under it never counted:
        // each has one of its own.
        let drawn = dice.below(20).to_le_bytes().to_vec();
        let key = match &body {
            Body::Vote(vote) => codec::encode(&(vote.unverified().proposal, vote.voter)),
            _ => drawn,
        };
        let key = key.into();
        let id = CommandId { principal: "crook".parse().expect("a name"), key, born: Index::GENESIS };
        Operation::Command(Box::new(Command { id, body })).encode()
    }
}

/// Something that its own users may ask for.
pub fn command_of_its_own(dice: &mut Dice, names: &Names<'_>) -> Body {
    let name = format!("crook-{}", dice.below(4));
    match dice.below(3) {
        0 => Body::Lock {
            name: name.parse().expect("a name"),
            holder: *dice.pick(names.nodes),
            lease_ms: dice.spread(500..=20_000),
        },
        1 => Body::Tick,
        _ => Body::MemoryPut {
            namespace: "crook".parse().expect("a name"),
            key: name.parse().expect("a name"),
            value: dice.next().to_le_bytes().to_vec().into(),
            ttl_ms: dice.chance(300).then(|| dice.spread(300..=20_000)),
        },
    }
}
