//! What this node says of itself: signed anew when it learns where it can be reached, when what it has changes, and when
//! others know a newer word of it than its last.

use crate::{
    brain::{Inbox, clock},
    directory,
    identity::Identity,
    network::NetworkHandle,
};
use mesh_coordinator::Input;
use mesh_proto::{address::Addresses, capability::Capabilities, genesis::Genesis, key::SecretKey, member::Presence};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// Between two words of what it has: workers that come and go by the dozen are one word for all.
const PAUSE: Duration = Duration::from_millis(100);

/// Something that this node is to say of itself, and who is told when it has.
pub struct Wish {
    pub will: Will,
    pub said: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Will {
    /// It takes work, or what it has goes elsewhere.
    Drain(bool),
    Leave,
}

/// The maker of entries.
pub struct OwnEntry {
    key: SecretKey,
    genesis: Genesis,
    /// What it last said, and what does not change of it.
    presence: Presence,
    network: NetworkHandle,
    inbox: Inbox,
    /// The incarnation above which to speak, as the brain asks.
    asked: watch::Receiver<u64>,
    /// What this node has.
    has: watch::Receiver<Arc<Capabilities>>,
    /// What its operator wants of it.
    wishes: mpsc::Receiver<Wish>,
    /// Who is told when it is said next.
    told: Vec<oneshot::Sender<()>>,
    /// It has changed, and is said then.
    due: Option<Instant>,
    said: Option<Vec<String>>,
    said_at: Option<Instant>,
}

impl OwnEntry {
    pub fn new(
        identity: &Identity,
        presence: Presence,
        network: NetworkHandle,
        inbox: Inbox,
        asked: watch::Receiver<u64>,
        has: watch::Receiver<Arc<Capabilities>>,
        wishes: mpsc::Receiver<Wish>,
    ) -> Self {
        Self {
            key: SecretKey::from_bytes(&identity.key.to_bytes()),
            genesis: identity.genesis.clone(),
            presence,
            network,
            inbox,
            asked,
            has,
            wishes,
            told: Vec::new(),
            due: None,
            said: None,
            said_at: None,
        }
    }

    /// When the brain asks for a newer word, or this node has something else to say: never, once they have ended. What was
    /// heard is not lost where this is not waited for to its end.
    pub async fn asked(&mut self) {
        loop {
            if let Some(due) = self.due {
                tokio::time::sleep_until(due).await;
                self.due = None;
                return;
            }
            tokio::select! {
                Ok(()) = self.asked.changed() => return,
                Some(Wish { will, said }) = self.wishes.recv() => {
                    match will {
                        Will::Drain(drains) => self.presence.drains = drains,
                        Will::Leave => self.presence.left = true,
                    }
                    self.told.push(said);
                    return;
                }
                Ok(()) = self.has.changed() => {
                    let now = Instant::now();
                    self.due = Some(self.said_at.map_or(now, |at| now.max(at + PAUSE)));
                }
                else => std::future::pending::<()>().await,
            }
        }
    }

    /// Tells the mesh, if there is something new to tell.
    pub async fn refresh(&mut self) {
        let addresses = self.addresses();
        if self.said.as_ref() != Some(&addresses) {
            self.say(addresses).await;
        }
    }

    /// Says the same again, above what the brain asked for.
    pub async fn say_again(&mut self) {
        let addresses = self.addresses();
        self.say(addresses).await;
    }

    async fn say(&mut self, addresses: Vec<String>) {
        let now = clock::wall();
        let highest = self.presence.incarnation.max(*self.asked.borrow_and_update());
        self.presence.incarnation = now.0.max(highest.saturating_add(1));
        self.presence.joined = now;
        self.presence.addresses = Addresses::first_of(addresses.iter().cloned());
        self.presence.capabilities = Capabilities::clone(&self.has.borrow_and_update());
        let entry = directory::own_entry(&self.key, &self.genesis, self.presence.clone());
        (self.said, self.said_at) = (Some(addresses), Some(Instant::now()));
        // The way of what users ask: who wanted it asks the brain behind it.
        if self.inbox.ask(Input::Me(entry)).await.is_err() {
            tracing::debug!("the brain has ended");
        }
        for told in self.told.drain(..) {
            if told.send(()).is_err() {
                tracing::debug!("whoever wanted it said does not wait any more");
            }
        }
    }

    fn addresses(&self) -> Vec<String> {
        let known = self.network.external().into_iter().chain(self.network.listening());
        let mut addresses: Vec<String> = Vec::new();
        for address in known.map(|address| address.to_string()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.truncate(8);
        addresses
    }
}
