//! Every check that needs no state but a snapshot: what can be done beside the replica, on any thread.

mod certificates;
mod seen;
mod snapshot;

pub use snapshot::Snapshot;

use crate::{
    Body,
    verified::{Checked, Verified},
};
use mesh_proto::{
    codec::DecodeError,
    domain::{Epoch, Statement},
    id::{Digest, NodeId},
    key::{BadSignature, Keys, Signature},
    pbft::{
        Checkpoint, EpochCertificate, EpochConfigError, Message, Phase, PrePrepare, Reply, Request, Sequence, View,
        Vote,
    },
};
use seen::{Known, Seen};
use std::{collections::BTreeMap, sync::Arc};

/// Turns bytes into [`Verified`] messages. Each worker has its own, with its own memory of what it has checked; all are
/// given the replica's latest [`Snapshot`] now and then.
///
/// The order is size, decoding, member, epoch, view and window, what was checked before, and only then signatures
/// (Clement et al., NSDI '09, section 5): what fails before costs no cryptography.
#[derive(Debug)]
pub struct Verifier<C = Keys> {
    snapshot: Arc<Snapshot>,
    seen: Seen,
    signatures: C,
    /// Bad signatures by connection: who sends many is not listened to until the stable checkpoint moves.
    bad: BTreeMap<NodeId, u32>,
    /// Of each member the VIEW-CHANGE that was checked last: it comes again, and all of its certificates with it.
    changes: BTreeMap<NodeId, Digest>,
}

/// What checks one signature, as [`mesh_proto::key::verify`] does. Another than [`Keys`] is for whoever plays many nodes
/// in one process: what all of them hear, and most of them check, is checked once.
pub trait Signatures {
    fn verify(&mut self, signer: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature>;
}

impl Signatures for Keys {
    fn verify(&mut self, signer: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
        self.verify(signer, statement, signature)
    }
}

/// Why a message is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{0} is no member of the epoch, or speaks for another")]
    Member(NodeId),
    #[error("of epoch {found:?}, and this is epoch {own:?}")]
    Epoch { found: Epoch, own: Epoch },
    #[error("of view {found}, and this is view {own}")]
    View { found: View, own: View },
    #[error("number {0} is outside of the window")]
    Window(Sequence),
    #[error("said before under another signature")]
    Duplicate,
    #[error("too many bad signatures came from this peer")]
    Muted,
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("{found} of {needed} signatures")]
    TooFewSignatures { found: usize, needed: usize },
    #[error("a certificate that contradicts itself")]
    Certificate,
    #[error(transparent)]
    Config(#[from] EpochConfigError),
    #[error("beyond the limits of the epoch")]
    Limits,
}

/// Bad signatures of one peer that are borne with.
const BAD_SIGNATURES: u32 = 16;
/// Peers whose bad signatures are counted: members, and as many gateways.
const BAD_PEERS: usize = 1024;

impl Verifier {
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self::with(snapshot, Keys::default())
    }
}

impl<C: Signatures> Verifier<C> {
    #[must_use]
    pub fn with(snapshot: Arc<Snapshot>, signatures: C) -> Self {
        let seen = Seen::new(snapshot.signatures_in_flight());
        Self { snapshot, seen, signatures, bad: BTreeMap::new(), changes: BTreeMap::new() }
    }

    pub fn update(&mut self, snapshot: Arc<Snapshot>) {
        if snapshot.low > self.snapshot.low {
            self.bad.clear();
        }
        if snapshot.config.epoch != self.snapshot.config.epoch {
            self.changes.clear();
        }
        // The committee may have grown.
        self.seen.extend(snapshot.signatures_in_flight());
        self.snapshot = snapshot;
    }

    /// What checks signatures.
    pub fn signatures(&self) -> &C {
        &self.signatures
    }

    /// For bytes from the connection to `from`.
    pub fn decode(&mut self, from: NodeId, bytes: &[u8]) -> Result<Verified, Refusal> {
        self.is_heard(from)?;
        let message = Message::decode(bytes, &self.snapshot.sizes)?;
        self.verify(from, message)
    }

    /// For a message that was decoded under its limits, from the connection to `from`.
    pub fn verify(&mut self, from: NodeId, message: Message) -> Result<Verified, Refusal> {
        self.is_heard(from)?;
        match self.check(from, message) {
            Ok(message) => Ok(Verified { from, message }),
            Err(refusal) => {
                if matches!(refusal, Refusal::Signature(_)) && self.bad.len() < BAD_PEERS {
                    *self.bad.entry(from).or_default() += 1;
                }
                Err(refusal)
            }
        }
    }

    fn is_heard(&self, from: NodeId) -> Result<(), Refusal> {
        match self.bad.get(&from).is_some_and(|bad| *bad >= BAD_SIGNATURES) {
            true => Err(Refusal::Muted),
            false => Ok(()),
        }
    }

    fn check(&mut self, from: NodeId, message: Message) -> Result<Checked, Refusal> {
        Ok(match message {
            Message::Request(request) => Checked::Request(self.request(from, request)?),
            Message::PrePrepare(pre_prepare) => self.pre_prepare(from, pre_prepare)?,
            Message::Prepare(vote) => Checked::Prepare(self.vote(from, Phase::Prepare, vote)?),
            Message::Commit(vote) => Checked::Commit(self.vote(from, Phase::Commit, vote)?),
            Message::Checkpoint(checkpoint) => Checked::Checkpoint(self.checkpoint(from, checkpoint)?),
            Message::ViewChange(view_change) => {
                let digest = self.view_change(&view_change)?;
                Checked::ViewChange(view_change, digest)
            }
            Message::NewView(new_view) => {
                self.new_view(&new_view)?;
                Checked::NewView(new_view)
            }
            // These claim nothing that is rested on, and prove themselves where they are used.
            Message::Status(status) => Checked::Status(status),
            Message::Fetch(fetch) => Checked::Fetch(fetch),
            Message::Chunk(chunk) => Checked::Chunk(chunk),
            Message::Batch(batch) => {
                let digest = batch.digest();
                Checked::Batch(batch, digest)
            }
            Message::Requests(requests) => {
                let bodies = requests.into_iter().map(|request| self.request(from, request));
                Checked::Requests(bodies.collect::<Result<_, _>>()?)
            }
            Message::Decided(decided) => {
                self.decided(&decided)?;
                Checked::Decided(decided)
            }
            Message::Stable(certificate) => {
                self.stable(&certificate)?;
                Checked::Stable(certificate)
            }
            Message::Epochs(certificates) => Checked::Epochs(self.epochs(certificates)?),
            Message::Reply(reply) => Checked::Reply(self.reply(from, reply)?),
        })
    }

    /// Checklist item 7: whoever brings it, its gateway signed it.
    fn request(&mut self, from: NodeId, request: Arc<Request>) -> Result<Body, Refusal> {
        if request.operations.as_bytes().len() > self.snapshot.config.request_bytes as usize {
            return Err(Refusal::Limits);
        }
        let digest = request.digest();
        let network = self.snapshot.network;
        match self.seen.of(request.gateway, &digest, &request.signature) {
            Known::Checked => {}
            Known::Otherwise if from == request.gateway => return Err(Refusal::Duplicate),
            Known::Otherwise | Known::No => {
                let statement = Request::statement(&network, &digest);
                self.signatures.verify(request.gateway, &statement, &request.signature)?;
                self.seen.note(request.gateway, digest, request.signature);
            }
        }
        Ok(Body { digest, request })
    }

    fn pre_prepare(&mut self, from: NodeId, pre_prepare: Arc<PrePrepare>) -> Result<Checked, Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.in_epoch(pre_prepare.epoch)?;
        snapshot.in_view(pre_prepare.view)?;
        snapshot.in_window(pre_prepare.sequence)?;
        let primary = snapshot.config.primary(pre_prepare.view);
        if snapshot.config.member(primary) != Some(from) {
            return Err(Refusal::Member(from));
        }
        if pre_prepare.batch.requests.len() > snapshot.config.batch_requests as usize {
            return Err(Refusal::Limits);
        }
        let digest = pre_prepare.batch.digest();
        let at = (pre_prepare.view, pre_prepare.sequence);
        let statement = Vote::statement(Phase::PrePrepare, &snapshot.network, pre_prepare.epoch, at, &digest);
        self.spoken(from, &statement, &pre_prepare.signature)?;
        Ok(Checked::PrePrepare(pre_prepare, digest))
    }

    /// A vote comes from whom it is of: so a flood is counted against its sender.
    fn vote(&mut self, from: NodeId, phase: Phase, vote: Vote) -> Result<Vote, Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.is_of(from, vote.replica)?;
        snapshot.in_epoch(vote.epoch)?;
        snapshot.in_view(vote.view)?;
        snapshot.in_window(vote.sequence)?;
        self.spoken(from, &vote.own_statement(phase, &snapshot.network), &vote.signature)?;
        Ok(vote)
    }

    /// Above the window as well: enough of these say that this replica is behind.
    fn checkpoint(&mut self, from: NodeId, checkpoint: Checkpoint) -> Result<Checkpoint, Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.is_of(from, checkpoint.replica)?;
        snapshot.in_epoch(checkpoint.epoch)?;
        if checkpoint.sequence <= snapshot.low || !snapshot.config.is_checkpoint(checkpoint.sequence) {
            return Err(Refusal::Window(checkpoint.sequence));
        }
        let (epoch, sequence) = (checkpoint.epoch, checkpoint.sequence);
        let statement = Checkpoint::statement(&snapshot.network, epoch, sequence, &checkpoint.digest);
        self.spoken(from, &statement, &checkpoint.signature)?;
        Ok(checkpoint)
    }

    fn reply(&mut self, from: NodeId, reply: Arc<Reply>) -> Result<Arc<Reply>, Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        snapshot.is_of(from, reply.replica)?;
        snapshot.in_epoch(reply.epoch)?;
        self.spoken(from, &reply.statement(&snapshot.network), &reply.signature)?;
        Ok(reply)
    }

    /// The end of each epoch, verified with the committee of the one it ends. Those that have ended here are passed by.
    fn epochs(&mut self, certificates: Vec<Arc<EpochCertificate>>) -> Result<Vec<Arc<EpochCertificate>>, Refusal> {
        let mut config = Arc::clone(&self.snapshot.config);
        let mut news = Vec::new();
        for certificate in certificates {
            if certificate.certificate.epoch < config.epoch {
                continue;
            }
            self.epoch_end(&config, &certificate)?;
            config = Arc::new(certificate.summary.config.clone());
            news.push(certificate);
        }
        Ok(news)
    }
}
