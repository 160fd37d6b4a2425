//! Why an incoming connection came to nothing, as a label from a fixed set.

use super::gate::Denied;
use libp2p::{
    allow_block_list::Blocked,
    connection_limits::Exceeded,
    memory_connection_limits::MemoryUsageLimitExceeded,
    swarm::{ConnectionDenied, ListenError},
};

pub fn reason(error: &ListenError) -> &'static str {
    match error {
        ListenError::Denied { cause } => of_denied(cause),
        ListenError::Transport(_) => "handshake",
        ListenError::Aborted | ListenError::WrongPeerId { .. } | ListenError::LocalPeerId { .. } => {
            "incoming_connection"
        }
    }
}

fn of_denied(cause: &ConnectionDenied) -> &'static str {
    if cause.downcast_ref::<Exceeded>().is_some() {
        "too_many_connections"
    } else if cause.downcast_ref::<MemoryUsageLimitExceeded>().is_some() {
        "too_little_memory"
    } else if cause.downcast_ref::<Blocked>().is_some() {
        "blocked"
    } else {
        match cause.downcast_ref::<Denied>() {
            Some(Denied::Crowded(_)) => "too_many_strangers",
            Some(Denied::ForeignKey(_)) => "foreign_key",
            None => "incoming_connection",
        }
    }
}
