use super::{Accepted, Durable, Entered, Held, Kept, Standing};
use crate::{Fact, table::Table};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{Batch, ClientEntry, EpochCertificate, ReplicaId, Request, Sequence, Summary, View},
};
use std::{collections::BTreeMap, sync::Arc};

impl Durable {
    /// Reads no time, draws nothing, says nothing.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Accepted { view, sequence, digest, proposal, batch, bodies, prepare } => {
                self.keep(*sequence, digest, batch.as_ref(), bodies);
                let accepted = Accepted { view: *view, digest: *digest, proposal: *proposal, prepare: *prepare };
                self.log.entry(*sequence).or_default().accepted = Some(accepted);
            }
            Fact::Prepared { certificate, commit } => {
                let entry = self.log.entry(certificate.sequence).or_default();
                entry.prepared = Some(Arc::clone(certificate));
                entry.commit = Some(*commit);
            }
            Fact::Left { message } => {
                self.view = message.change.view;
                self.standing = Standing::Changing(Arc::clone(message));
            }
            Fact::Entered { message, changes } => {
                self.view = message.view;
                self.standing = Standing::Active;
                self.entered = Some(Entered { message: Arc::clone(message), changes: changes.clone() });
            }
            Fact::Checkpoint { summary, clients, vote } => self.hold(summary, clients, *vote),
            Fact::Stable { certificate } => self.move_to(certificate),
            Fact::Installed { certificate, clients } => self.install(certificate, clients),
            Fact::Epochs { certificates } => certificates.iter().for_each(|certificate| self.begin_epoch(certificate)),
            Fact::Evidence { evidence } => {
                self.evidence.entry((evidence.epoch, evidence.replica)).or_default().push(Arc::clone(evidence));
            }
            Fact::Amnesia => self.amnesia = true,
            Fact::Halted { alarm } => self.halted = Some(alarm.clone()),
        }
    }

    fn keep(
        &mut self,
        sequence: Sequence,
        digest: &Digest,
        batch: Option<&Arc<Batch>>,
        bodies: &[(Digest, Arc<Request>)],
    ) {
        for (digest, body) in bodies {
            keep_one(&mut self.bodies, sequence, *digest, body);
        }
        let batch = batch.cloned().or_else(|| self.batches.get(digest).map(|kept| Arc::clone(&kept.value)));
        let Some(batch) = batch else { return };
        for request in &batch.requests {
            if let Some(kept) = self.bodies.get_mut(request) {
                kept.last = kept.last.max(sequence);
            }
        }
        keep_one(&mut self.batches, sequence, *digest, &batch);
    }

    fn hold(&mut self, summary: &Arc<Summary>, clients: &[ClientEntry], vote: Option<Signature>) {
        let before = self.checkpoints.last_key_value();
        let (since, mut table) = before.map_or_else(Default::default, |(at, held)| (*at, held.table.clone()));
        table.replace(clients, summary.floor);
        let (at, changed) = (summary.sequence, clients.len());
        let roots = table.roots();
        assert_eq!(roots, summary.clients, "the table of {at} is that of {since} and {changed} entries that changed");
        let held = Held {
            summary: Arc::clone(summary),
            digest: summary.digest(),
            table,
            clients: Arc::new(clients.to_vec()),
            vote: vote.map(|signature| (self.config.epoch, signature)),
        };
        self.checkpoints.insert(summary.sequence, held);
    }

    /// h, H, the log and the certificate in one. Section 4.3.
    fn move_to(&mut self, certificate: &Arc<EpochCertificate>) {
        let sequence = certificate.summary.sequence;
        self.stable = Some(Arc::clone(certificate));
        self.checkpoints.retain(|at, _| *at >= sequence);
        self.log = self.log.split_off(&sequence.next());
        self.batches.retain(|_, kept| kept.last > sequence);
        self.bodies.retain(|_, kept| kept.last > sequence);
        if certificate.summary.config.epoch > self.config.epoch {
            self.begin_epoch(certificate);
        }
    }

    fn install(&mut self, certificate: &Arc<EpochCertificate>, clients: &[ClientEntry]) {
        let summary = &certificate.summary;
        let held = Held {
            summary: Arc::new(summary.clone()),
            digest: certificate.certificate.digest,
            table: Table::from_entries(clients, summary.floor),
            clients: Arc::default(),
            vote: None,
        };
        self.checkpoints.clear();
        self.checkpoints.insert(summary.sequence, held);
        self.move_to(certificate);
    }

    /// Numbers above the boundary are of the new epoch, whose view is 0 and active: nothing of the old one is above it.
    fn begin_epoch(&mut self, certificate: &Arc<EpochCertificate>) {
        if certificate.summary.config.epoch <= self.config.epoch {
            return;
        }
        self.config = Arc::new(certificate.summary.config.clone());
        // What was caught in the last epoch may be on its way to where it is judged; of older ones nobody judges any more.
        let oldest = Epoch(self.config.epoch.0.saturating_sub(1));
        self.evidence = self.evidence.split_off(&(oldest, ReplicaId::new(0)));
        self.chain.push(Arc::clone(certificate));
        self.view = View::ZERO;
        self.standing = Standing::Active;
        self.entered = None;
        self.log.clear();
        self.batches.clear();
        self.bodies.clear();
    }
}

fn keep_one<T>(kept: &mut BTreeMap<Digest, Kept<T>>, sequence: Sequence, digest: Digest, value: &Arc<T>) {
    let one = kept.entry(digest).or_insert_with(|| Kept { value: Arc::clone(value), last: sequence });
    one.last = one.last.max(sequence);
}
