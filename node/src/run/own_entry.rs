//! What this node says of itself: signed anew when it learns where it can be reached.

use crate::{
    brain::{Inbox, clock},
    directory,
    identity::Identity,
    network::NetworkHandle,
};
use mesh_coordinator::Input;
use mesh_proto::{credential::Credential, genesis::Genesis, id::StoreId, key::SecretKey};

/// The maker of entries.
pub struct OwnEntry {
    key: SecretKey,
    genesis: Genesis,
    credential: Credential,
    store: StoreId,
    network: NetworkHandle,
    inbox: Inbox,
    said: Vec<String>,
}

impl OwnEntry {
    pub fn new(identity: &Identity, store: StoreId, network: NetworkHandle, inbox: Inbox) -> Self {
        Self {
            key: SecretKey::from_bytes(&identity.key.to_bytes()),
            genesis: identity.genesis.clone(),
            credential: identity.credential.clone(),
            store,
            network,
            inbox,
            said: Vec::new(),
        }
    }

    /// Tells the mesh, if there is something new to tell.
    pub async fn refresh(&mut self) {
        let known = self.network.external().into_iter().chain(self.network.listening());
        let mut addresses: Vec<String> = Vec::new();
        for address in known.map(|address| address.to_string()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.truncate(8);
        if addresses == self.said {
            return;
        }
        let entry =
            directory::own_entry(&self.key, &self.genesis, &self.credential, self.store, &addresses, clock::wall());
        self.said = addresses;
        if self.inbox.send(Input::Me(entry)).await.is_err() {
            tracing::debug!("the brain has ended");
        }
    }
}
