use mesh_pbft::Refusal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub verified: Counter,
    pub refused: Family<Reason, Counter>,
    pub held_back: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "mesh_consensus_messages_verified",
            "Messages of the ordering protocol whose signatures hold",
            self.verified.clone(),
        );
        registry.register(
            "mesh_consensus_messages_refused",
            "Messages of the ordering protocol that were dropped before the brain saw them, by reason",
            self.refused.clone(),
        );
        registry.register(
            "mesh_consensus_requests_held_back",
            "Requests that waited since their sender hands in more a second than one may",
            self.held_back.clone(),
        );
    }

    pub fn refuse(&self, refusal: &Refusal) {
        self.refused.get_or_create(&Reason { reason: reason(refusal) }).inc();
    }

    /// It came before this node had told its verifiers what to go by.
    pub fn refuse_unready(&self) {
        self.refused.get_or_create(&Reason { reason: "unready" }).inc();
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Decode(_) => "malformed",
        Refusal::Member(_) => "no_member",
        Refusal::Epoch { .. } => "epoch",
        Refusal::View { .. } => "view",
        Refusal::Window(_) => "window",
        Refusal::Duplicate => "duplicate",
        Refusal::Muted => "muted",
        Refusal::Signature(_) => "signature",
        Refusal::TooFewSignatures { .. } | Refusal::Certificate | Refusal::Config(_) => "certificate",
        Refusal::Limits => "limits",
    }
}
