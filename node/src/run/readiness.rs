//! Whether the node is ready for work, and if not, why.

use super::meters::BrainMeters;
use crate::{api::brain::Brain as _, brain::BrainHandle};
use libp2p::Multiaddr;
use mesh_coordinator::{Answer, Command};
use mesh_proto::id::NodeId;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Addresses that failed and are remembered for whoever asks.
const FAILURES: usize = 16;

#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The brain has answered once.
    is_up: bool,
    reasons: Vec<String>,
    failures: VecDeque<Failed>,
}

/// An address that did not lead into the mesh, whoever was meant.
struct Failed {
    address: Multiaddr,
    peer: Option<NodeId>,
    why: String,
}

impl Readiness {
    pub fn reasons(&self) -> Vec<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.is_up {
            true => state.reasons.clone(),
            false => vec!["still starting".into()],
        }
    }

    /// An address does not lead into the mesh: the latest cause stays until it does.
    pub fn note_failure(&self, address: Multiaddr, peer: Option<NodeId>, why: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.retain(|failed| failed.address != address);
        state.failures.push_back(Failed { address, peer, why });
        if state.failures.len() > FAILURES {
            state.failures.pop_front();
        }
    }

    /// A member was reached: what failed of it before is of no interest any more.
    pub fn note_reached(&self, node: NodeId, address: &Multiaddr) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.retain(|failed| failed.peer != Some(node) && failed.address != *address);
    }
}

impl Readiness {
    /// What the brain said of itself, if it said anything. `false` when it has ended.
    fn note(&self, answer: Option<Option<Answer>>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_up = true;
        state.reasons.clear();
        match answer {
            Some(Some(Answer::Status(status))) => {
                if !status.introduced {
                    let why = "no member has told this node yet who else is in the mesh: it takes no work before";
                    state.reasons.push(why.into());
                }
                let (reached, others) = (status.reachable.saturating_sub(1), status.members.saturating_sub(1));
                if reached * 2 < others {
                    state.reasons.push(format!("only {reached} of {others} other members can be reached"));
                }
                if !state.reasons.is_empty() {
                    let failures: Vec<String> =
                        state.failures.iter().map(|failed| format!("{}: {}", failed.address, failed.why)).collect();
                    state.reasons.extend(failures);
                }
                if !status.disk_has_room {
                    state.reasons.push("the disk is nearly full: new work is refused".into());
                }
            }
            Some(_) => return false,
            None => state.reasons.push("the brain does not answer".into()),
        }
        true
    }
}

/// Asks the brain twice a second.
pub async fn watch(readiness: Readiness, meters: BrainMeters, brain: BrainHandle) {
    loop {
        let Ok(answers) = brain.ask(Command::Status).await else { return };
        let answer = tokio::time::timeout(Duration::from_secs(5), answers.one()).await;
        if let Ok(Some(Answer::Status(status))) = &answer {
            meters.note(status);
        }
        if !readiness.note(answer.ok()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
