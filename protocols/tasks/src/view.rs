//! What a node can say about tasks, for people.

use crate::{driver::Driver, roster::Load, tasks::Tasks};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{How, Priority, State},
    time::Wall,
};

/// Where a task is in its life, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Waiting,
    Running,
    Ended(How),
}

impl TaskState {
    /// `waiting running done failed cancelled deadline_passed`
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended(How::Done) => "done",
            Self::Ended(How::Failed) => "failed",
            Self::Ended(How::Cancelled) => "cancelled",
            Self::Ended(How::DeadlinePassed) => "deadline_passed",
        }
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub held: usize,
    pub held_live: usize,
    pub driving: usize,
    /// Tasks that nobody drives, and that this node will take over when others have come to an end.
    pub orphaned: usize,
    pub placing: usize,
    pub following: usize,
    pub queued: usize,
    /// Of what is queued, as much as others could begin at once, by what they say.
    pub hoarded: usize,
    pub running: u32,
    pub outbox: usize,
    /// Slots that are kept for what was bid for.
    pub reserved: u32,
    /// Tasks whose replicas are asked for here.
    pub polls: usize,
    /// Where this node drains: records that name it as a holder, as of the last look through all of them, if there was one.
    pub to_move: Option<Option<usize>>,
}

/// An attempt that is to have a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub task: TaskId,
    pub attempt: u32,
    pub priority: Priority,
    /// And a worker.
    pub for_worker: bool,
    /// It may go to another node, and is not begun until that is known.
    pub retracted: bool,
}

impl Tasks {
    /// What waits here, by id.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> + Clone {
        self.executor.waiting()
    }

    /// Of which replicas are asked for here.
    pub fn polls(&self) -> impl Iterator<Item = &TaskId> {
        self.polls.tasks()
    }

    /// How busy this node is, as it says of itself.
    pub fn own_load(&self) -> Load {
        let queued = u32::try_from(self.executor.queued()).unwrap_or(u32::MAX);
        Load { slots: self.config.slots, running: self.executor.running(), queued }
    }

    pub fn totals(&self) -> Totals {
        let queued = self.executor.queued();
        Totals {
            held: self.shelf.copies_len(),
            held_live: self.shelf.live().len(),
            driving: self.drivers.len(),
            orphaned: self.takeovers.waiting(),
            placing: self.gateway.placing_len(),
            following: self.gateway.following.len(),
            queued,
            hoarded: if queued == 0 { 0 } else { queued.min(self.roster.free_elsewhere()) },
            running: self.executor.running(),
            outbox: self.shelf.outbox().len(),
            reserved: self.auctions.reserved(),
            polls: self.polls.count(),
            to_move: self.drains().then(|| self.drain.named()),
        }
    }

    /// As this node holds it; `None` where it does not.
    pub fn state_of(&self, task: &TaskId) -> Option<TaskState> {
        let copy = self.shelf.copy(task)?;
        Some(match &copy.register.state {
            State::Ended(ending) => TaskState::Ended(ending.how),
            State::Waiting => TaskState::Waiting,
            State::Assigned(_) if self.is_running(task) => TaskState::Running,
            State::Assigned(_) => TaskState::Waiting,
        })
    }

    /// It runs here, or this node drives it and its executor said that it has it.
    pub fn is_running(&self, task: &TaskId) -> bool {
        self.executor.is_running(task)
            || matches!(self.drivers.get(task), Some(Driver::Driving(reign)) if reign.running)
    }

    /// Where this node drives the task: the holders whose word is still being waited for.
    pub fn waiting_for(&self, task: &TaskId) -> Option<Vec<NodeId>> {
        let copy = self.shelf.copy(task)?;
        let everyone = crate::driver::everyone(&copy.register);
        match self.drivers.get(task)? {
            Driver::Driving(reign) => {
                Some(everyone.filter(|holder| !reign.acked.contains(holder)).map(|holder| holder.node).collect())
            }
            Driver::Campaigning(campaign) => {
                Some(everyone.filter(|holder| !campaign.has(holder)).map(|holder| holder.node).collect())
            }
        }
    }

    /// What happened here to a task, in order.
    pub fn story_of(&self, task: &TaskId) -> Vec<(Wall, String)> {
        self.story.of(task).collect()
    }
}
