//! Who runs the replicas of a task: drawn by lot from those that are able, the same by all who know the same members.

use crate::{Roster, capability};
use mesh_proto::{
    capability::{Capabilities, Requirements},
    id::{Digest, NodeId, TaskId},
};

/// A member, as the drawing needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Drawable<'a> {
    pub node: NodeId,
    pub capabilities: &'a Capabilities,
    /// It can be talked to now.
    pub connected: bool,
}

/// The members that may be drawn for anything.
pub fn drawable(roster: &Roster) -> impl Iterator<Item = Drawable<'_>> {
    roster.iter().filter(|(_, seat)| seat.holds).map(|(node, seat)| Drawable {
        node: *node,
        capabilities: &seat.capabilities,
        connected: seat.connected,
    })
}

/// One of the draw, in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    pub node: NodeId,
    /// It has what the task requires, by what is known of it now.
    pub able: bool,
    pub connected: bool,
}

/// All members, in the order in which those of them are asked that are able. Nobody chooses his place in it: it is by a hash of both ids
/// (Thaler and Ravishankar, *Using Name-Based Mappings to Increase Hit Rates*, 1998), and the task's own is one of its key.
pub fn draw<'a>(
    of: &TaskId,
    requirements: &Requirements,
    members: impl IntoIterator<Item = Drawable<'a>>,
) -> Vec<Drawn> {
    let lot = |node: &NodeId| Digest::of("meshd 2026 replica lot", &[of.as_bytes(), node.as_bytes()]);
    let drawn = members.into_iter().map(|Drawable { node, capabilities, connected }| {
        let able = capability::rate(requirements, capabilities).is_ok();
        (lot(&node), Drawn { node, able, connected })
    });
    let mut drawn: Vec<_> = drawn.collect();
    drawn.sort_unstable();
    drawn.into_iter().map(|(_, drawn)| drawn).collect()
}
