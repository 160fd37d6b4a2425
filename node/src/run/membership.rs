//! What an operator does to the member table.

use crate::{
    api::members::{ForgetError, Membership},
    brain::{Inbox, clock},
    directory::Directory,
    identity::Identity,
};
use futures::future::BoxFuture;
use mesh_coordinator::Input;
use mesh_proto::{
    codec, credential::Credential, genesis::Genesis, id::NodeId, key::SecretKey, member::MemberEntry, role::Role,
    task::Octets,
};

pub struct NodeMembership {
    key: SecretKey,
    genesis: Genesis,
    credential: Credential,
    inbox: Inbox,
    directory: Directory,
}

impl NodeMembership {
    pub fn new(identity: &Identity, inbox: Inbox, directory: Directory) -> Self {
        Self {
            key: SecretKey::from_bytes(&identity.key.to_bytes()),
            genesis: identity.genesis.clone(),
            credential: identity.credential.clone(),
            inbox,
            directory,
        }
    }
}

impl Membership for NodeMembership {
    fn forget(&self, node: NodeId, force: bool) -> BoxFuture<'_, Result<(), ForgetError>> {
        Box::pin(async move {
            if node == self.key.node_id() {
                return Err(ForgetError::Myself);
            }
            let Some(dated) = self.directory.dated(node) else { return Err(ForgetError::Unknown(node)) };
            if self.credential.role() != Role::Full {
                return Err(ForgetError::NotAllowed);
            }
            if node == self.genesis.maker && !force {
                return Err(ForgetError::Maker(node));
            }
            let network = self.genesis.network_id();
            let by = self.credential.clone();
            // An inviter's clock that is ahead must not make the credential of now one of after this.
            let at = clock::wall().max(dated);
            let entry = MemberEntry::forgotten(&self.key, &network, by, node, at);
            let bytes: Octets = codec::encode(&entry).into();
            let member = self.directory.verify(&bytes).ok_or(ForgetError::NotAllowed)?;
            if self.inbox.send(Input::Member(member)).await.is_err() {
                tracing::debug!("the brain has ended");
            }
            Ok(())
        })
    }
}
