use crate::{Ledger, Map, key, state::record};
use mesh_proto::ledger::{DecisionProof, Proposal, ProposalId, Standing};

impl Ledger {
    /// What a third party needs to check the decision on this proposal, out of a snapshot: of a checkpoint that the
    /// committee certified, so that the path in it leads to a certified root. None of what is not there.
    #[must_use]
    pub fn proof(snapshot: &Map, id: &ProposalId) -> Option<DecisionProof> {
        let proposal: Proposal = record(snapshot.get(&key::proposal(id))?);
        let standing: Standing = record(snapshot.get(&id.standing_key())?);
        let votes = snapshot.below(&key::round(id, standing.round), usize::MAX);
        let votes = votes.into_iter().map(|entry| record(entry.value())).collect();
        let inclusion = Some(snapshot.inclusion(&id.standing_key()));
        Some(DecisionProof { proposal: Box::new(proposal), standing, votes, inclusion })
    }
}
