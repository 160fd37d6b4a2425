use crate::api::{Code, Problem, brain::BrainGone, order::Errand};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    agreement::Standing,
    id::NodeId,
    ledger::{Body, Outcome, Rejection, Seat},
};
use std::time::Duration;

/// Between two looks at the newcomer, which has a state to fetch.
const PERIOD: Duration = Duration::from_millis(250);

/// Has a node follow the committee until it is as near as one checkpoint, and the ledger know it. Taken in earlier it
/// would count in every quorum, and be in none.
pub async fn recruit(errand: &Errand<'_>, node: NodeId) -> Result<Seat, Problem> {
    introduce(errand, node).await?;
    let interval = mesh_ledger::Rules::default().checkpoint_interval;
    loop {
        let standing = follow(errand, node).await?;
        let replica = standing.and_then(|standing| standing.replica);
        let executed = replica.map(|replica| replica.executed.get());
        if replica.is_some_and(|replica| replica.halted) {
            return Err(Problem::new(Code::Conflict, format!("the replica of {node} has stopped: its log says why")));
        }
        let known = errand.api.executed.known().0;
        if let (Some(standing), Some(executed)) = (standing, executed)
            && executed + interval >= known
        {
            return Ok(Seat { node, store: Some(standing.store) });
        }
        if !errand.pause(PERIOD).await? {
            let where_it_is = match (standing, executed) {
                (None, _) => "does not answer".to_string(),
                (Some(_), None) => "does not follow yet".to_string(),
                (Some(_), Some(executed)) => format!("is at batch {executed} of {known}"),
            };
            let detail = format!("{node} {where_it_is}, and was not taken in");
            return Err(Problem::new(Code::Unavailable, detail).retry_after_ms(1_000));
        }
    }
}

/// Shows the ledger what let the node in, which it may not have seen.
async fn introduce(errand: &Errand<'_>, node: NodeId) -> Result<(), Problem> {
    let Some(credential) = (errand.api.ports.credential)(node) else { return Ok(()) };
    match errand.step(Body::Admit(Box::new(credential))).await? {
        // It was let in in time, and the invitation is over, or who made it may invite no more: what the ledger knows of it
        // decides.
        Outcome::Done(_) | Outcome::Rejected(Rejection::Expired | Rejection::NotInviter) => Ok(()),
        Outcome::Rejected(rejection) => Err((&rejection).into()),
    }
}

async fn follow(errand: &Errand<'_>, node: NodeId) -> Result<Option<Standing>, Problem> {
    match errand.api.ports.brain.ask(Command::Recruit { node }).await?.one().await {
        Some(Answer::Recruited(standing)) => Ok(standing),
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        _ => Err(BrainGone.into()),
    }
}
