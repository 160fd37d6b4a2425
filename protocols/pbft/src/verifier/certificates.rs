use super::{
    Refusal, Signatures, Verifier,
    seen::{Known, Seen},
};
use mesh_proto::{
    domain::Statement,
    id::{Digest, NodeId},
    key::Signature,
    pbft::{
        Ballots, Checkpoint, Decided, EpochCertificate, EpochConfig, NewView, Phase, Prepared, Stable, View,
        ViewChange, Vote,
    },
};
use std::sync::Arc;

use crate::quorum::Quorums;

impl<C: Signatures> Verifier<C> {
    /// Of the signer's own word to this replica. Each is checked once, and under another signature it is refused unchecked:
    /// who sends one again and again costs nothing.
    pub(super) fn spoken(&mut self, from: NodeId, statement: &Statement, signature: &Signature) -> Result<(), Refusal> {
        let digest = Seen::digest(statement);
        match self.seen.of(from, &digest, signature) {
            Known::Otherwise => Err(Refusal::Duplicate),
            Known::Checked => Ok(()),
            Known::No => self.check_signature(from, (statement, digest), signature),
        }
    }

    /// Of a word that somebody else brings, in a certificate or whole, and what the statement is known by. Whoever brings it
    /// may be correct, and have been given another signature than this replica by a signer that is not: it is checked.
    pub(super) fn quoted(
        &mut self,
        signer: NodeId,
        (statement, digest): (&Statement, &Digest),
        signature: &Signature,
    ) -> Result<(), Refusal> {
        match self.seen.of(signer, digest, signature) {
            Known::Checked => Ok(()),
            Known::Otherwise | Known::No => self.check_signature(signer, (statement, *digest), signature),
        }
    }

    fn check_signature(
        &mut self,
        signer: NodeId,
        (statement, digest): (&Statement, Digest),
        signature: &Signature,
    ) -> Result<(), Refusal> {
        self.signatures.verify(signer, statement, signature)?;
        self.seen.note(signer, digest, *signature);
        Ok(())
    }

    /// `needed` distinct members said this. `Ballots` are of distinct replicas by their type.
    fn ballots(
        &mut self,
        config: &EpochConfig,
        statement: &Statement,
        ballots: &Ballots,
        needed: usize,
    ) -> Result<(), Refusal> {
        if ballots.len() < needed {
            return Err(Refusal::TooFewSignatures { found: ballots.len(), needed });
        }
        let digest = Seen::digest(statement);
        for (replica, signature) in ballots.iter() {
            let member = config.member(*replica).ok_or(Refusal::Certificate)?;
            self.quoted(member, (statement, &digest), signature)?;
        }
        Ok(())
    }

    /// Checklist item 25: all of it, in the order of what it costs; one bad part refuses the whole.
    pub(super) fn view_change(&mut self, view_change: &ViewChange) -> Result<Digest, Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        let change = &view_change.change;
        snapshot.in_epoch(change.epoch)?;
        snapshot.in_view(change.view)?;
        let member = snapshot.config.member(change.replica).ok_or(Refusal::Certificate)?;
        let config = &snapshot.config;
        let high = change.stable.plus(u64::from(config.window));
        let ascending = change.prepared.is_sorted_by(|a, b| a.sequence < b.sequence);
        let inside = change.prepared.iter().all(|prepared| {
            change.stable < prepared.sequence && prepared.sequence <= high && prepared.view < change.view
        });
        let proved = match &change.proof {
            None => change.stable == config.start,
            Some(proof) => proof.sequence == change.stable && change.stable > config.start,
        };
        let lawful = change.view > View::ZERO && config.is_checkpoint(change.stable) && ascending && inside && proved;
        if !lawful {
            return Err(Refusal::Certificate);
        }
        let digest = change.digest();
        let statement = ViewChange::statement(&snapshot.network, change.epoch, &digest);
        self.quoted(member, (&statement, &Seen::digest(&statement)), &view_change.signature)?;
        if self.changes.get(&member) == Some(&digest) {
            return Ok(digest);
        }
        if let Some(proof) = &change.proof {
            self.stable_ballots(config, proof)?;
        }
        for prepared in &change.prepared {
            self.prepared(config, prepared)?;
        }
        self.changes.insert(member, digest);
        Ok(digest)
    }

    /// The primary's proposal and the prepares of others, together a quorum.
    fn prepared(&mut self, config: &EpochConfig, prepared: &Prepared) -> Result<(), Refusal> {
        let (network, quorum) = (self.snapshot.network, self.snapshot.quorums.quorum());
        let at = (prepared.view, prepared.sequence);
        let primary = config.primary(prepared.view);
        if prepared.prepares.iter().any(|(replica, _)| *replica == primary) {
            return Err(Refusal::Certificate);
        }
        let statement = Vote::statement(Phase::Prepare, &network, config.epoch, at, &prepared.digest);
        self.ballots(config, &statement, &prepared.prepares, quorum - 1)?;
        let member = config.member(primary).ok_or(Refusal::Certificate)?;
        let statement = Vote::statement(Phase::PrePrepare, &network, config.epoch, at, &prepared.digest);
        self.quoted(member, (&statement, &Seen::digest(&statement)), &prepared.proposal)
    }

    /// That it is the primary's, names a quorum, and proposes what it signs. What O must be is for the replica, which has
    /// the view changes.
    pub(super) fn new_view(&mut self, new_view: &NewView) -> Result<(), Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.in_epoch(new_view.epoch)?;
        snapshot.in_view(new_view.view)?;
        let config = &snapshot.config;
        let quorum = snapshot.quorums.quorum();
        let distinct = new_view.changes.is_sorted_by(|(a, _), (b, _)| a < b);
        let members = new_view.changes.iter().all(|(replica, _)| config.member(*replica).is_some());
        let short = new_view.proposals.len() <= config.window as usize;
        if new_view.view == View::ZERO || new_view.changes.len() != quorum || !distinct || !members || !short {
            return Err(Refusal::Certificate);
        }
        let primary = config.member(config.primary(new_view.view)).ok_or(Refusal::Certificate)?;
        let statement = new_view.statement(&snapshot.network);
        self.quoted(primary, (&statement, &Seen::digest(&statement)), &new_view.signature)?;
        for (place, proposal) in new_view.proposals.iter().enumerate() {
            let at = (new_view.view, new_view.stable.plus(place as u64 + 1));
            let statement = Vote::statement(Phase::PrePrepare, &snapshot.network, config.epoch, at, &proposal.digest);
            self.quoted(primary, (&statement, &Seen::digest(&statement)), &proposal.signature)?;
        }
        Ok(())
    }

    /// Checklist item 10: a quorum of commits proves enough, whatever its view.
    pub(super) fn decided(&mut self, decided: &Decided) -> Result<(), Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.in_epoch(decided.epoch)?;
        let certificate = &decided.certificate;
        snapshot.in_window(certificate.sequence)?;
        if decided.batch.digest() != certificate.digest {
            return Err(Refusal::Certificate);
        }
        let at = (certificate.view, certificate.sequence);
        let statement = Vote::statement(Phase::Commit, &snapshot.network, decided.epoch, at, &certificate.digest);
        self.ballots(&snapshot.config, &statement, &certificate.commits, snapshot.quorums.quorum())
    }

    /// A stable checkpoint of this epoch, with what it covers.
    pub(super) fn stable(&mut self, certificate: &EpochCertificate) -> Result<(), Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.in_epoch(certificate.certificate.epoch)?;
        if certificate.summary.sequence <= snapshot.low {
            return Err(Refusal::Window(certificate.summary.sequence));
        }
        self.covers(certificate)?;
        let config = &certificate.summary.config;
        let same = *config == *snapshot.config;
        let next = config.epoch.0 == snapshot.config.epoch.0.saturating_add(1);
        let follows = next && config.start == certificate.summary.sequence;
        if !same && !follows {
            return Err(Refusal::Certificate);
        }
        self.stable_ballots(&snapshot.config, &certificate.certificate)
    }

    /// The end of the epoch of `config`, which names the one behind it.
    pub(super) fn epoch_end(&mut self, config: &EpochConfig, certificate: &EpochCertificate) -> Result<(), Refusal> {
        self.covers(certificate)?;
        let next = &certificate.summary.config;
        let follows = certificate.certificate.epoch == config.epoch
            && next.epoch.0 == config.epoch.0.saturating_add(1)
            && next.start == certificate.summary.sequence
            && next.start > config.start;
        match follows {
            true => self.stable_ballots(config, &certificate.certificate),
            false => Err(Refusal::Certificate),
        }
    }

    /// The certificate is about the summary, which is lawful.
    fn covers(&self, certificate: &EpochCertificate) -> Result<(), Refusal> {
        certificate.summary.config.check()?;
        let (summary, proof) = (&certificate.summary, &certificate.certificate);
        match summary.digest() == proof.digest && summary.sequence == proof.sequence {
            true => Ok(()),
            false => Err(Refusal::Certificate),
        }
    }

    fn stable_ballots(&mut self, config: &EpochConfig, proof: &Stable) -> Result<(), Refusal> {
        if proof.epoch != config.epoch || !config.is_checkpoint(proof.sequence) {
            return Err(Refusal::Certificate);
        }
        let statement = Checkpoint::statement(&self.snapshot.network, proof.epoch, proof.sequence, &proof.digest);
        let quorum = Quorums::of(config.members.len()).quorum();
        self.ballots(config, &statement, &proof.votes, quorum)
    }
}
