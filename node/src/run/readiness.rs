//! Whether the node is ready for work, and if not, why.

use super::meters::BrainMeters;
use crate::{api::brain::Brain as _, brain::BrainHandle};
use mesh_coordinator::{Answer, Command};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Failures to join that are remembered for whoever asks.
const FAILURES: usize = 4;

#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The brain has answered once.
    is_up: bool,
    reasons: Vec<String>,
    failures: VecDeque<String>,
}

impl Readiness {
    pub fn reasons(&self) -> Vec<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.is_up {
            true => state.reasons.clone(),
            false => vec!["still starting".into()],
        }
    }

    /// An address that did not lead into the mesh.
    pub fn note_failure(&self, why: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.push_back(why);
        if state.failures.len() > FAILURES {
            state.failures.pop_front();
        }
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
                let (reached, others) = (status.reachable.saturating_sub(1), status.members.saturating_sub(1));
                if reached * 2 < others {
                    state.reasons.push(format!("only {reached} of {others} other members can be reached"));
                    let failures: Vec<String> = state.failures.iter().cloned().collect();
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
