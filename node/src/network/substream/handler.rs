//! The substreams of one connection: opens those that it is told to, accepts the peer's, and starts their tasks.

use super::{
    Notice,
    pump::{self, Pump},
    routes::Outbound,
    upgrade::AnyOf,
};
use crate::network::{
    FrameHandler,
    class::Class,
    config::FrameConfig,
    metrics::{Direction, Metrics},
};
use libp2p::{
    Stream, StreamProtocol,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use mesh_proto::id::NodeId;
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// Streams of other protocols that may be on their way out on one connection.
const MAX_OPENING: usize = 128;

/// What every connection's handler shares.
pub struct Shared {
    pub frames: FrameConfig,
    pub handler: Arc<dyn FrameHandler>,
    pub metrics: Metrics,
    pub notices: mpsc::Sender<Notice>,
    /// All that is accepted from a peer: the classes first, then the protocols of `incoming`.
    pub accepted: Arc<[StreamProtocol]>,
    pub incoming: HashMap<StreamProtocol, mpsc::Sender<(NodeId, Stream)>>,
}

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("not connected")]
    NotConnected,
    #[error("too many streams are being opened to this peer")]
    Busy,
    #[error("the peer does not speak {0}")]
    Unsupported(StreamProtocol),
    #[error("the peer did not answer in time")]
    Timeout,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// A stream of another protocol that somebody waits for.
#[derive(Debug)]
pub struct Opening {
    pub protocol: StreamProtocol,
    pub reply: oneshot::Sender<Result<Stream, OpenError>>,
}

#[derive(Debug)]
pub enum Command {
    /// Carry the frames to this peer, out of these queues.
    Carry(Arc<Outbound>),
    Open(Opening),
}

#[derive(Debug)]
pub enum Report {
    /// All framed substreams are open for sending.
    Ready,
    /// The peer sends its frames here.
    Receiving,
    /// A framed substream broke while the connection did not: nothing can be relied on.
    Broken(String),
}

/// What an outbound substream was asked for.
pub enum Purpose {
    Frames(Class),
    Stream(Opening),
}

pub struct Handler {
    node: NodeId,
    shared: Arc<Shared>,
    carried: Option<Arc<Outbound>>,
    unopened: usize,
    requests: VecDeque<Purpose>,
    opening: usize,
    receiving: [bool; 4],
    reports: VecDeque<Report>,
    /// Ends with the connection: dropping the set aborts its tasks, so that nothing is handed over after `Down`.
    tasks: JoinSet<(Class, io::Result<()>)>,
}

impl Handler {
    pub fn new(node: NodeId, shared: Arc<Shared>) -> Self {
        Self {
            node,
            shared,
            carried: None,
            unopened: 0,
            requests: VecDeque::new(),
            opening: 0,
            receiving: [false; 4],
            reports: VecDeque::new(),
            tasks: JoinSet::new(),
        }
    }

    fn pump(&self, class: Class, direction: Direction) -> Pump {
        Pump {
            node: self.node,
            class,
            metrics: self.shared.metrics.substream(class, direction),
            notices: self.shared.notices.clone(),
        }
    }

    fn write_frames(&mut self, class: Class, stream: Stream) {
        let Some(carried) = &self.carried else { return };
        let (queue, pump) = (carried.queue(class).clone(), self.pump(class, Direction::Out));
        self.tasks.spawn(async move { (class, pump::write(stream, queue, pump).await) });
        self.unopened -= 1;
        if self.unopened == 0 {
            self.reports.push_back(Report::Ready);
        }
    }

    fn accept(&mut self, stream: Stream, protocol: &StreamProtocol) {
        if let Some(class) = Class::ALL.into_iter().find(|class| class.protocol() == *protocol) {
            return self.read_frames(class, stream);
        }
        let Some(incoming) = self.shared.incoming.get(protocol) else { return };
        if incoming.try_send((self.node, stream)).is_err() {
            self.shared.metrics.refused("stream_queue_full");
        }
    }

    fn read_frames(&mut self, class: Class, stream: Stream) {
        if self.receiving[class.index()] {
            let notice = Notice::Violation { node: self.node, reason: "second_substream" };
            if self.shared.notices.try_send(notice).is_err() {
                self.shared.metrics.refused("second_substream");
            }
            self.reports.push_back(Report::Broken(format!("a second {class} substream")));
            return;
        }
        if self.receiving == [false; 4] {
            self.reports.push_back(Report::Receiving);
        }
        self.receiving[class.index()] = true;
        let (limit, pump) = (self.shared.frames.of(class).max_frame, self.pump(class, Direction::In));
        let handler = self.shared.handler.clone();
        self.tasks.spawn(async move { (class, pump::read(stream, limit, handler, pump).await) });
    }

    fn failed(&mut self, purpose: Purpose, error: StreamUpgradeError<std::convert::Infallible>) {
        match purpose {
            Purpose::Frames(class) => self.reports.push_back(Report::Broken(format!("no {class} substream: {error}"))),
            Purpose::Stream(opening) => {
                self.opening -= 1;
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported(opening.protocol),
                    StreamUpgradeError::Io(error) => OpenError::Io(error),
                };
                answer(opening.reply, Err(error));
            }
        }
    }
}

/// The one who asked may have gone: then the stream is dropped, which resets it.
fn answer(reply: oneshot::Sender<Result<Stream, OpenError>>, result: Result<Stream, OpenError>) {
    if reply.send(result).is_err() {
        tracing::debug!("nobody waits for the opened stream any more");
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Command;
    type ToBehaviour = Report;
    type InboundProtocol = AnyOf;
    type OutboundProtocol = AnyOf;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Purpose;

    fn listen_protocol(&self) -> SubstreamProtocol<AnyOf> {
        SubstreamProtocol::new(AnyOf(self.shared.accepted.clone()), ())
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match command {
            Command::Carry(outbound) if self.carried.is_none() => {
                self.carried = Some(outbound);
                self.unopened = Class::ALL.len();
                self.requests.extend(Class::ALL.map(Purpose::Frames));
            }
            Command::Carry(_) => tracing::debug!(node = %self.node, "already carrying"),
            Command::Open(opening) if self.opening >= MAX_OPENING => answer(opening.reply, Err(OpenError::Busy)),
            Command::Open(opening) => {
                self.opening += 1;
                self.requests.push_back(Purpose::Stream(opening));
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Purpose, Report>> {
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if let Some(purpose) = self.requests.pop_front() {
            let protocol = match &purpose {
                Purpose::Frames(class) => class.protocol(),
                Purpose::Stream(opening) => opening.protocol.clone(),
            };
            let protocol = SubstreamProtocol::new(AnyOf(Arc::new([protocol])), purpose);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            let why = match ended {
                Ok((class, Ok(()))) => format!("the {class} substream ended"),
                Ok((class, Err(error))) => format!("the {class} substream failed: {error}"),
                Err(error) => format!("a substream's task failed: {error}"),
            };
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Report::Broken(why)));
        }
        Poll::Pending
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, AnyOf, AnyOf, (), Purpose>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, name), .. }) => {
                self.accept(stream, &name);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (stream, _), info }) => {
                match info {
                    Purpose::Frames(class) => self.write_frames(class, stream),
                    Purpose::Stream(opening) => {
                        self.opening -= 1;
                        answer(opening.reply, Ok(stream));
                    }
                }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.failed(info, error),
            _ => {}
        }
    }
}
