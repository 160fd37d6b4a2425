use super::{Checkpoint, EpochConfig, NewView, Phase, ReplicaId, Sequence, View, ViewChange, Vote};
use crate::{
    domain::Epoch,
    id::{Digest, NetworkId, NodeId},
    key::{self, Signature},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Two validly signed statements of one member that no correct one makes both of. Whoever has the epoch's configuration
/// can check it, without any other message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "r")]
    pub replica: ReplicaId,
    #[serde(rename = "c")]
    pub conflict: Conflict,
}

/// The two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Conflict {
    /// Two digests for one view and number.
    #[serde(rename = "v")]
    Votes {
        #[serde(rename = "p")]
        phase: Phase,
        #[serde(rename = "v")]
        view: View,
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "a")]
        one: (Digest, Signature),
        #[serde(rename = "b")]
        other: (Digest, Signature),
    },
    /// Two digests for one checkpoint.
    #[serde(rename = "k")]
    Checkpoints {
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "a")]
        one: (Digest, Signature),
        #[serde(rename = "b")]
        other: (Digest, Signature),
    },
    /// Two VIEW-CHANGEs for one view; their digests are what was signed.
    #[serde(rename = "c")]
    ViewChanges {
        #[serde(rename = "a")]
        one: Arc<ViewChange>,
        #[serde(rename = "b")]
        other: Arc<ViewChange>,
    },
    /// Two NEW-VIEWs for one view.
    #[serde(rename = "w")]
    NewViews {
        #[serde(rename = "a")]
        one: Arc<NewView>,
        #[serde(rename = "b")]
        other: Arc<NewView>,
    },
}

impl Evidence {
    /// Bytes of an encoded one: two view changes of a large window.
    pub const LIMIT: usize = 32 * 1024 * 1024;

    /// Whether it is of one place with another: a second one there convicts of nothing new.
    #[must_use]
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        let place = (self.epoch, self.replica, self.conflict.place());
        place == (other.epoch, other.replica, other.conflict.place())
    }

    /// Who is convicted; `None` if it proves nothing against anybody in `config`.
    #[must_use]
    pub fn verify(&self, network: &NetworkId, config: &EpochConfig) -> Option<NodeId> {
        if self.epoch != config.epoch {
            return None;
        }
        let node = config.member(self.replica)?;
        let holds = |statement: &_, signature: &_| key::verify(node, statement, signature).is_ok();
        let proved = match &self.conflict {
            Conflict::Votes { phase, view, sequence, one, other } => {
                let at = (*view, *sequence);
                one.0 != other.0
                    && [one, other].into_iter().all(|(digest, signature)| {
                        holds(&Vote::statement(*phase, network, self.epoch, at, digest), signature)
                    })
            }
            Conflict::Checkpoints { sequence, one, other } => {
                one.0 != other.0
                    && [one, other].into_iter().all(|(digest, signature)| {
                        holds(&Checkpoint::statement(network, self.epoch, *sequence, digest), signature)
                    })
            }
            Conflict::ViewChanges { one, other } => {
                one.change != other.change
                    && one.change.view == other.change.view
                    && [one, other].into_iter().all(|each| {
                        let of_it = each.change.epoch == self.epoch && each.change.replica == self.replica;
                        let statement = ViewChange::statement(network, self.epoch, &each.change.digest());
                        of_it && holds(&statement, &each.signature)
                    })
            }
            Conflict::NewViews { one, other } => {
                !one.says_as(other)
                    && one.view == other.view
                    && config.primary(one.view) == self.replica
                    && [one, other]
                        .into_iter()
                        .all(|each| each.epoch == self.epoch && holds(&each.statement(network), &each.signature))
            }
        };
        proved.then_some(node)
    }
}

impl Conflict {
    /// What contradicts what, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Votes { phase: Phase::PrePrepare, .. } => "pre_prepares",
            Self::Votes { phase: Phase::Prepare, .. } => "prepares",
            Self::Votes { phase: Phase::Commit, .. } => "commits",
            Self::Checkpoints { .. } => "checkpoints",
            Self::ViewChanges { .. } => "view_changes",
            Self::NewViews { .. } => "new_views",
        }
    }

    /// The view that it is in; none of checkpoints.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        match self {
            Self::Checkpoints { .. } => None,
            Self::Votes { .. } | Self::ViewChanges { .. } | Self::NewViews { .. } => Some(self.place().1),
        }
    }

    /// The number that it is about; none of what is about a view as a whole.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::Votes { .. } | Self::Checkpoints { .. } => Some(self.place().2),
            Self::ViewChanges { .. } | Self::NewViews { .. } => None,
        }
    }

    fn place(&self) -> (u8, View, Sequence) {
        match self {
            Self::Votes { phase, view, sequence, .. } => (*phase as u8, *view, *sequence),
            Self::Checkpoints { sequence, .. } => (3, View::ZERO, *sequence),
            Self::ViewChanges { one, .. } => (4, one.change.view, Sequence::ZERO),
            Self::NewViews { one, .. } => (5, one.view, Sequence::ZERO),
        }
    }
}
