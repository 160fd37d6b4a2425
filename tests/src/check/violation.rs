use std::fmt;

/// What must never be, and was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

/// What the checkers hold the mesh to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// No two registers of one task for one (ballot, version).
    OneRegister,
    /// A ballot's first write has the promises that it needs and goes on with what was decided, and decisions only grow.
    Ballots,
    /// Nothing is granted or run before its attempt is in force.
    InForce,
    /// A terminal state that a majority of the holders had on disk is the only one from then on.
    OneEnding,
    /// What is called ended is ended by a majority, and users are told one ending.
    EndedIsChosen,
    /// An accepted result was made by the execution that it names, an end has its cause.
    ResultIsReal,
    /// What was acknowledged is on as many disks as was said, and of one content.
    AcknowledgedIsHeld,
    /// What is said to be on disk is there.
    DurableBeforeSaid,
    /// Nothing that a store said is taken back, by it or after its restart.
    PromisesKept,
    /// No more executions at a time than there are slots.
    Slots,
    /// Nothing runs where something is lacking that it requires.
    Able,
    /// What is to stop where the mesh is lost neither begins nor goes on there.
    Isolated,
    /// Nothing begins before all that it is to start after has ended well, or is cancelled for that while it may yet.
    After,
    /// Of so many that begin on a node one is what has waited longest there: nothing is overtaken for ever.
    Turns,
    /// Whoever fails what it was granted is thought less of by who granted it.
    Blamed,
    /// Queues keep to their bounds.
    Bounded,
    /// No disk lets go of a record or a result that is still needed.
    Keeps,
    /// Healed, every acknowledged task ends in time and its user learns how.
    Ends,
    /// Healed, every retained record is on as many live disks as it should be in time.
    Copies,
    /// Healed, no executor keeps a result that is settled, and none begins what has ended.
    Outbox,
    /// Healed, new tasks are taken.
    Takes,
    /// Healed, nothing is left to be done: no record is live, nobody drives, places, waits or runs.
    Rests,
    /// Healed, no node takes itself for cut off.
    Heals,
    /// What is committed is there after a crash.
    DiskKeeps,
    /// All correct replicas execute the same under one number, and come to the same state.
    OneOrder,
    /// A command is executed once, and whoever asks for it again is told the same.
    ExactlyOnce,
    /// What users are told of the shared memory can have happened in one order, each between its asking and its answer.
    Linearizable,
    /// A lock has one holder at a time, and its numbers grow.
    OneHolder,
    /// What was put to the vote is there with its votes, what was decided stands and proves itself.
    Decisions,
    /// No correct member says two different things in one place, nor is convicted of it; who has lost its disk says
    /// nothing more.
    NoContradiction,
    /// Each vote is one that its voter cast, each decision follows from the votes, and each committee from a motion.
    NoForgery,
    /// No correct replica stops.
    Halts,
    /// Healed, whatever users want of the ledger has an outcome in time.
    Outcomes,
    /// A machine panicked.
    NoPanic,
}

impl Rule {
    /// Whether two that drive one task, each by right, may break it.
    pub fn is_between_drivers(self) -> bool {
        match self {
            Self::Ballots
            | Self::InForce
            | Self::OneEnding
            | Self::EndedIsChosen
            | Self::ResultIsReal
            | Self::AcknowledgedIsHeld
            | Self::Keeps => true,
            Self::OneRegister
            | Self::DurableBeforeSaid
            | Self::PromisesKept
            | Self::Slots
            | Self::Able
            | Self::Isolated
            | Self::After
            | Self::Turns
            | Self::Blamed
            | Self::Bounded
            | Self::Ends
            | Self::Copies
            | Self::Outbox
            | Self::Takes
            | Self::Rests
            | Self::Heals
            | Self::DiskKeeps
            | Self::OneOrder
            | Self::ExactlyOnce
            | Self::Linearizable
            | Self::OneHolder
            | Self::Decisions
            | Self::NoContradiction
            | Self::NoForgery
            | Self::Halts
            | Self::Outcomes
            | Self::NoPanic => false,
        }
    }
}

impl Violation {
    pub fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self { rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}
