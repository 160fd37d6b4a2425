//! A replica: the task that one member is asked to run, and no other can.

use mesh_proto::{
    capability::{Capabilities, Operator, Requirement, Requirements, Test, Value},
    id::{NodeId, TaskId},
    task::{Spec, TaskKey},
    time::Wall,
};

/// What one member is asked to run, after it was asked in vain so many times.
pub(super) fn replica_of(spec: &Spec, of: &TaskId, (node, before): (NodeId, u8), now: Wall) -> Spec {
    let mut requirements = spec.requirements.to_vec();
    if let Ok(name) = NODE.parse() {
        let test = Test::Compare(Operator::Equal, Value::Text(node.to_string()));
        requirements.push(Requirement { name, test, soft: false });
    }
    Spec {
        key: if before == 0 { TaskKey::Replica(*of, node) } else { TaskKey::Again(*of, node, before) },
        born: now,
        requirements: Requirements::new(requirements).unwrap_or_else(|_| spec.requirements.clone()),
        redundancy: 1,
        job: None,
        ..spec.clone()
    }
}

/// The capability that each member has and no other: its id.
pub const NODE: &str = "node";

/// What a member has, and that it is itself: of that nobody is taken at his word.
pub fn named(node: &NodeId, capabilities: &Capabilities) -> Capabilities {
    let mut named = capabilities.clone();
    if let Ok(name) = NODE.parse() {
        named.assert(name, Value::Text(node.to_string()));
    }
    named
}
