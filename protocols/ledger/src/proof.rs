use crate::{Ledger, Map, key};
use mesh_proto::{
    codec,
    ledger::{DecisionProof, Proposal, ProposalId, Standing},
    limits,
};
use serde::de::DeserializeOwned;

impl Ledger {
    /// What a third party needs to check the decision on this proposal, out of a snapshot: of a checkpoint that the
    /// committee certified, so that the path in it leads to a certified root. None of what is not there.
    #[must_use]
    pub fn proof(snapshot: &Map, id: &ProposalId) -> Option<DecisionProof> {
        let proposal: Proposal = read(snapshot.get(&key::proposal(id))?)?;
        let standing: Standing = read(snapshot.get(&id.standing_key())?)?;
        let votes = snapshot.below(&key::round(id, standing.round), limits::ELECTORATE);
        let votes = votes.into_iter().map(|entry| read(entry.value())).collect::<Option<_>>()?;
        let inclusion = Some(snapshot.inclusion(&id.standing_key()));
        Some(DecisionProof { proposal: Box::new(proposal), standing, votes, inclusion })
    }
}

/// A map need not be a ledger's.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    codec::decode(bytes, limits::ENTRY_BYTES).ok()
}
