//! The ledger is to know this node: it shows its credential once the committee can be reached.

use crate::{api::brain::Brain as _, brain::BrainHandle};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    agreement::{Operation, Ran},
    codec,
    credential::Credential,
    id::Digest,
    ledger::{Body, Command as Ordered, CommandId, Index, Outcome, Rejection},
};
use std::time::Duration;

/// An answer is waited for so long; a committee without a quorum gives none.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts; grows, since nothing depends on it soon.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Until the ledger has it, or says that it never will.
pub async fn admit(brain: BrainHandle, credential: Credential) {
    let (mut pause, mut born, mut attempt) = (PAUSE.0, Index::GENESIS, 0u64);
    loop {
        match tokio::time::timeout(PATIENCE, ask(&brain, &credential, born, attempt)).await {
            Ok(Some(Outcome::Done(_))) => return,
            Ok(Some(Outcome::Rejected(Rejection::Stale { floor }))) => born = floor,
            // Somebody else took the id, or there is no room now.
            Ok(Some(Outcome::Rejected(Rejection::Reused | Rejection::TooMany | Rejection::Full))) => attempt += 1,
            // A data directory of before its last invitation.
            Ok(Some(Outcome::Rejected(Rejection::Already))) => {
                tracing::warn!("the ledger knows this node by a later invitation than that of its credential");
                return;
            }
            Ok(Some(Outcome::Rejected(why))) => {
                tracing::warn!(%why, "the ledger does not know this node: it cannot vote or be of the committee");
                return;
            }
            Ok(None) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn ask(brain: &BrainHandle, credential: &Credential, born: Index, attempt: u64) -> Option<Outcome> {
    // The same at each start: it was executed once, whoever repeats it.
    let key = Digest::of("meshd v1 admission", &[&codec::encode(credential), &attempt.to_le_bytes()]);
    let id = CommandId { principal: "meshd".parse().ok()?, key: key.as_bytes().as_slice().into(), born };
    let command = Ordered { id, body: Body::Admit(Box::new(credential.clone())) };
    let operations = vec![Operation::Command(Box::new(command))];
    let mut answers = brain.ask(Command::Order { operations }).await.ok()?;
    while let Some(batch) = answers.next().await {
        for answer in batch {
            if let Answer::Ordered { ran: Ran::Outcome(outcome), .. } = answer {
                return Some(outcome);
            }
        }
    }
    None
}
