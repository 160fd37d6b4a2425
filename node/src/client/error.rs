use crate::api::Problem;

/// Why a node did not do what it was asked, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no node answers at {nodes} ({why}): start one with `meshd run`, or name another with --api")]
    NoNode { nodes: String, why: String },
    /// What was asked may have been done, or be done when the node goes on.
    #[error(
        "{node} takes connections and answers nothing: is it stopped, or its machine overloaded? Name another with --api"
    )]
    Silent { node: String },
    #[error("{0}")]
    Refused(Box<Problem>),
    /// What was asked may have been done or not.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing was asked: this cannot be sent to anybody.
    #[error("no request can be made of that: {0}")]
    Request(String),
    #[error("an answer that this version does not understand: {0}")]
    Answer(String),
}

impl ClientError {
    /// Whether the node was lost, and not heard to refuse.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::NoNode { .. } | Self::Silent { .. } | Self::Broken(_))
    }

    /// Whether another try, at this node or another, may do.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::NoNode { .. } | Self::Silent { .. } | Self::Broken(_) => true,
            Self::Refused(problem) => problem.retry_ms.is_some(),
            Self::Request(_) | Self::Answer(_) => false,
        }
    }
}
