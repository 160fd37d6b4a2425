//! One connection's side of the gate: holds the conversation on `/mesh/admit/1`, and has an inner handler, which
//! speaks all other protocols, only once the behaviour has handed it one.

use super::{
    Role,
    exchange::{self, Failure, Rejected},
};
use crate::network::admission::{self, Admission, Guest};
use futures::{FutureExt, future, future::BoxFuture};
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{DeniedUpgrade, ReadyUpgrade, SelectUpgrade},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        derive_prelude::Either,
        handler::{
            ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound, ListenUpgradeError,
            SendWrapper,
        },
    },
};
use mesh_proto::id::NodeId;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;

/// From the behaviour to the connection.
pub enum Command<H: ConnectionHandler> {
    /// The peer is admitted on our side: speak all protocols by this handler.
    Open(Box<H>),
    Inner(H::FromBehaviour),
}

/// From the connection to the behaviour.
#[derive(Debug)]
pub enum Report<E> {
    /// The peer has shown a good credential, and waits to hear so.
    Judged(Box<Guest>),
    /// Both sides are open.
    Mutual,
    Failed(Failure),
    /// After `Failed`: nothing is left to be said.
    Over,
    Inner(E),
}

/// How far the two have come. No state goes back.
enum Stage {
    /// Nothing was said yet; the asker has a substream to open, the door one to wait for.
    Before,
    /// The peer's credential is being heard and judged.
    Judging(BoxFuture<'static, Result<(Stream, Guest), Rejected>>),
    /// The behaviour was told, and makes the inner handler.
    Judged(Stream),
    /// Open on our side; the peer is being told.
    Telling(BoxFuture<'static, Result<(), Failure>>),
    Mutual,
    /// It failed, and the peer is being told why.
    Leaving(BoxFuture<'static, ()>),
    Over,
}

pub struct Handler<H: ConnectionHandler> {
    peer: NodeId,
    role: Role,
    admission: Arc<Admission>,
    stage: Stage,
    asked: bool,
    deadline: Pin<Box<Sleep>>,
    inner: Option<H>,
    failures: VecDeque<Failure>,
}

type DoorUpgrade = ReadyUpgrade<StreamProtocol>;
type InnerUpgrade<H> = Either<SendWrapper<<H as ConnectionHandler>::InboundProtocol>, SendWrapper<DeniedUpgrade>>;

impl<H: ConnectionHandler> Handler<H> {
    pub fn new(peer: NodeId, role: Role, admission: Arc<Admission>, timeout: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(timeout));
        let (asked, failures) = (false, VecDeque::new());
        Self { peer, role, admission, stage: Stage::Before, asked, deadline, inner: None, failures }
    }

    /// A substream of admission. The door takes one; whatever else comes is dropped, which resets it.
    fn negotiated(&mut self, stream: Stream, role: Role) {
        if self.role != role || !matches!(self.stage, Stage::Before) {
            return;
        }
        let (admission, peer) = (self.admission.clone(), self.peer);
        self.stage = Stage::Judging(match role {
            Role::Asker => async move { exchange::ask(stream, &admission, peer).await }.boxed(),
            Role::Door => async move { exchange::hear(stream, &admission, peer).await }.boxed(),
        });
    }

    fn open(&mut self, inner: H) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Judged(stream) => {
                self.inner = Some(inner);
                let (admission, peer) = (self.admission.clone(), self.peer);
                self.stage = Stage::Telling(match self.role {
                    Role::Asker => async move { exchange::confirm(stream, &admission, peer).await }.boxed(),
                    Role::Door => async move { exchange::welcome(stream, &admission, peer).await }.boxed(),
                });
            }
            // It failed while the behaviour made the handler; the connection is being closed.
            stage => self.stage = stage,
        }
    }

    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<Report<H::ToBehaviour>> {
        if let Some(failure) = self.failures.pop_front() {
            return Poll::Ready(self.fail(failure));
        }
        match &mut self.stage {
            Stage::Mutual | Stage::Over => return Poll::Pending,
            Stage::Leaving(farewell) => {
                ready!(farewell.poll_unpin(cx));
                self.stage = Stage::Over;
                return Poll::Ready(Report::Over);
            }
            Stage::Before | Stage::Judging(_) | Stage::Judged(_) | Stage::Telling(_) => {}
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.fail(Failure::Timeout));
        }
        match &mut self.stage {
            Stage::Judging(judging) => match ready!(judging.poll_unpin(cx)) {
                Ok((stream, guest)) => {
                    self.stage = Stage::Judged(stream);
                    Poll::Ready(Report::Judged(Box::new(guest)))
                }
                Err(rejected) => Poll::Ready(self.fail(rejected)),
            },
            Stage::Telling(telling) => match ready!(telling.poll_unpin(cx)) {
                Ok(()) => {
                    self.stage = Stage::Mutual;
                    Poll::Ready(Report::Mutual)
                }
                Err(failure) => Poll::Ready(self.fail(failure)),
            },
            Stage::Before | Stage::Judged(_) | Stage::Mutual | Stage::Leaving(_) | Stage::Over => Poll::Pending,
        }
    }

    fn fail(&mut self, rejected: impl Into<Rejected>) -> Report<H::ToBehaviour> {
        let Rejected { failure, farewell } = rejected.into();
        self.stage = Stage::Leaving(farewell);
        Report::Failed(failure)
    }

    fn inner_event(
        &mut self,
        event: ConnectionEvent<'_, H::InboundProtocol, H::OutboundProtocol, H::InboundOpenInfo, H::OutboundOpenInfo>,
    ) {
        if let Some(inner) = &mut self.inner {
            inner.on_connection_event(event);
        }
    }
}

impl<H: ConnectionHandler> ConnectionHandler for Handler<H> {
    type FromBehaviour = Command<H>;
    type ToBehaviour = Report<H::ToBehaviour>;
    type InboundProtocol = SelectUpgrade<DoorUpgrade, InnerUpgrade<H>>;
    type OutboundProtocol = Either<DoorUpgrade, SendWrapper<H::OutboundProtocol>>;
    type InboundOpenInfo = Option<H::InboundOpenInfo>;
    type OutboundOpenInfo = Option<H::OutboundOpenInfo>;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        let door = ReadyUpgrade::new(admission::PROTOCOL);
        match &self.inner {
            Some(inner) => inner
                .listen_protocol()
                .map_upgrade(|upgrade| SelectUpgrade::new(door, Either::Left(SendWrapper(upgrade))))
                .map_info(Some),
            None => SubstreamProtocol::new(SelectUpgrade::new(door, Either::Right(SendWrapper(DeniedUpgrade))), None),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.as_ref().is_none_or(ConnectionHandler::connection_keep_alive)
    }

    fn on_behaviour_event(&mut self, command: Command<H>) {
        match command {
            Command::Open(inner) => self.open(*inner),
            Command::Inner(event) => {
                if let Some(inner) = &mut self.inner {
                    inner.on_behaviour_event(event);
                }
            }
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        if self.role == Role::Asker && !self.asked {
            self.asked = true;
            let protocol = SubstreamProtocol::new(Either::Left(ReadyUpgrade::new(admission::PROTOCOL)), None);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if let Poll::Ready(report) = self.poll_admission(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        // Until the peer has opened as well, ours would only hear that it speaks none of their protocols.
        let (Stage::Mutual, Some(inner)) = (&self.stage, &mut self.inner) else {
            return Poll::Pending;
        };
        inner.poll(cx).map(|event| {
            event
                .map_custom(Report::Inner)
                .map_protocol(|upgrade| Either::Right(SendWrapper(upgrade)))
                .map_outbound_open_info(Some)
        })
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        match &mut self.inner {
            Some(inner) => inner.poll_close(cx).map(|event| event.map(Report::Inner)),
            None => Poll::Ready(None),
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info }) => match protocol {
                future::Either::Left(stream) => self.negotiated(stream, Role::Door),
                future::Either::Right(future::Either::Left(protocol)) => {
                    if let Some(info) = info {
                        let event = FullyNegotiatedInbound { protocol, info };
                        self.inner_event(ConnectionEvent::FullyNegotiatedInbound(event));
                    }
                }
                future::Either::Right(future::Either::Right(never)) => match never {},
            },
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                match (protocol, info) {
                    (future::Either::Left(stream), _) => self.negotiated(stream, Role::Asker),
                    (future::Either::Right(protocol), Some(info)) => {
                        let event = FullyNegotiatedOutbound { protocol, info };
                        self.inner_event(ConnectionEvent::FullyNegotiatedOutbound(event));
                    }
                    (future::Either::Right(_), None) => {}
                }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => match (info, error) {
                (None, error) => self.failures.push_back(Failure::Foreign(match error {
                    StreamUpgradeError::Timeout => return self.failures.push_back(Failure::Timeout),
                    StreamUpgradeError::Io(error) => return self.failures.push_back(Failure::Lost(error)),
                    StreamUpgradeError::NegotiationFailed | StreamUpgradeError::Apply(_) => {
                        format!("it does not speak {}", admission::PROTOCOL)
                    }
                })),
                (Some(info), error) => {
                    let error = match error {
                        StreamUpgradeError::Apply(Either::Left(never)) => match never {},
                        StreamUpgradeError::Apply(Either::Right(error)) => StreamUpgradeError::Apply(error),
                        StreamUpgradeError::Timeout => StreamUpgradeError::Timeout,
                        StreamUpgradeError::NegotiationFailed => StreamUpgradeError::NegotiationFailed,
                        StreamUpgradeError::Io(error) => StreamUpgradeError::Io(error),
                    };
                    self.inner_event(ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }));
                }
            },
            ConnectionEvent::ListenUpgradeError(ListenUpgradeError { info, error }) => match (info, error) {
                (Some(info), Either::Right(Either::Left(error))) => {
                    self.inner_event(ConnectionEvent::ListenUpgradeError(ListenUpgradeError { info, error }));
                }
                (_, Either::Left(never) | Either::Right(Either::Right(never))) => match never {},
                (None, Either::Right(Either::Left(_))) => {}
            },
            ConnectionEvent::AddressChange(change) => self.inner_event(ConnectionEvent::AddressChange(change)),
            ConnectionEvent::LocalProtocolsChange(change) => {
                self.inner_event(ConnectionEvent::LocalProtocolsChange(change));
            }
            ConnectionEvent::RemoteProtocolsChange(change) => {
                self.inner_event(ConnectionEvent::RemoteProtocolsChange(change));
            }
            _ => {}
        }
    }
}

impl<H: ConnectionHandler> fmt::Debug for Command<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("Open"),
            Self::Inner(event) => f.debug_tuple("Inner").field(event).finish(),
        }
    }
}
