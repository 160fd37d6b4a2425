//! The ordering port: agreement where the order is made outside the brain, by an engine whose members trust each other.
//!
//! The brain holds the ledger all the same, so that whoever asks it finds no difference. What was ordered comes as an
//! input, is executed by the same code, and what came of it goes back as an effect, with the state behind it: a snapshot
//! is the engine's to write. Of all this the brain's log holds one fact, that this disk has had an engine.

mod gateway;

use super::{Asked, Keeper, Latencies, ReplicaView, Setup, fact::Fact};
use crate::RequestId;
use gateway::{Gateway, Wish};
use mesh_ledger::{Ledger, Map};
use mesh_proto::{
    agreement::{Operation, ReplicaStanding},
    domain::Epoch,
    id::NodeId,
    ledger::{self, Committee, Index, Row},
    pbft::{EpochConfig, Operations, Sequence, View},
    task::Octets,
    time::{Mono, Now, Wall},
};

/// What happens to the ledger's engine.
#[derive(Clone, Debug)]
pub enum PortInput {
    /// An engine runs here: the ledger is the one whose state this is, or that of the network's birth.
    Install(Option<Map>),
    /// Entries of the engine's log, each one number behind the one before.
    Ordered(Vec<Ordered>),
    /// What came of a request of this node, in the batch of this number.
    Answered {
        ticket: u64,
        index: Index,
        outcome: Octets,
        /// It was sent more than once, and may have been ordered before.
        is_repeat: bool,
    },
    Stands(EngineStanding),
    /// No engine runs here any more, or none can; for good if it says why.
    Ended(Option<String>),
}

/// An entry of the engine's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    pub index: Index,
    /// By the clock of who led; agreed time does not go back for it.
    pub time: Wall,
    pub requests: Vec<Operations>,
}

/// What the brain asks of the ledger's engine.
#[derive(Clone, Debug)]
pub enum PortEffect {
    /// An engine is to run here.
    Run(Begin),
    /// The committee, from now on: whom the engine of who leads has to seat.
    Seat { epoch: Epoch, members: Vec<NodeId> },
    /// Have this ordered, by whoever leads, however long it takes.
    Order { ticket: u64, operations: Operations },
    /// The answer to [`PortInput::Install`] and [`PortInput::Ordered`]: of each entry what came of each request, and the
    /// state behind them; or why nothing is executed any more.
    Executed(Result<Executed, String>),
}

#[derive(Clone, Debug)]
pub struct Executed {
    pub outcomes: Vec<Vec<Octets>>,
    pub state: Map,
}

/// How an engine begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// On an empty disk it makes the first configuration, of this node alone.
    Found,
    /// This disk has had one, and goes on where it was in the configuration when it ended. If what it kept is gone, what
    /// it promised is, and nothing may begin in its place.
    Resume,
    /// It learns: on an empty disk, or on one that has had one.
    Join { had: bool },
}

/// The engine, as it knows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStanding {
    pub term: u64,
    pub leader: Option<NodeId>,
    pub is_voting: bool,
    /// The last entry of its log, and what its last snapshot covers.
    pub last: u64,
    pub snapshot: u64,
}

/// Of this node.
pub struct Port {
    setup: Setup,
    me: NodeId,
    /// Where an engine runs.
    keeper: Option<Keeper>,
    gateway: Gateway,
    standing: EngineStanding,
    /// This disk has had an engine.
    has_history: bool,
    halted: Option<String>,
    /// As the body was last told.
    seated: Option<Epoch>,
}

impl Port {
    pub fn new(setup: Setup) -> Self {
        let me = setup.key.node_id();
        Self {
            setup,
            me,
            keeper: None,
            gateway: Gateway::default(),
            standing: EngineStanding::default(),
            has_history: false,
            halted: None,
            seated: None,
        }
    }

    /// A fact of the disk.
    pub fn note(&mut self, fact: &Fact) {
        self.has_history |= matches!(fact, Fact::Follows);
    }

    /// What a store writes.
    pub fn retell(&self) -> Option<Vec<Fact>> {
        self.has_history.then(|| vec![Fact::Follows])
    }

    pub fn restarted(&mut self, alone: bool, committee: &EpochConfig, asked: &mut Vec<Asked>) {
        self.seat(committee, asked);
        let founds = alone && committee.members == [self.me];
        match (self.has_history, founds) {
            (true, _) => asked.push(Asked::Port(PortEffect::Run(Begin::Resume))),
            (false, true) => asked.push(Asked::Port(PortEffect::Run(Begin::Found))),
            (false, false) => {}
        }
    }

    /// From now on this node has an engine.
    pub fn follow(&mut self, asked: &mut Vec<Asked>) {
        asked.push(Asked::Port(PortEffect::Run(Begin::Join { had: self.has_history })));
    }

    pub fn ledger(&self) -> Option<&Ledger> {
        self.keeper.as_ref().map(Keeper::ledger)
    }

    pub fn keeper_mut(&mut self) -> Option<&mut Keeper> {
        self.keeper.as_mut()
    }

    /// The last batch that is known to be executed.
    pub fn index(&self) -> Index {
        self.gateway.index().max(self.ledger().map_or(Index::GENESIS, Ledger::index))
    }

    /// What happened. The committee, where another one follows from it.
    pub fn handle(&mut self, now: Now, input: PortInput, asked: &mut Vec<Asked>) -> Option<EpochConfig> {
        let before = self.seated;
        match input {
            PortInput::Install(map) => {
                let installed = self.install(map);
                if installed.is_ok() && !self.has_history {
                    self.has_history = true;
                    asked.push(Asked::Persist(Fact::Follows));
                }
                self.executed(installed.map(|()| Vec::new()), asked);
            }
            PortInput::Ordered(batches) => {
                let ran = self.execute(batches);
                self.executed(ran, asked);
            }
            PortInput::Answered { ticket, index, outcome, is_repeat } => {
                let mut wishes = Vec::new();
                self.gateway.answered(now.mono, ticket, index, (&outcome, is_repeat), &mut wishes);
                grant(wishes, asked);
            }
            PortInput::Stands(standing) => self.standing = standing,
            PortInput::Ended(why) => {
                self.keeper = None;
                self.standing = EngineStanding::default();
                if let Some(why) = why {
                    asked.push(Asked::Halted(why.clone()));
                    self.halted = Some(why);
                }
            }
        }
        let committee = self.ledger()?.committee();
        if Some(committee.epoch) == before { None } else { epoch_of(committee) }
    }

    fn install(&mut self, map: Option<Map>) -> Result<(), String> {
        let keeper = Keeper::lent(self.setup.genesis.clone(), self.setup.rules, map);
        self.keeper = Some(keeper.map_err(|corrupt| corrupt.to_string())?);
        self.halted = None;
        Ok(())
    }

    fn execute(&mut self, batches: Vec<Ordered>) -> Result<Vec<Vec<Octets>>, String> {
        let keeper = self.keeper.as_mut().ok_or_else(|| "no ledger was installed".to_owned())?;
        let ran = batches.iter().map(|batch| {
            let ran = keeper.order(Sequence::new(batch.index.0), batch.time, &batch.requests);
            ran.map(|executed| executed.outcomes).map_err(|halt| halt.to_string())
        });
        ran.collect()
    }

    fn executed(&mut self, ran: Result<Vec<Vec<Octets>>, String>, asked: &mut Vec<Asked>) {
        let state = self.ledger().map(Ledger::snapshot).unwrap_or_default();
        if let Err(why) = &ran {
            self.halted = Some(why.clone());
            asked.push(Asked::Halted(why.clone()));
        }
        // Before the answer: with that it counts as executed, and whoever leads acts by whom it seats.
        if let Some(committee) = self.ledger().map(Ledger::committee).and_then(epoch_of) {
            self.seat(&committee, asked);
        }
        asked.push(Asked::Port(PortEffect::Executed(ran.map(|outcomes| Executed { outcomes, state }))));
    }

    /// The body is to know the committee, once for each.
    pub fn seat(&mut self, committee: &EpochConfig, asked: &mut Vec<Asked>) {
        if self.seated != Some(committee.epoch) {
            self.seated = Some(committee.epoch);
            let (epoch, members) = (committee.epoch, committee.members.clone());
            asked.push(Asked::Port(PortEffect::Seat { epoch, members }));
        }
    }

    // The gateway.

    pub fn ask(&mut self, user: Option<(RequestId, u32)>, operation: &Operation) -> bool {
        self.gateway.ask(user, operation)
    }

    pub fn leave(&mut self, request: RequestId) {
        self.gateway.leave(request);
    }

    pub fn flush(&mut self, now: Mono, asked: &mut Vec<Asked>) {
        let mut wishes = Vec::new();
        self.gateway.flush(now, &mut wishes);
        grant(wishes, asked);
    }

    pub fn under_way(&self) -> usize {
        self.gateway.under_way()
    }

    pub fn latencies(&self) -> &Latencies {
        self.gateway.latencies()
    }

    // For people.

    /// Whether this node is one that asks for ticks, and which: whoever leads is the first to.
    pub fn rank(&self, committee: &EpochConfig) -> Option<usize> {
        let place = committee.members.iter().position(|member| *member == self.me);
        let leads = self.standing.leader == Some(self.me);
        place.filter(|_| self.keeper.is_some() && self.halted.is_none()).map(|place| if leads { 0 } else { place + 1 })
    }

    pub fn standing(&self) -> Option<ReplicaStanding> {
        let executed = self.ledger().map(|ledger| Sequence::new(ledger.index().0))?;
        Some(ReplicaStanding {
            view: View::new(self.standing.term),
            active: self.standing.leader.is_some(),
            voting: self.standing.is_voting,
            executed,
            stable: Sequence::new(self.standing.snapshot),
            halted: self.halted.is_some(),
        })
    }

    pub fn view(&self) -> Option<ReplicaView> {
        let ledger = self.ledger();
        if ledger.is_none() && self.halted.is_none() {
            return None;
        }
        let state = ledger.map(Ledger::snapshot).unwrap_or_default();
        let EngineStanding { term, leader, is_voting, last, snapshot } = self.standing;
        Some(ReplicaView {
            view: View::new(term),
            primary: leader,
            is_active: leader.is_some(),
            is_voting,
            low: Sequence::new(snapshot),
            high: Sequence::new(last),
            executed: Sequence::new(ledger.map_or(0, |ledger| ledger.index().0)),
            checkpoint: None,
            waiting: last.saturating_sub(ledger.map_or(0, |ledger| ledger.index().0)),
            halted: self.halted.clone(),
            time: ledger.map_or(Wall(0), Ledger::time),
            state_bytes: state.weight(),
            state_entries: state.len(),
        })
    }
}

fn grant(wishes: Vec<Wish>, asked: &mut Vec<Asked>) {
    for wish in wishes {
        asked.push(match wish {
            Wish::Order { ticket, operations } => Asked::Port(PortEffect::Order { ticket, operations }),
            Wish::Answer { request, index, at, ran } => Asked::Answer { request, index, at, ran },
            Wish::Refuse { request, index, why } => Asked::Refuse { request, index, why },
        });
    }
}

/// The committee as an epoch, of which nothing but who is in it and its number means anything here.
pub fn epoch_of(committee: &Committee) -> Option<EpochConfig> {
    let members = committee.seats.iter().map(|seat| seat.node);
    Some(EpochConfig { epoch: committee.epoch, ..EpochConfig::genesis(members).ok()? })
}

/// The committee that another node's ledger names.
pub fn committee_in(answer: &ledger::Answer) -> Option<EpochConfig> {
    answer.rows.iter().find_map(|row| match row {
        Row::Committee { committee, .. } => epoch_of(committee),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
