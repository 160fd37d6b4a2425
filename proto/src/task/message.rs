use super::{Announcement, Attempt, Ballot, Bid, Birth, Outcome, Register, Version};
use crate::{
    bounded,
    codec::{self, DecodeError},
    id::{Digest, NodeId, TaskId},
    limits,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One frame of `/mesh/task/1`: what a node had to say to another in one flush. Point to point: who sent it is known
/// from the connection, nothing in it is forwarded or kept as proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frame {
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::FRAME_ITEMS }>")]
    pub items: Vec<Item>,
}

impl Frame {
    /// Reads one. Any CBOR of the same value will do: nothing in a frame is signed or hashed but the specifications,
    /// whose bytes are kept as they came.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, super::FRAME_LIMIT)
    }
}

/// A copy of a record as a holder has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    #[serde(rename = "i")]
    pub birth: Arc<Birth>,
    #[serde(rename = "b")]
    pub ballot: Ballot,
    #[serde(rename = "v")]
    pub version: Version,
    #[serde(rename = "r")]
    pub register: Arc<Register>,
}

/// What a node says of a task that it holds already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    #[serde(rename = "g")]
    pub digest: Digest,
    #[serde(rename = "h", deserialize_with = "bounded::list::<_, _, { limits::HOLDERS }>")]
    pub holders: Vec<NodeId>,
    /// All its named holders are known to have it: safe to acknowledge.
    #[serde(rename = "c")]
    pub confirmed: bool,
}

/// One thing about one task, or about as many as two nodes trade. The letters in the encoding are the wire's; the names are the field's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Item {
    // Birth: gateway and holders.
    /// Gateway to each named holder: keep this record. `supersedes` is the first placement of the
    /// same submission, by the same gateway: that one and all since are given up.
    #[serde(rename = "p")]
    Place {
        #[serde(rename = "i")]
        birth: Arc<Birth>,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "r")]
        register: Arc<Register>,
        #[serde(rename = "s", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        supersedes: Option<Ballot>,
    },
    /// Holder to gateway: on disk here.
    #[serde(rename = "q")]
    Placed {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
    },
    /// Holder to gateway: not placed, the id is taken here.
    #[serde(rename = "k")]
    Taken {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "k")]
        known: Known,
    },
    /// Holder to gateway: not on this node's own home list for the id, which is this.
    #[serde(rename = "n")]
    NotMine {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "h", deserialize_with = "bounded::list::<_, _, { limits::HOLDERS }>")]
        home: Vec<NodeId>,
    },
    /// Holder to gateway: no room; ask again after so many milliseconds.
    #[serde(rename = "y")]
    Busy {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "m")]
        retry_ms: u32,
    },
    /// To a gateway or a would-be driver: its key was drawn before what this node still remembers, or it remembers to have
    /// forgotten it.
    #[serde(rename = "o")]
    TooOld {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "f")]
        floor: Wall,
        /// When the task ended, or was found to have, where it is remembered that it was held here and did.
        #[serde(rename = "e", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        ended: Option<Wall>,
    },
    /// Gateway to the holders: all of you have it.
    #[serde(rename = "c")]
    Born {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
    },
    /// Gateway to the holders: this placement was given up; forget it if nothing came of it.
    #[serde(rename = "z")]
    Abandon {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
    },

    // The register: driver and holders.
    /// Would-be driver to every node whose promise it needs.
    #[serde(rename = "P")]
    Prepare {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        /// Of its key: who has forgotten all that is older says so instead of promising.
        #[serde(rename = "o")]
        born: Wall,
    },
    /// Nothing below this ballot will be accepted here; this is what is held.
    #[serde(rename = "Q")]
    Promise {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "h", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        held: Option<Held>,
    },
    /// Refused: a higher ballot was promised.
    #[serde(rename = "N")]
    Refused {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "p")]
        promised: Ballot,
    },
    /// Driver to holder: the register is now this. The birth comes along where the holder may lack it.
    #[serde(rename = "W")]
    Write {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
        #[serde(rename = "r")]
        register: Arc<Register>,
        #[serde(rename = "s", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        birth: Option<Arc<Birth>>,
    },
    /// On disk here.
    #[serde(rename = "w")]
    Wrote {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
    },
    /// Holder to driver: send the birth along.
    #[serde(rename = "u")]
    LacksBirth {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
    },
    /// Holder to driver, after a reconnection: this is how far I am with what you drive.
    #[serde(rename = "v")]
    Pull {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
    },
    /// Driver to holder, to a pull: not driven here.
    #[serde(rename = "V")]
    NotDriven {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
    },

    /// Driver to whoever took part: a majority of the holders has just this. Of an end a holder knows then that it is
    /// decided, and may be forgotten in time; who only promised may forget that it did.
    #[serde(rename = "I")]
    InForce {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
        /// All holders have it.
        #[serde(rename = "c")]
        complete: bool,
    },

    // Execution: driver and executor.
    /// Driver to executor: the attempt is granted and on disk; run it unless you know it already.
    #[serde(rename = "a")]
    Assign {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: Attempt,
        #[serde(rename = "s")]
        birth: Arc<Birth>,
    },
    /// Driver to executor: what became of it?
    #[serde(rename = "?")]
    Ask {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
        /// Milliseconds since it was granted: who has been up for longer and does not know it never had it.
        #[serde(rename = "m")]
        age_ms: u64,
    },
    /// Executor to driver: queued or running here.
    #[serde(rename = "r")]
    Running {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
    },
    /// Executor to driver: not here. Without a reason it may have been, before a restart.
    #[serde(rename = "l")]
    NotRunning {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
        /// Why it was given back, if it was.
        #[serde(rename = "y", deserialize_with = "bounded::text::<_, { limits::REASON_BYTES }>")]
        why: String,
    },
    /// Executor to driver: what came of it; kept until settled.
    #[serde(rename = "R")]
    Report {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
        #[serde(rename = "o")]
        outcome: Arc<Outcome>,
    },
    /// To the executor: the task is settled, forget what you kept for it; stop it if it runs.
    #[serde(rename = "S")]
    Settled {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
    },
    /// To the executor from a holder that does not drive: ask this one.
    #[serde(rename = "T")]
    DrivenBy {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "d")]
        driver: NodeId,
    },

    // Handing over what waits for a slot: from a victim to a thief, by the word of each task's driver.
    /// Thief to victim: has slots for so many.
    #[serde(rename = "A")]
    Steal {
        #[serde(rename = "n")]
        most: u32,
    },
    /// Victim to thief: so many are on their way, from their drivers.
    #[serde(rename = "Y")]
    Yielded {
        #[serde(rename = "n")]
        count: u32,
    },
    /// Victim to driver: this attempt is not begun, and will not be until it is said to be kept. The other has a slot for it.
    #[serde(rename = "X")]
    Retract {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
        #[serde(rename = "t")]
        thief: NodeId,
    },
    /// Driver to victim: it is another's by now. Do not begin it; what came of it all the same is kept until it is settled.
    #[serde(rename = "H")]
    Handed {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
    },
    /// Driver to victim: it stays with you.
    #[serde(rename = "K")]
    Keep {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
    },

    // Auctions.
    /// Auctioneer to whoever may bid.
    #[serde(rename = "U")]
    Announce(Announcement),
    /// Bidder to auctioneer; none if it does not want it.
    #[serde(rename = "B")]
    Bid {
        #[serde(rename = "a")]
        auction: u64,
        #[serde(rename = "b", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        bid: Option<Bid>,
    },
    /// Auctioneer to whoever bid: it is closed, and so many are yours. Each comes from its driver.
    #[serde(rename = "L")]
    Closed {
        #[serde(rename = "a")]
        auction: u64,
        #[serde(rename = "n")]
        won: u32,
    },

    // Gateways that wait, and users that ask.
    /// Gateway to a home member: tell me its holders and how it ends.
    #[serde(rename = "f")]
    Follow {
        #[serde(rename = "i")]
        task: TaskId,
    },
    /// To a follower: it is held by these.
    #[serde(rename = "g")]
    Following {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "k")]
        known: Known,
    },
    /// To a follower or a canceller: nothing known of this id here.
    #[serde(rename = "x")]
    Unknown {
        #[serde(rename = "i")]
        task: TaskId,
    },
    /// To a follower: it ended, and a majority of its holders has it so.
    #[serde(rename = "e")]
    Ended {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "g")]
        digest: Digest,
        #[serde(rename = "r")]
        register: Arc<Register>,
    },
    /// Driver of a task that is to start after it, to its holders: it is to be kept, however long ago it ended, for as long as
    /// that one has not; or, where not `still`, it is needed no more. Answered with `Following` or `Unknown`.
    #[serde(rename = "d")]
    Needed {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "s")]
        still: bool,
    },
    /// Gateway to the holders: the user wants it to end.
    #[serde(rename = "C")]
    Cancel {
        #[serde(rename = "i")]
        task: TaskId,
    },
}

impl Item {
    /// Which task it is about, if it is about one.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Steal { .. } | Self::Yielded { .. } | Self::Announce(_) | Self::Bid { .. } | Self::Closed { .. } => {
                None
            }
            Self::Place { birth, .. } => Some(birth.task),
            Self::Placed { task, .. }
            | Self::Taken { task, .. }
            | Self::NotMine { task, .. }
            | Self::Busy { task, .. }
            | Self::TooOld { task, .. }
            | Self::Born { task, .. }
            | Self::Abandon { task, .. }
            | Self::Prepare { task, .. }
            | Self::Promise { task, .. }
            | Self::Refused { task, .. }
            | Self::Write { task, .. }
            | Self::Wrote { task, .. }
            | Self::LacksBirth { task, .. }
            | Self::Pull { task, .. }
            | Self::NotDriven { task, .. }
            | Self::InForce { task, .. }
            | Self::Assign { task, .. }
            | Self::Ask { task, .. }
            | Self::Running { task, .. }
            | Self::NotRunning { task, .. }
            | Self::Report { task, .. }
            | Self::Settled { task, .. }
            | Self::DrivenBy { task, .. }
            | Self::Retract { task, .. }
            | Self::Handed { task, .. }
            | Self::Keep { task, .. }
            | Self::Follow { task }
            | Self::Needed { task, .. }
            | Self::Following { task, .. }
            | Self::Unknown { task }
            | Self::Ended { task, .. }
            | Self::Cancel { task } => Some(*task),
        }
    }
}
