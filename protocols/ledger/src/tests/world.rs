//! A network of keys 1 (its maker and founder) and up, and its ledger.

use crate::{Applied, Event, Ledger, Rules};
use mesh_proto::{
    credential::Credential,
    genesis::{Engine, Founders, Genesis},
    id::{NodeId, StoreId, TaskId},
    key::SecretKey,
    ledger::{
        Body, Change, Checked, Choice, Claim, Command, CommandId, Done, Electorate, Expect, Fence, Index, Motion,
        Outcome, ProposalId, Propose, Rejection, Seat, SignedMotion, SignedSupport, SignedVote, Standing, Support,
        Threshold, Vote,
    },
    role::Role,
    task::Octets,
    time::Wall,
    token::InvitationTerms,
};
use std::time::Duration;

pub const START: Wall = Wall(1_800_000_000_000);
/// Between two checkpoints of these worlds.
pub const INTERVAL: u64 = 8;

pub struct World {
    pub ledger: Ledger,
    pub genesis: Genesis,
    pub now: Wall,
    drawn: u64,
    /// Of the last batch.
    pub events: Vec<Event>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Rules { checkpoint_interval: INTERVAL, ..Rules::default() }, 1)
    }

    /// Founded by the first `founders` keys.
    pub fn of(founders: u8) -> Self {
        Self::with(Rules { checkpoint_interval: INTERVAL, ..Rules::default() }, founders)
    }

    pub fn with(rules: Rules, founders: u8) -> Self {
        let genesis = Genesis {
            name: "sample".parse().unwrap(),
            nonce: [0x11; 32],
            maker: node(1),
            engine: Engine::Pbft,
            open: false,
            created: START,
            committee: Founders::new((1..=founders).map(node).collect()).unwrap(),
        };
        let ledger = Ledger::genesis(&genesis, rules);
        Self { ledger, genesis, now: START, drawn: 0, events: Vec::new() }
    }

    pub fn pass(&mut self, ms: u64) -> &mut Self {
        self.now = self.now + Duration::from_millis(ms);
        self
    }

    /// A command of `principal`, under a key of its own.
    pub fn command(&mut self, principal: &str, body: Body) -> Command {
        self.drawn += 1;
        let key = Octets::from(&self.drawn.to_be_bytes()[..]);
        Command { id: CommandId { principal: principal.parse().unwrap(), key, born: self.ledger.index() }, body }
    }

    /// Executes a batch, of which each signature is checked.
    pub fn batch(&mut self, commands: Vec<Command>) -> Vec<Outcome> {
        let check = |command| Checked::check(command, &self.genesis, |_| true).expect("signed as it says");
        let batch: Vec<Checked> = commands.into_iter().map(check).collect();
        let Applied { outcomes, events } = self.ledger.apply(self.ledger.index().next(), self.now, &batch).unwrap();
        assert_eq!(outcomes.len(), batch.len());
        self.events = events;
        outcomes
    }

    /// One command of ada's in a batch of its own.
    pub fn run(&mut self, body: Body) -> Outcome {
        self.run_as("ada", body)
    }

    pub fn run_as(&mut self, principal: &str, body: Body) -> Outcome {
        let command = self.command(principal, body);
        self.batch(vec![command]).remove(0)
    }

    pub fn tick(&mut self) -> Vec<Event> {
        assert_eq!(self.run(Body::Tick), done(Done::Kept));
        self.events.clone()
    }

    /// Empty batches up to the end of this checkpoint.
    pub fn fill(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while !self.ledger.index().0.is_multiple_of(INTERVAL) {
            self.batch(vec![]);
            events.append(&mut self.events);
        }
        events
    }

    pub fn motion(&mut self, by: u8, change: Change) -> Outcome {
        let signed = self.signed_motion(by, change);
        self.run(Body::Motion(signed))
    }

    pub fn signed_motion(&self, by: u8, change: Change) -> SignedMotion {
        let motion = Motion { serial: self.ledger.serial(), change };
        SignedMotion::sign(&key(by), &self.genesis.network_id(), motion)
    }

    /// A change by the maker, who governs; and on to the next checkpoint.
    pub fn govern(&mut self, change: Change) {
        let outcome = self.motion(1, change);
        assert!(matches!(outcome, Outcome::Done(Done::Moved { .. })), "{outcome:?}");
        self.fill();
    }

    /// By an invitation of the maker.
    pub fn admit(&mut self, number: u8, role: Role) -> Outcome {
        let credential = self.invite(1, number, role, self.now);
        self.run(Body::Admit(Box::new(credential)))
    }

    pub fn invite(&self, inviter: u8, number: u8, role: Role, issued: Wall) -> Credential {
        self.invite_on(
            inviter,
            number,
            InvitationTerms { role, issued, expires: issued + Duration::from_secs(3600), member_until: None },
        )
    }

    pub fn invite_on(&self, inviter: u8, number: u8, terms: InvitationTerms) -> Credential {
        let InvitationTerms { role, issued, expires, member_until } = terms;
        let invitation = mesh_proto::credential::Invitation {
            key: node(200),
            inviter: node(inviter),
            role,
            issued,
            expires,
            member_until,
        };
        let network = self.genesis.network_id();
        let invitation = mesh_proto::certificate::Certificate::issue(&key(inviter), &network, invitation);
        Credential::by_invitation(invitation, &key(200), &self.genesis, node(number), role, issued)
    }

    pub fn seat(&mut self, number: u8) {
        self.admit(number, Role::Full);
        self.govern(Change::CommitteeAdd(seat(number)));
    }

    pub fn support(&mut self, number: u8, version: u16, store: u64) -> Outcome {
        let signed = self.signed_support(number, version, store);
        self.run(Body::Support(signed))
    }

    pub fn signed_support(&self, number: u8, version: u16, store: u64) -> SignedSupport {
        let support = Support { version, store: StoreId(store), at: self.ledger.index() };
        SignedSupport::report(&key(number), &self.genesis.network_id(), support)
    }

    pub fn propose(&mut self, change: impl FnOnce(&mut Propose)) -> ProposalId {
        match self.run(Body::Propose(propose(change))) {
            Outcome::Done(Done::Proposed(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn vote(&mut self, number: u8, proposal: ProposalId, choice: Choice) -> Outcome {
        let round = self.standing(&proposal).map_or(1, |standing| standing.round);
        self.vote_in(number, proposal, round, choice)
    }

    pub fn vote_in(&mut self, number: u8, proposal: ProposalId, round: u16, choice: Choice) -> Outcome {
        let vote = Vote { proposal, round, choice };
        let signed = SignedVote::cast(&key(number), &self.genesis.network_id(), vote);
        self.run_as("whoever brings it", Body::Vote(signed))
    }

    pub fn standing(&self, proposal: &ProposalId) -> Option<Standing> {
        self.ledger.state.get(&proposal.standing_key())
    }
}

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
}

pub fn node(number: u8) -> NodeId {
    key(number).node_id()
}

pub fn seat(number: u8) -> Seat {
    Seat { node: node(number), store: Some(StoreId(u64::from(number))) }
}

pub fn done(done: Done) -> Outcome {
    Outcome::Done(done)
}

pub fn rejected(rejection: Rejection) -> Outcome {
    Outcome::Rejected(rejection)
}

pub fn propose(change: impl FnOnce(&mut Propose)) -> Propose {
    let mut propose = Propose {
        title: "who runs it".parse().unwrap(),
        body: r#"{"task_assignment":"auth-service","assigned_to":"node-3"}"#.into(),
        electorate: Electorate::Committee,
        threshold: Threshold::DEFAULT,
        round_ms: 60_000,
        rounds: 1,
    };
    change(&mut propose);
    propose
}

pub fn put(key: &str, value: &str) -> Body {
    put_for(key, value, None)
}

pub fn put_for(key: &str, value: &str, ttl_ms: Option<u64>) -> Body {
    let (namespace, value) = ("swarm".parse().unwrap(), Octets::from(value.as_bytes()));
    Body::MemoryPut { namespace, key: key.parse().unwrap(), value, ttl_ms }
}

pub fn delete(key: &str) -> Body {
    Body::MemoryDelete { namespace: "swarm".parse().unwrap(), key: key.parse().unwrap() }
}

pub fn swap(key: &str, expect: Expect, value: Option<&str>) -> Body {
    Body::MemoryCompareAndSwap {
        namespace: "swarm".parse().unwrap(),
        key: key.parse().unwrap(),
        expect,
        value: value.map(|value| Octets::from(value.as_bytes())),
        ttl_ms: None,
    }
}

pub fn lock(name: &str, lease_ms: u64) -> Body {
    Body::Lock { name: name.parse().unwrap(), holder: node(3), lease_ms }
}

pub fn a_lock(name: &str) -> Claim {
    Claim::Lock(name.parse().unwrap())
}

pub fn award(task: u8, to: u8, lease_ms: u64) -> Body {
    Body::Award { task: a_task(task), to: node(to), lease_ms }
}

pub fn a_task(number: u8) -> TaskId {
    TaskId::from_bytes([number; 32])
}

pub fn renew(claim: Claim, fence: u64, lease_ms: u64) -> Body {
    Body::Renew { claim, fence: Fence(fence), lease_ms }
}

pub fn unlock(claim: Claim, fence: u64) -> Body {
    Body::Unlock { claim, fence: Fence(fence) }
}

/// The first version of a batch.
pub fn version_of(index: u64) -> u64 {
    index << 16
}

pub fn index(index: u64) -> Index {
    Index(index)
}
