use crate::{
    Event, Map, Rules,
    execute::{self, committee, members},
    expiry, key,
    meta::Meta,
    state::State,
    window::{self, Mark, Ran, Seen, Window},
};
use mesh_proto::{
    codec,
    genesis::Genesis,
    id::Digest,
    ledger::{
        Auto, Body, Checked, Committee, Entry, Fence, Index, NEWEST_VERSION, Outcome, Proposal, Put, Seat, SignedVote,
        Standing,
    },
    limits,
    time::Wall,
};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// The state machine. See the crate's description for how to hold it.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) state: State,
    window: Window,
}

/// A command of a batch.
#[derive(Clone, Debug)]
pub enum Order<'a> {
    /// The one of which there are many, as a look at it. It carries no signature that would have to be checked.
    Put(Put<'a>),
    Command(Cow<'a, Checked>),
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each command, in their order.
    pub outcomes: Vec<Outcome>,
    /// What happened, in its order; by time, before the commands.
    pub events: Vec<Event>,
}

/// Why a batch cannot be executed. The replica stops: going on would make it differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    #[error("batch {found} after batch {last}")]
    OutOfOrder { last: Index, found: Index },
    #[error("a batch of {found} commands: at most {max}", max = limits::BATCH_COMMANDS)]
    TooLarge { found: usize },
    #[error("the mesh executes version {active} of commands, this build {newest}: upgrade it", newest = NEWEST_VERSION)]
    Version { active: u16 },
}

/// Entries that no ledger wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry {key} is not one of a ledger's state")]
pub struct Corrupt {
    pub key: String,
}

impl<'a> From<&'a Checked> for Order<'a> {
    fn from(command: &'a Checked) -> Self {
        match Put::of(command.get()) {
            Some(put) => Self::Put(put),
            None => Self::Command(Cow::Borrowed(command)),
        }
    }
}

impl Order<'_> {
    fn mark(&self) -> Mark {
        match self {
            Self::Put(put) => Mark::of_put(put),
            Self::Command(command) => Mark::of(command.get()),
        }
    }
}

impl Ledger {
    /// The state at a network's birth: the same for whoever has its genesis record and these rules.
    #[must_use]
    pub fn genesis(genesis: &Genesis, rules: Rules) -> Self {
        let meta = Meta {
            network: genesis.network_id(),
            engine: genesis.engine,
            rules: rules.at_least_one(),
            index: Index::GENESIS,
            time: genesis.created,
            version: 1,
            fence: Fence(0),
            serial: 0,
            floor: Index::GENESIS,
            remembered: 0,
            open: 0,
            decided: 0,
            claims: 0,
            members: 0,
            motions: 0,
        };
        let mut seats: Vec<Seat> = genesis.committee.iter().map(|node| Seat { node: *node, store: None }).collect();
        seats.sort();
        let committee = Committee {
            epoch: mesh_proto::domain::Epoch(0),
            since: Index::GENESIS,
            seats,
            auto: Auto { on: true, max: 7 },
            pending: None,
        };
        let (events, graves) = Default::default();
        let mut state = State { map: Map::new(), meta, committee, events, graves };
        members::found(&mut state, genesis);
        state.keep_committee();
        state.keep_meta();
        Self { state, window: Window::default() }
    }

    /// The ledger whose state this is. Looks at every entry: what a store or a peer gave back is not believed to be one
    /// because its root is right.
    pub fn open(map: Map) -> Result<Self, Corrupt> {
        let corrupt = |key: &[u8]| Corrupt { key: key.escape_ascii().to_string() };
        if let Some(entry) = map.below(b"", usize::MAX).into_iter().find(|entry| !is_lawful(entry)) {
            return Err(corrupt(entry.key()));
        }
        let meta: Meta = read(map.get(key::META)).ok_or_else(|| corrupt(key::META))?;
        let committee: Committee = read(map.get(key::COMMITTEE)).ok_or_else(|| corrupt(key::COMMITTEE))?;
        if committee.seats.is_empty() || meta.rules != meta.rules.at_least_one() {
            return Err(corrupt(key::META));
        }
        let (events, graves) = Default::default();
        let state = State { map, meta, committee, events, graves };
        let window = Window::rebuild(&state);
        Ok(Self { state, window })
    }

    /// Executes the batch with this number, whose agreed time this is. Time that goes back stands still.
    pub fn apply(&mut self, index: Index, time: Wall, batch: &[Checked]) -> Result<Applied, Halt> {
        let batch: Vec<Order<'_>> = batch.iter().map(Order::from).collect();
        self.execute(index, time, &batch)
    }

    /// [`Ledger::apply`] of commands that may lie where they came.
    pub fn execute(&mut self, index: Index, time: Wall, batch: &[Order<'_>]) -> Result<Applied, Halt> {
        let last = self.state.meta.index;
        if index != last.next() {
            return Err(Halt::OutOfOrder { last, found: index });
        }
        if batch.len() > limits::BATCH_COMMANDS {
            return Err(Halt::TooLarge { found: batch.len() });
        }
        if self.state.meta.version > NEWEST_VERSION {
            return Err(Halt::Version { active: self.state.meta.version });
        }
        let state = &mut self.state;
        state.meta.index = index;
        state.meta.time = state.meta.time.max(time);
        expiry::observable(state);
        let mut marks: Vec<Mark> = batch.iter().map(Order::mark).collect();
        self.window.look(&mut marks);
        let outcomes = batch.iter().zip(&marks).map(|(order, mark)| self.run(order, mark)).collect();
        let state = &mut self.state;
        state.graves.clear();
        self.window.commit(state);
        expiry::memory(state, batch.len());
        if state.meta.is_boundary(index) {
            committee::take_effect(state);
        }
        state.keep_meta();
        Ok(Applied { outcomes, events: std::mem::take(&mut state.events) })
    }

    fn run(&mut self, order: &Order<'_>, mark: &Mark) -> Outcome {
        // Any replica may ask for it, again and again: there is nothing to remember.
        if let Order::Command(command) = order
            && command.get().body == Body::Tick
        {
            return execute::run(&mut self.state, command.get());
        }
        match self.window.see(&self.state, mark) {
            Seen::Answered(outcome) => outcome,
            Seen::New => {
                let outcome = match order {
                    Order::Put(put) => execute::put(&mut self.state, put),
                    Order::Command(command) => execute::run(&mut self.state, command.get()),
                };
                self.window.remember(mark, outcome.clone());
                outcome
            }
        }
    }

    /// The last batch that was executed.
    #[must_use]
    pub fn index(&self) -> Index {
        self.state.meta.index
    }

    /// Agreed time, as of it.
    #[must_use]
    pub fn time(&self) -> Wall {
        self.state.meta.time
    }

    /// Ids born before are refused: what a client must know to draw one.
    #[must_use]
    pub fn floor(&self) -> Index {
        self.state.meta.floor
    }

    #[must_use]
    pub fn committee(&self) -> &Committee {
        &self.state.committee
    }

    /// The active version of commands.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.state.meta.version
    }

    /// What the next motion must carry.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.state.meta.serial
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.state.meta.rules
    }

    /// The checkpoint at whose end a change takes effect, if one waits: nothing is proposed above it before.
    #[must_use]
    pub fn boundary(&self) -> Option<Index> {
        self.state.committee.pending.map(|_| self.state.meta.boundary(self.state.meta.index.next()))
    }

    /// When something ends that somebody may see: a lease, a round of votes. None while nothing is held or voted.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Wall> {
        let entry = self.state.map.first(&[key::DEADLINE])?;
        key::at_of(entry.key()).map(|(time, _)| time)
    }

    /// The state as it is, to keep while execution goes on.
    #[must_use]
    pub fn snapshot(&self) -> Map {
        self.state.map.clone()
    }

    /// The digest of the state.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.state.map.root()
    }
}

fn read<T: DeserializeOwned>(bytes: Option<&[u8]>) -> Option<T> {
    codec::decode(bytes?, limits::ENTRY_BYTES).ok()
}

/// Whether an entry is what its key says.
fn is_lawful(entry: &Entry) -> bool {
    let (at, value) = (entry.key(), Some(entry.value()));
    let empty = entry.value().is_empty();
    let Some(tag) = at.first() else { return false };
    match *tag {
        _ if at == key::META => read::<Meta>(value).is_some(),
        _ if at == key::COMMITTEE => read::<Committee>(value).is_some(),
        key::EVIDENCE => at.len() == 65 && read::<mesh_proto::ledger::Evidence>(value).is_some(),
        key::INVITER => key::node_of(at).is_some() && read::<members::Inviter>(value).is_some(),
        key::IDENTITY => key::node_of(at).is_some() && read::<Seat>(value).is_some(),
        key::LOCK | key::AWARD => key::claim_of(at).is_some() && read::<mesh_proto::ledger::Claimed>(value).is_some(),
        key::MEMORY => execute::memory::read(entry).is_some(),
        key::MEMBER => key::node_of(at).is_some() && read::<members::Member>(value).is_some(),
        key::MOTION => at.len() == 33 && read::<Vec<mesh_proto::id::NodeId>>(value).is_some(),
        key::PROPOSAL => at.len() == 33 && read::<Proposal>(value).is_some(),
        key::STANDING => at.len() == 33 && read::<Standing>(value).is_some(),
        key::SUPPORT => key::node_of(at).is_some() && read::<mesh_proto::ledger::Support>(value).is_some(),
        key::VOTE => at.len() == 67 && read::<SignedVote>(value).is_some(),
        key::WINDOW => window::place_of(at).is_some() && read::<Vec<Ran>>(value).is_some(),
        key::DEADLINE | key::EXPIRY => empty && key::at_of(at).is_some(),
        key::DECIDED => empty && at.len() == 41,
        _ => false,
    }
}
