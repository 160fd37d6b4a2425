//! What this node says of itself: signed anew when it learns where it can be reached, and when others know a newer word
//! of it than its last.

use crate::{
    brain::{Inbox, clock},
    directory,
    identity::Identity,
    network::NetworkHandle,
};
use mesh_coordinator::Input;
use mesh_proto::{address::Addresses, genesis::Genesis, key::SecretKey, member::Presence};
use tokio::sync::watch;

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
    said: Option<Vec<String>>,
}

impl OwnEntry {
    pub fn new(
        identity: &Identity,
        presence: Presence,
        network: NetworkHandle,
        inbox: Inbox,
        asked: watch::Receiver<u64>,
    ) -> Self {
        Self {
            key: SecretKey::from_bytes(&identity.key.to_bytes()),
            genesis: identity.genesis.clone(),
            presence,
            network,
            inbox,
            asked,
            said: None,
        }
    }

    /// When the brain asks for a newer word; never, once it has ended.
    pub async fn asked(&mut self) {
        if self.asked.changed().await.is_err() {
            std::future::pending::<()>().await;
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
        let entry = directory::own_entry(&self.key, &self.genesis, self.presence.clone());
        self.said = Some(addresses);
        if self.inbox.send(Input::Me(entry)).await.is_err() {
            tracing::debug!("the brain has ended");
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
