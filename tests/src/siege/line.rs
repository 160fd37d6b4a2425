//! A history is lines of JSON: what was tried, what users asked and were told, what was there in the end. All that is judged
//! is in it, so that it can be judged again.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    Siege(Siege),
    Operation(Operation),
    Fault(Fault),
    /// All nodes were up, and nothing was agreed on for so long.
    Stuck {
        at: u64,
        ms: u64,
    },
    /// A node ended that nobody had told to.
    Died {
        at: u64,
        node: usize,
        status: String,
        log: String,
    },
    /// When all of the memory was read in the end: what is not among [`Line::Found`] was not there.
    Read {
        asked: u64,
        answered: u64,
    },
    Found(Found),
    Proposal(Proposal),
    Proof(Proof),
    Standing(Standing),
    /// It was left with all of this in it.
    End {
        at: u64,
    },
}

/// What it was, and how to have it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siege {
    pub version: String,
    pub engine: String,
    pub network: String,
    /// Of all that was drawn. Processes take their own time, so another run is not the same one.
    pub seed: u64,
    pub nodes: usize,
    pub clients: usize,
    pub kill_every_ms: u64,
}

/// One thing that a user wanted, however often he asked for it: each time under the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Names what it writes, too.
    pub number: u32,
    pub user: usize,
    #[serde(flatten)]
    pub wish: Wish,
    /// In microseconds since the siege began, as all times here.
    pub asked: u64,
    /// None where nobody knows what came of it: it may have happened at any time since, or not at all.
    pub answered: Option<u64>,
    /// The batch in which it was said to have run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    pub attempts: u32,
    pub outcome: Outcome,
    /// What whoever asked once more was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Told>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Wish {
    Put {
        key: String,
    },
    Get {
        key: String,
    },
    Delete {
        key: String,
    },
    /// With the version that it must find, none for nothing; it writes, or deletes. What it writes counts one further.
    Swap {
        key: String,
        expect: Option<u64>,
        writes: bool,
        count: u64,
    },
    Lock {
        lock: u64,
        lease_ms: u64,
    },
    Renew {
        lock: u64,
        fence: u64,
        lease_ms: u64,
    },
    Unlock {
        lock: u64,
        fence: u64,
    },
    /// Its title is the operation's number.
    Propose,
    /// By this node.
    Vote {
        proposal: String,
        node: usize,
        approve: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Unknown,
    /// Nobody took it: it never happens.
    Refused(String),
    Told(Told),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Written {
        version: u64,
    },
    Deleted {
        found: bool,
    },
    Value {
        version: u64,
        write: u32,
        count: u64,
    },
    Nothing,
    Mismatch {
        version: Option<u64>,
    },
    /// Until when, in agreed time.
    Granted {
        fence: u64,
        expires_ms: u64,
    },
    Held,
    NotHeld,
    Released,
    Proposed {
        proposal: String,
    },
    /// How the proposal stood with this vote.
    Voted {
        state: String,
    },
    /// Ordered, and rejected otherwise; or what is no answer.
    Rejected {
        code: String,
    },
}

/// A value that was there in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub key: String,
    pub version: u64,
    pub write: u32,
    pub count: u64,
}

/// A proposal as it stood in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub proposal: String,
    pub title: String,
    pub state: String,
    pub approve: u32,
    pub reject: u32,
    pub electors: u32,
}

/// What `ledger verify --proof` said of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub proposal: String,
    /// What it proves; none if it proves nothing, for this reason.
    pub state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Where a replica stood in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub node: usize,
    pub view: u64,
    pub executed: u64,
    pub checkpoint: Option<u64>,
    /// Of the state at the checkpoint.
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub at: u64,
    pub what: Blow,
    pub nodes: Vec<usize>,
    /// Until they were let go on, or started again.
    pub ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blow {
    KillPrimary,
    KillBackup,
    FreezePrimary,
    FreezeBackup,
    KillAll,
}

impl Wish {
    /// As figures name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "put",
            Self::Get { .. } => "get",
            Self::Delete { .. } => "delete",
            Self::Swap { .. } => "swap",
            Self::Lock { .. } => "lock",
            Self::Renew { .. } => "renew",
            Self::Unlock { .. } => "unlock",
            Self::Propose => "propose",
            Self::Vote { .. } => "vote",
        }
    }

    /// Of the shared memory.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Put { key } | Self::Get { key } | Self::Delete { key } | Self::Swap { key, .. } => Some(key),
            Self::Lock { .. } | Self::Renew { .. } | Self::Unlock { .. } | Self::Propose | Self::Vote { .. } => None,
        }
    }
}

impl Operation {
    pub fn told(&self) -> Option<&Told> {
        match &self.outcome {
            Outcome::Told(told) => Some(told),
            Outcome::Unknown | Outcome::Refused(_) => None,
        }
    }

    /// Nobody knows what came of it.
    pub fn is_open(&self) -> bool {
        self.outcome == Outcome::Unknown
    }
}

impl Told {
    /// Ordered, and without an effect.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Mismatch { .. } | Self::Held | Self::NotHeld | Self::Rejected { .. })
    }
}

impl Blow {
    pub fn name(self) -> &'static str {
        match self {
            Self::KillPrimary => "kill -9 of the primary",
            Self::KillBackup => "kill -9 of a backup",
            Self::FreezePrimary => "the primary frozen",
            Self::FreezeBackup => "a backup frozen",
            Self::KillAll => "kill -9 of all",
        }
    }
}
