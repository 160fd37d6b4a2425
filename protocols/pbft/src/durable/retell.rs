use super::{Durable, Standing};
use crate::Fact;
use mesh_proto::{
    id::Digest,
    key::Signature,
    pbft::{Sequence, View},
};
use std::{collections::BTreeSet, sync::Arc};

impl Durable {
    /// The least facts from which all that counts follows: what to write when the log is begun anew.
    pub fn retell(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if !self.chain.is_empty() {
            facts.push(Fact::Epochs { certificates: self.chain.clone() });
        }
        let stable = self.stable.as_ref().map(|stable| stable.summary.sequence);
        if let Some(certificate) = &self.stable
            && let Some(held) = self.checkpoints.get(&certificate.summary.sequence)
        {
            let clients = held.table.entries().collect();
            facts.push(Fact::Installed { certificate: Arc::clone(certificate), clients });
        }
        for held in self.checkpoints.values().filter(|held| Some(held.summary.sequence) != stable) {
            let vote = held.vote.filter(|(epoch, _)| *epoch == self.config.epoch).map(|(_, signature)| signature);
            facts.push(Fact::Checkpoint { summary: Arc::clone(&held.summary), clients: held.clients.to_vec(), vote });
        }
        if let Some(entered) = &self.entered {
            let (message, changes) = (Arc::clone(&entered.message), entered.changes.clone());
            facts.push(Fact::Entered { message, changes });
        }
        if let Standing::Changing(message) = &self.standing {
            facts.push(Fact::Left { message: Arc::clone(message) });
        }
        self.log.keys().for_each(|sequence| self.retell_entry(*sequence, &mut facts));
        let evidence = self.evidence.values().flatten();
        facts.extend(evidence.map(|evidence| Fact::Evidence { evidence: Arc::clone(evidence) }));
        if self.amnesia {
            facts.push(Fact::Amnesia);
        }
        facts.extend(self.halted.clone().map(|alarm| Fact::Halted { alarm }));
        facts
    }

    /// Whether what is told anew has the batch: one that was accepted once, and another in its place since, it has not.
    pub fn tells_batch(&self, digest: &Digest) -> bool {
        self.batches.contains_key(digest) && self.told().any(|told| told == *digest)
    }

    /// The requests whose bodies it has, in the same way (simulator, seed 60056).
    pub fn told_bodies(&self) -> BTreeSet<Digest> {
        let batches = self.told().filter_map(|digest| self.batches.get(&digest));
        batches.flat_map(|kept| kept.value.requests.iter().copied()).collect()
    }

    fn told(&self) -> impl Iterator<Item = Digest> {
        self.log.values().flat_map(|entry| {
            let accepted = entry.accepted.map(|accepted| accepted.digest);
            accepted.into_iter().chain(entry.prepared.as_ref().map(|prepared| prepared.digest))
        })
    }

    fn retell_entry(&self, sequence: Sequence, facts: &mut Vec<Fact>) {
        let Some(entry) = self.log.get(&sequence) else { return };
        // A batch that prepared in an earlier view than the one that was accepted last is to be kept with its bodies.
        if let Some(prepared) = &entry.prepared
            && entry.accepted.is_none_or(|accepted| accepted.digest != prepared.digest)
        {
            facts.push(self.accepted(sequence, prepared.view, prepared.digest, prepared.proposal, None));
        }
        if let Some(accepted) = entry.accepted {
            let (view, digest) = (accepted.view, accepted.digest);
            facts.push(self.accepted(sequence, view, digest, accepted.proposal, accepted.prepare));
        }
        if let (Some(certificate), Some(commit)) = (&entry.prepared, entry.commit) {
            facts.push(Fact::Prepared { certificate: Arc::clone(certificate), commit });
        }
    }

    fn accepted(
        &self,
        sequence: Sequence,
        view: View,
        digest: Digest,
        proposal: Signature,
        prepare: Option<Signature>,
    ) -> Fact {
        let batch = self.batches.get(&digest).map(|kept| Arc::clone(&kept.value));
        let requests = batch.iter().flat_map(|batch| &batch.requests);
        let bodies = requests.filter_map(|request| Some((*request, Arc::clone(&self.bodies.get(request)?.value))));
        let bodies = bodies.collect();
        Fact::Accepted { view, sequence, digest, proposal, batch, bodies, prepare }
    }
}
