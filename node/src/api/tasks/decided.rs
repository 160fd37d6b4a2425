use crate::api::{Api, Code, Problem};
use mesh_coordinator::{Answer, Command, TaskView};
use mesh_proto::{id::TaskId, task::Register};
use std::{sync::Arc, time::Duration};

/// How long it may take to find out whether an end is decided, where a majority of the holders is in reach.
const SETTLES: Duration = Duration::from_secs(3);

/// The record of a task that has ended for good; `None` while it has not. What fewer than a majority of its holders are seen to have,
/// maybe one that was cut off as it wrote it, may end otherwise yet: who asks how it ends has that settled, and nobody tells him
/// before it is.
pub async fn decided(api: &Api, view: &TaskView) -> Result<Option<Arc<Register>>, Problem> {
    match view.register.ending() {
        None => Ok(None),
        Some(_) if view.in_force => Ok(Some(Arc::clone(&view.register))),
        Some(_) => settled(api, view.task).await,
    }
}

async fn settled(api: &Api, task: TaskId) -> Result<Option<Arc<Register>>, Problem> {
    let mut answers = api.ports.brain.ask(Command::Follow { tasks: vec![task] }).await?;
    let ended = async {
        while let Some(batch) = answers.next().await {
            for answer in batch {
                if let Answer::Ended { register, .. } = answer {
                    return Some(register);
                }
            }
        }
        None
    };
    tokio::select! {
        register = ended => Ok(register),
        () = tokio::time::sleep(SETTLES) => Ok(None),
        () = api.closing.cancelled() => Ok(None),
    }
}

pub fn not_ended(task: TaskId) -> Problem {
    Problem::new(Code::NotEnded, format!("task {task} has not ended: ask with ?wait=30s")).retry_after_ms(1_000)
}
