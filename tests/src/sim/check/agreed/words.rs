use crate::sim::check::{Rule, Violation};
use mesh_proto::{
    domain::Epoch,
    id::{Digest, NodeId},
    pbft::{EpochConfig, Message},
};
use std::collections::{BTreeMap, BTreeSet};

/// What correct members have signed, across all their lives.
#[derive(Default)]
pub struct Words {
    /// Of the epochs that there are.
    configs: BTreeMap<Epoch, EpochConfig>,
    said: BTreeMap<(NodeId, Epoch, Place), Digest>,
    /// Their disks are lost.
    forgot: BTreeSet<NodeId>,
}

/// What one may say one thing about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    PrePrepare(u64, u64),
    Prepare(u64, u64),
    Commit(u64, u64),
    Checkpoint(u64),
    ViewChange(u64),
    NewView(u64),
}

impl Words {
    /// There is this epoch.
    pub fn begin(&mut self, config: EpochConfig) {
        self.configs.insert(config.epoch, config);
    }

    /// Whether this node was ever a member.
    pub fn was_member(&self, node: &NodeId) -> bool {
        self.configs.values().any(|config| config.replica_of(node).is_some())
    }

    /// The disk of this node is lost: what it said as a member, nobody knows.
    pub fn forgets(&mut self, node: NodeId) {
        self.forgot.insert(node);
    }

    /// A correct node says something.
    pub fn said(&mut self, node: NodeId, message: &Message) -> Result<(), Violation> {
        let Some((epoch, place, digest)) = self.statement(node, message) else { return Ok(()) };
        let wrong = |what: String| Err(Violation::new(Rule::NoContradiction, format!("in epoch {}: {what}", epoch.0)));
        // Its own view change of before it may have got back from others, and pass it on as it would another's (seed 70693 of
        // a build in which promises were released too early). Votes travel by themselves: none is said again.
        let passes_on = matches!(place, Place::ViewChange(_) | Place::NewView(_))
            && self.said.get(&(node, epoch, place)) == Some(&digest);
        if self.forgot.contains(&node) && !passes_on {
            return wrong(format!("{node} says {place:?} {digest} and does not know what it said before"));
        }
        let first = *self.said.entry((node, epoch, place)).or_insert(digest);
        match first == digest {
            true => Ok(()),
            false => wrong(format!("{node} says {place:?} {digest}, and had said {first}")),
        }
    }

    /// What of it the sender signed itself: of others' it may be a messenger.
    fn statement(&self, node: NodeId, message: &Message) -> Option<(Epoch, Place, Digest)> {
        let own = |epoch, replica| self.configs.get(&epoch).is_some_and(|config| config.member(replica) == Some(node));
        let primary = |epoch, view| self.configs.get(&epoch).map(|config| config.primary(view));
        match message {
            Message::PrePrepare(m) => {
                Some((m.epoch, Place::PrePrepare(m.view.get(), m.sequence.get()), m.batch.digest()))
            }
            Message::Prepare(m) => Some((m.epoch, Place::Prepare(m.view.get(), m.sequence.get()), m.digest)),
            Message::Commit(m) => Some((m.epoch, Place::Commit(m.view.get(), m.sequence.get()), m.digest)),
            Message::Checkpoint(m) => Some((m.epoch, Place::Checkpoint(m.sequence.get()), m.digest)),
            Message::ViewChange(m) if own(m.change.epoch, m.change.replica) => {
                Some((m.change.epoch, Place::ViewChange(m.change.view.get()), m.change.digest()))
            }
            Message::NewView(m) if primary(m.epoch, m.view).is_some_and(|primary| own(m.epoch, primary)) => {
                let signature = Digest::of("a signature", &[m.signature.as_bytes()]);
                Some((m.epoch, Place::NewView(m.view.get()), signature))
            }
            Message::ViewChange(_)
            | Message::NewView(_)
            | Message::Request(_)
            | Message::Status(_)
            | Message::Fetch(_)
            | Message::Requests(_)
            | Message::Batch(_)
            | Message::Decided(_)
            | Message::Stable(_)
            | Message::Epochs(_)
            | Message::Chunk(_)
            | Message::Reply(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        id::NetworkId,
        key::SecretKey,
        pbft::{Change, Phase, ReplicaId, Sequence, View, ViewChange, Vote},
    };
    use std::sync::Arc;

    #[test]
    fn who_has_lost_its_disk_passes_on_its_old_view_change_and_votes_for_nothing() {
        let keys: Vec<SecretKey> = (1..=4).map(|n| SecretKey::from_bytes(&[n; 32])).collect();
        let config = EpochConfig::genesis(keys.iter().map(SecretKey::node_id)).unwrap();
        let (network, node) = (NetworkId::from_bytes([9; 32]), keys[0].node_id());
        let replica: ReplicaId = config.replica_of(&node).unwrap();
        let vote = |digest| {
            let at = (View::ZERO, Sequence::new(1));
            let digest = Digest::from_bytes([digest; 32]);
            Message::Prepare(Vote::sign(&keys[0], &network, Phase::Prepare, (Epoch(0), replica), at, digest))
        };
        let view_change = |stable| {
            let (view, stable) = (View::ZERO.next(), Sequence::new(stable));
            let change = Change { epoch: Epoch(0), view, replica, stable, proof: None, prepared: Vec::new() };
            Message::ViewChange(Arc::new(ViewChange::sign(&keys[0], &network, change)))
        };
        let mut words = Words::default();
        words.begin(config);
        words.said(node, &vote(1)).unwrap();
        words.said(node, &vote(1)).unwrap();
        assert!(words.said(node, &vote(2)).is_err());
        words.said(node, &view_change(0)).unwrap();
        words.forgets(node);
        words.said(node, &view_change(0)).unwrap();
        assert!(words.said(node, &view_change(1)).is_err(), "another than it had said");
        assert!(words.said(node, &vote(1)).is_err(), "though it is the same");
    }
}
