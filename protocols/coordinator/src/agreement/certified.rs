//! What the committee certified last, for whoever trusts no node and checks it.

use super::Agreement;
use mesh_ledger::Ledger;
use mesh_proto::ledger::{Bundle, Certified, Index, ProposalId};
use std::sync::Arc;

impl Agreement {
    /// As this node's replica holds it, with the decision on `proposal` if one is named. None before the first
    /// checkpoint is stable, while the last one is before batch `behind`, and where its state does not say so.
    pub fn certified(&self, behind: Index, proposal: Option<&ProposalId>) -> Option<Certified> {
        let seat = self.seat.as_ref()?;
        let checkpoint = Arc::clone(seat.replica.stable()?);
        let sequence = checkpoint.summary.sequence;
        if sequence.get() < behind.0 {
            return None;
        }
        // After a restart the state that is held may be that of a later one, which is not stable yet.
        let state = seat.keeper.state(sequence)?;
        let proof = match proposal {
            Some(id) => Some(Box::new(Ledger::proof(state, id)?)),
            None => None,
        };
        Some(Certified { checkpoint, root: state.root(), proof })
    }

    /// With the chain of epochs that leads there, which every node knows; none while this node knows fewer of them.
    pub fn bundle(&self, certified: Certified) -> Option<Bundle> {
        let epoch = certified.checkpoint.certificate.epoch;
        let chain = self.seat.as_ref().map_or_else(|| self.follower.chain(), |seat| seat.replica.chain());
        let ends: Vec<_> = chain.iter().take_while(|end| end.certificate.epoch < epoch).cloned().collect();
        let is_whole = u64::try_from(ends.len()) == Ok(epoch.0);
        is_whole.then(|| Bundle { genesis: self.setup.genesis.clone(), ends, certified })
    }
}
