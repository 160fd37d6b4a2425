//! The network: openraft's view of whoever carries a request.

use crate::{
    message::{Answer, Ask, Place, Request, Response},
    types::{Member, Types},
};
use mesh_proto::id::NodeId;
use openraft::{
    AnyError, EmptyNode, RaftNetwork, RaftNetworkFactory, SnapshotSegmentId,
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, SnapshotMismatch, Unreachable},
    network::{Backoff, RPCOption},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};
use std::{future::Future, time::Duration};

/// Why there is no answer. The request may have been heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("not connected")]
    Unreachable,
    #[error("the connection ended before the answer came")]
    Lost,
    #[error("no answer in time")]
    Late,
    #[error("an answer that is none: {0}")]
    Malformed(String),
}

/// Carries requests to other nodes.
pub trait Transport: Clone + Send + Sync + 'static {
    fn call(
        &self,
        to: NodeId,
        request: Request,
        within: Duration,
    ) -> impl Future<Output = Result<Response, CallError>> + Send;
}

#[derive(Clone)]
pub struct Links<T>(pub T);

pub struct Link<T> {
    transport: T,
    to: NodeId,
}

impl<T: Transport> RaftNetworkFactory<Types> for Links<T> {
    type Network = Link<T>;

    async fn new_client(&mut self, target: Member, _: &EmptyNode) -> Link<T> {
        Link { transport: self.0.clone(), to: target.0 }
    }
}

type Failed<E> = RPCError<Member, EmptyNode, RaftError<Member, E>>;

impl<T: Transport> Link<T> {
    async fn call<E: std::error::Error>(&self, ask: Ask, option: &RPCOption) -> Result<Answer, Failed<E>> {
        let answer = self.transport.call(self.to, Request(ask), option.hard_ttl()).await;
        match answer {
            Ok(Response(Answer::NotRunning)) => Err(Unreachable::new(&CallError::Unreachable).into()),
            Ok(Response(answer)) => Ok(answer),
            // It is tried again after a pause; for the others at once.
            Err(error @ CallError::Unreachable) => Err(Unreachable::new(&error).into()),
            Err(error) => Err(NetworkError::new(&error).into()),
        }
    }
}

fn unexpected<E: std::error::Error>() -> Failed<E> {
    NetworkError::new(&AnyError::error("an answer to something else")).into()
}

impl<T: Transport> RaftNetwork<Types> for Link<T> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Member>, Failed<openraft::error::Infallible>> {
        match self.call(Ask::Append(rpc), &option).await? {
            Answer::Append(response) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<Member>, Failed<InstallSnapshotError>> {
        match self.call(Ask::Install(rpc.into()), &option).await? {
            Answer::Installed(vote) => Ok(InstallSnapshotResponse { vote }),
            Answer::Restart(expect, got) => {
                let segment = |Place(id, offset)| SnapshotSegmentId { id, offset };
                let mismatch = SnapshotMismatch { expect: segment(expect), got: segment(got) };
                let source = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                Err(RemoteError::new(Member(self.to), source).into())
            }
            _ => Err(unexpected()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Member>,
        option: RPCOption,
    ) -> Result<VoteResponse<Member>, Failed<openraft::error::Infallible>> {
        match self.call(Ask::Vote(rpc), &option).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(unexpected()),
        }
    }

    /// A node that comes back is found soon, and one that stays away costs little.
    fn backoff(&self) -> Backoff {
        let growing = [20, 50, 100, 200].into_iter().chain(std::iter::repeat(300));
        Backoff::new(growing.map(Duration::from_millis))
    }
}
