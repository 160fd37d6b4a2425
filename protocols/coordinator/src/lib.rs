//! The brain of a node: one pure state machine made of the protocol machines.
//!
//! # How to hold it
//!
//! Make one with [`Coordinator::new`], give it what the store holds ([`Coordinator::load`], once per key) and what the
//! log holds behind that ([`Coordinator::apply`], in order), then one [`Input::Restarted`]. From then on feed every
//! event to [`Coordinator::handle`], and after the events that have arrived call [`Coordinator::flush`]: what was said
//! to one destination leaves in one frame. [`Coordinator::deadline`] says when to call
//! [`Coordinator::handle_deadline`] next.
//!
//! Effects are to be carried out in their order. `Persist` effects are numbered from the log position that the brain was
//! restored to; an effect with `after: n` may be carried out once record `n` is on disk, and not before: that is the
//! one rule on which every promise rests. The brain goes on meanwhile.

mod aggregates;
pub mod agreement;
mod answer;
mod command;
mod coordinator;
mod crowding;
mod decisions;
mod effect;
mod fact;
mod frames;
mod input;
mod lists;
mod liveness;
mod queries;
mod read_only;
mod recovery;
mod requests;
mod scan;
mod tables;

pub use answer::{Answer, DrainView, MemberView, Refusal, StatusView, TaskList, TaskView};
pub use command::{Command, RequestId};
pub use coordinator::{Changes, Config, Coordinator};
pub use effect::{Accused, Effect, Message};
pub use fact::Fact;
pub use input::Input;
pub use mesh_proto::control::{
    ControlMessage, Heartbeat, ListFilter, Marks, Query, QueryReply, StoryLine, TaskSummary,
};
pub use read_only::{PartitionView, Side};
pub use recovery::Recoveries;
