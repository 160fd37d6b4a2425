//! What an operator wants this node to say of itself: that it drains, or has left.

use super::own_entry::{Will, Wish};
use crate::{
    api::{
        brain::{Brain as _, BrainGone},
        drain::Draining,
    },
    brain::BrainHandle,
};
use futures::future::BoxFuture;
use mesh_coordinator::Command;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

pub struct NodeDraining {
    wishes: mpsc::Sender<Wish>,
    brain: BrainHandle,
    runtime: Handle,
    /// Ends the node.
    left: CancellationToken,
    /// Ends the wait for the last deadline: a later word of the operator takes its place.
    deadline: Mutex<CancellationToken>,
}

impl NodeDraining {
    pub fn new(wishes: mpsc::Sender<Wish>, brain: BrainHandle, runtime: Handle, left: CancellationToken) -> Self {
        let deadline = Mutex::new(left.child_token());
        Self { wishes, brain, runtime, left, deadline }
    }

    /// What is waited for from now on; the last is not any more.
    fn renew(&self) -> CancellationToken {
        let next = self.left.child_token();
        std::mem::replace(&mut *self.deadline.lock().unwrap_or_else(PoisonError::into_inner), next.clone()).cancel();
        next
    }

    async fn wish(&self, will: Will) -> Result<(), BrainGone> {
        let (said, is_said) = oneshot::channel();
        self.wishes.send(Wish { will, said }).await.map_err(|_| BrainGone)?;
        is_said.await.map_err(|_| BrainGone)
    }
}

impl Draining for NodeDraining {
    fn say(&self, drains: bool) -> BoxFuture<'_, Result<(), BrainGone>> {
        self.renew();
        Box::pin(self.wish(Will::Drain(drains)))
    }

    fn stop_running_in(&self, time: Duration) {
        let (brain, over) = (self.brain.clone(), self.renew());
        self.runtime.spawn(async move {
            tokio::select! {
                () = over.cancelled() => return,
                () = tokio::time::sleep(time) => {}
            }
            if brain.ask(Command::StopRunning).await.is_err() {
                tracing::debug!("the brain has ended");
            }
        });
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), BrainGone>> {
        Box::pin(async move {
            self.wish(Will::Leave).await?;
            // Behind it, and so on disk here and sent to whoever is connected.
            drop(self.brain.ask(Command::Status).await?.one().await);
            tracing::info!("this node has left the mesh, and stops");
            self.left.cancel();
            Ok(())
        })
    }
}
