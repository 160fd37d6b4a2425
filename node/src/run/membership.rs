//! What an operator does to the member table.

use crate::{
    api::{
        brain::{Brain as _, BrainGone},
        members::{ForgetError, Membership},
    },
    brain::{BrainHandle, clock},
    directory::Directory,
    identity::Identity,
};
use futures::future::BoxFuture;
use mesh_coordinator::{Answer, Command, Input};
use mesh_proto::{
    codec, credential::Credential, genesis::Genesis, id::NodeId, key::SecretKey, member::MemberEntry, role::Role,
    task::Octets,
};

pub struct NodeMembership {
    key: SecretKey,
    genesis: Genesis,
    credential: Credential,
    brain: BrainHandle,
    directory: Directory,
}

impl NodeMembership {
    pub fn new(identity: &Identity, brain: BrainHandle, directory: Directory) -> Self {
        Self {
            key: SecretKey::from_bytes(&identity.key.to_bytes()),
            genesis: identity.genesis.clone(),
            credential: identity.credential.clone(),
            brain,
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
            self.brain.inbox().ask(Input::Member(member)).await.map_err(|_| BrainGone)?;
            // The table as it is behind that, which is told when it is on disk.
            match self.brain.ask(Command::Members).await?.one().await {
                Some(Answer::Members(members)) => {
                    let is_out = members.iter().any(|member| member.node == node && member.state == "forgotten");
                    if is_out { Ok(()) } else { Err(ForgetError::NotYet(node)) }
                }
                _ => Err(BrainGone.into()),
            }
        })
    }

    fn is_revoked(&self, node: NodeId) -> bool {
        self.directory.revoked(node).is_some()
    }

    fn is_maker(&self, node: NodeId) -> bool {
        node == self.genesis.maker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        brain::{Waiting, inbox},
        directory,
        identity::{self, DataDir},
    };
    use mesh_proto::{id::StoreId, role};
    use tempfile::TempDir;

    /// A node's word is kept when it is on its disk: where nobody writes there is no success.
    #[tokio::test]
    async fn nobody_is_forgotten_by_a_brain_that_has_ended() {
        let dir = TempDir::new().unwrap();
        let lock = DataDir::lock(dir.path()).unwrap();
        let maker = identity::init(&lock, "forget".parse().unwrap(), false, clock::wall()).unwrap();
        let other = SecretKey::from_bytes(&[9; 32]).node_id();
        let table = Directory::new(maker.genesis.clone());
        table.note(&mesh_membership::Member { node: other, ..directory::myself(&maker, StoreId(1)) });
        assert_eq!(maker.credential.role(), role::Role::Full);

        let (way_in, way_out) = inbox();
        drop(way_out);
        let brain = BrainHandle::new(way_in, Waiting::default(), tokio::runtime::Handle::current());
        let forgotten = NodeMembership::new(&maker, brain, table).forget(other, false).await;
        assert!(matches!(forgotten, Err(ForgetError::Gone(BrainGone))), "{forgotten:?}");
    }
}
