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
use std::time::Duration;
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
}

impl NodeDraining {
    pub fn new(wishes: mpsc::Sender<Wish>, brain: BrainHandle, runtime: Handle, left: CancellationToken) -> Self {
        Self { wishes, brain, runtime, left }
    }

    async fn wish(&self, will: Will) -> Result<(), BrainGone> {
        let (said, is_said) = oneshot::channel();
        self.wishes.send(Wish { will, said }).await.map_err(|_| BrainGone)?;
        is_said.await.map_err(|_| BrainGone)
    }
}

impl Draining for NodeDraining {
    fn say(&self, drains: bool) -> BoxFuture<'_, Result<(), BrainGone>> {
        Box::pin(self.wish(Will::Drain(drains)))
    }

    fn stop_running_in(&self, time: Duration) {
        let (brain, left) = (self.brain.clone(), self.left.clone());
        self.runtime.spawn(async move {
            tokio::select! {
                () = left.cancelled() => return,
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
