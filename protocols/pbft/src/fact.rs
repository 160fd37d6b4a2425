use crate::Alarm;
use mesh_proto::{
    id::Digest,
    key::Signature,
    pbft::{
        Batch, ClientEntry, EpochCertificate, Evidence, NewView, Prepared, Request, Sequence, Summary, View, ViewChange,
    },
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a replica keeps on disk. Each is written before what rests on it is sent; own signatures are in them, so that
/// what is sent again after a restart is what was sent before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fact {
    /// The proposal for a number was accepted, or made; with what of it was not on the disk before. Rests on it: the
    /// PRE-PREPARE, the PREPARE.
    #[serde(rename = "a")]
    Accepted {
        #[serde(rename = "v")]
        view: View,
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "d")]
        digest: Digest,
        /// The primary's.
        #[serde(rename = "s")]
        proposal: Signature,
        #[serde(rename = "b")]
        batch: Option<Arc<Batch>>,
        #[serde(rename = "q")]
        bodies: Vec<(Digest, Arc<Request>)>,
        /// Of the own PREPARE; the primary sends none.
        #[serde(rename = "p")]
        prepare: Option<Signature>,
    },
    /// A batch prepared. Rests on it: the COMMIT.
    #[serde(rename = "p")]
    Prepared {
        #[serde(rename = "c")]
        certificate: Arc<Prepared>,
        /// Of the own COMMIT.
        #[serde(rename = "s")]
        commit: Signature,
    },
    /// The view was left. Rests on it: the VIEW-CHANGE, which is this.
    #[serde(rename = "v")]
    Left {
        #[serde(rename = "m")]
        message: Arc<ViewChange>,
    },
    /// A view was entered. Rests on it: the NEW-VIEW, and the PREPAREs for its set O.
    #[serde(rename = "n")]
    Entered {
        #[serde(rename = "m")]
        message: Arc<NewView>,
        #[serde(rename = "c")]
        changes: Vec<Arc<ViewChange>>,
    },
    /// A checkpoint was made here, of the state that the caller holds under this number. Rests on it: the CHECKPOINT.
    #[serde(rename = "k")]
    Checkpoint {
        #[serde(rename = "k")]
        summary: Arc<Summary>,
        /// What the client table has of each gateway that it has anything else of than at the one before; nothing of one
        /// that it has let go of.
        #[serde(rename = "x")]
        clients: Vec<ClientEntry>,
        /// Of the own CHECKPOINT; none by who does not vote.
        #[serde(rename = "s")]
        vote: Option<Signature>,
    },
    /// A checkpoint held here is stable: water marks, log and certificate move together, and the epoch if it ends here.
    #[serde(rename = "s")]
    Stable {
        #[serde(rename = "c")]
        certificate: Arc<EpochCertificate>,
    },
    /// The state of a stable checkpoint came from others, and is held here now.
    #[serde(rename = "i")]
    Installed {
        #[serde(rename = "c")]
        certificate: Arc<EpochCertificate>,
        #[serde(rename = "e")]
        clients: Vec<ClientEntry>,
    },
    /// Epochs have ended of which this replica has not the state.
    #[serde(rename = "e")]
    Epochs {
        #[serde(rename = "c")]
        certificates: Vec<Arc<EpochCertificate>>,
    },
    /// A member contradicted itself.
    #[serde(rename = "w")]
    Evidence {
        #[serde(rename = "e")]
        evidence: Arc<Evidence>,
    },
    /// This key may have voted from a disk that is lost: it votes no more.
    #[serde(rename = "l")]
    Amnesia,
    /// The replica has stopped for good: what it holds is for people to look at, and nothing is put in its place.
    #[serde(rename = "h")]
    Halted {
        #[serde(rename = "a")]
        alarm: Alarm,
    },
}
