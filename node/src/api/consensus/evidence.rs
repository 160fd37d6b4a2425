//! What members of the committee are convicted of, as the ledger keeps it, and as this node alone has found it.

use crate::api::{Api, order::look};
use futures::future::join_all;
use mesh_coordinator::agreement::AgreementView;
use mesh_proto::{
    codec,
    genesis::Engine,
    id::NodeId,
    ledger::{Query, Row},
    limits,
    pbft::{Evidence, Sequence, View},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A member has contradicted itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceStatus {
    /// A peer id.
    pub accused: String,
    /// What contradicts what: two `pre_prepares`, `prepares`, `commits`, `checkpoints`, `view_changes` or `new_views`.
    pub kind: String,
    /// Of which committee.
    pub epoch: u64,
    /// Missing of checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// The batch that it is about. Missing where it is about a view as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// Asked of the ledger for each member: what is kept of one is bounded. Where no ledger is in reach none is shown, as all
/// else of the status is to be had then, too.
pub async fn of(api: &Api, view: &AgreementView) -> Vec<EvidenceStatus> {
    // Under Raft nothing is signed.
    let members = if view.engine == Engine::Pbft { &view.epoch.members[..] } else { &[] };
    let found = join_all(members.iter().map(|member| look(api, Query::Evidence(*member)))).await;
    let rows = found.into_iter().filter_map(Result::ok).flat_map(|answer| answer.rows);
    rows.filter_map(|row| match row {
        Row::Evidence(evidence) => {
            let proof = codec::decode(&evidence.proof, limits::EVIDENCE_BYTES).ok()?;
            Some(EvidenceStatus::new(&evidence.accused, &proof))
        }
        _ => None,
    })
    .collect()
}

impl EvidenceStatus {
    pub fn new(accused: &NodeId, proof: &Evidence) -> Self {
        Self {
            accused: accused.to_string(),
            kind: proof.conflict.kind().to_owned(),
            epoch: proof.epoch.0,
            view: proof.conflict.view().map(View::get),
            index: proof.conflict.sequence().map(Sequence::get),
        }
    }
}
