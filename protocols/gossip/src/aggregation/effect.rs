use super::Answer;
use mesh_proto::{
    aggregate::{Aggregate, AggregateId},
    id::NodeId,
};

/// What aggregations ask of their surroundings.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To be said to a member. It may be lost, come late or twice.
    Say { to: NodeId, said: Aggregate },
    /// What is this node's own value of that name? To be told by [`Aggregations::measured`].
    ///
    /// [`Aggregations::measured`]: super::Aggregations::measured
    Measure { id: AggregateId, name: String },
    /// One that was asked for here is over. The last word of it.
    Answer { id: AggregateId, answer: Answer },
}
