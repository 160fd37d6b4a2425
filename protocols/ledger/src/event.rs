use mesh_proto::{
    id::NodeId,
    ledger::{Claim, Committee, Decision, Fence, Pending, ProposalId},
};

/// What happened in a batch that somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Opened(ProposalId),
    /// Nobody decided in time, and the next round of votes began.
    Reopened {
        proposal: ProposalId,
        round: u16,
    },
    Decided {
        proposal: ProposalId,
        decision: Decision,
    },
    Granted {
        claim: Claim,
        holder: NodeId,
        fence: Fence,
    },
    /// Given back, or its lease ran out: it is free.
    Freed {
        claim: Claim,
        fence: Fence,
        lapsed: bool,
    },
    Admitted(NodeId),
    Revoked(NodeId),
    InvitersChanged,
    /// Evidence was recorded against this member.
    Accused(NodeId),
    /// A change waits for the end of the checkpoint, which may be the end of this very batch.
    ChangePending(Pending),
    /// From the next batch on: a new epoch, or new settings of the same.
    CommitteeChanged(Committee),
    VersionActivated(u16),
}
