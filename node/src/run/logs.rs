//! What a task writes while it runs, from whichever node runs it: `/mesh/logs/1`.
//!
//! A reader opens a stream to the executor's node and sends one question; the answer is chunks, each with its stream
//! and length before it, until the attempt has ended or the reader hangs up. Who follows costs a thread's turn ten times
//! a second, so there is a place for so many, and a reader that does not read loses its own.

use super::places::Places;
use crate::{
    api::{
        brain::Brain as _,
        logs::{Chunk, Logs, LogsError, Offsets, Stream},
    },
    brain::BrainHandle,
    executor,
    network::NetworkHandle,
    work::Work,
};
use bytes::Bytes;
use futures::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream,
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    codec,
    id::{NodeId, TaskId},
    limits,
    logs::{Question, REFUSED},
    task::State,
};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use std::{future::Future, io, time::Duration};
use tokio::sync::mpsc;

/// The protocol's name.
pub const PROTOCOL: &str = "/mesh/logs/1";

/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;
/// How often a file that grows is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Chunks that wait for the reader.
const WAITING: usize = 16;
/// Streams of other nodes that are answered at once, and of one of them, so that a flood costs only its sender. A gateway
/// opens one for each of its users that follows a task of this node.
const ANSWERED: usize = 128;
const ANSWERED_OF_ONE: usize = 32;
/// How long a reader may take for its question.
const ASK: Duration = Duration::from_secs(5);
/// How long it may take for a chunk: the slowest link that is used is thus 2 KiB/s.
const TAKE: Duration = Duration::from_secs(30);
/// How long a reader for whom there is no place is told so.
const TURN_AWAY: Duration = Duration::from_secs(1);

/// The API's way to logs.
pub struct NodeLogs {
    network: NetworkHandle,
    work: Work,
    brain: BrainHandle,
}

type Chunks = BoxStream<'static, Result<Chunk, LogsError>>;

impl NodeLogs {
    pub fn new(network: NetworkHandle, work: Work, brain: BrainHandle) -> Self {
        Self { network, work, brain }
    }

    /// Which attempt of the task runs now, and where.
    async fn current(&self, task: TaskId) -> Result<(u32, NodeId), LogsError> {
        let answers = self.brain.ask(Command::Show { task }).await.map_err(|_| LogsError::Unreachable)?;
        match answers.one().await {
            Some(Answer::Task(view)) => match &view.register.state {
                State::Assigned(attempt) => Ok((attempt.number, attempt.executor)),
                State::Waiting | State::Ended(_) => Err(LogsError::NotRunning),
            },
            Some(Answer::Refused { .. }) => Err(LogsError::Unreachable),
            _ => Err(LogsError::NotRunning),
        }
    }
}

impl Logs for NodeLogs {
    fn read(&self, task: TaskId, from: Offsets, follow: bool) -> BoxFuture<'_, Result<Chunks, LogsError>> {
        Box::pin(async move {
            let (attempt, executor) = self.current(task).await?;
            let question = Question { task, attempt, stdout: from.stdout, stderr: from.stderr, follow };
            let (chunks, received) = mpsc::channel(WAITING);
            if executor == self.network.node() {
                tokio::spawn(tell(self.work.clone(), question, chunks));
            } else {
                let stream = self.network.open_stream(executor, PROTOCOL).await.map_err(|_| LogsError::Unreachable)?;
                tokio::spawn(hear(stream, question, chunks));
            }
            Ok(tokio_stream::wrappers::ReceiverStream::new(received).boxed())
        })
    }
}

/// Reads this node's own files until the attempt has ended.
async fn tell(work: Work, question: Question, chunks: mpsc::Sender<Result<Chunk, LogsError>>) {
    let Question { task, attempt, mut stdout, mut stderr, follow } = question;
    while !chunks.is_closed() {
        let mut is_running = false;
        let mut is_idle = true;
        for (stream, offset) in [(Stream::Stdout, &mut stdout), (Stream::Stderr, &mut stderr)] {
            let Ok(read) = read(&work, task, attempt, stream, *offset).await else { return };
            is_running |= read.running;
            if !read.bytes.is_empty() {
                is_idle = false;
                *offset += read.bytes.len() as u64;
                if chunks.send(Ok(Chunk { stream, bytes: read.bytes.into() })).await.is_err() {
                    return;
                }
            }
        }
        if is_idle {
            if !is_running || !follow {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn read(work: &Work, task: TaskId, attempt: u32, stream: Stream, offset: u64) -> io::Result<executor::LogChunk> {
    let executors = work.executors().clone();
    let stream = match stream {
        Stream::Stdout => executor::Stream::Stdout,
        Stream::Stderr => executor::Stream::Stderr,
    };
    tokio::task::spawn_blocking(move || executors.logs(task, attempt, stream, offset, CHUNK))
        .await
        .map_err(io::Error::other)?
}

/// Asks another node.
async fn hear(mut stream: libp2p::Stream, question: Question, chunks: mpsc::Sender<Result<Chunk, LogsError>>) {
    let question = codec::encode(&question);
    let asked = async {
        stream.write_all(&u32::try_from(question.len()).unwrap_or(0).to_be_bytes()).await?;
        stream.write_all(&question).await?;
        stream.flush().await?;
        loop {
            let mut head = [0; 5];
            match stream.read_exact(&mut head).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            let [kind, length @ ..] = head;
            let length = u32::from_be_bytes(length) as usize;
            if kind == REFUSED {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            if length > CHUNK || kind > 1 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not a chunk of a log"));
            }
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).await?;
            let stream = if kind == 0 { Stream::Stdout } else { Stream::Stderr };
            if chunks.send(Ok(Chunk { stream, bytes: Bytes::from(bytes) })).await.is_err() {
                return Ok(());
            }
        }
    };
    let heard = tokio::select! {
        heard = asked => heard,
        // While the task says nothing: the other node is to know that nobody listens, and it does by the stream's end.
        () = chunks.closed() => return,
    };
    let failed = match heard {
        Ok(()) => return,
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => LogsError::Busy,
        Err(_) => LogsError::Unreachable,
    };
    if chunks.send(Err(failed)).await.is_err() {
        tracing::debug!("a reader of logs hung up");
    }
}

/// Answers other nodes; `None` if somebody else does already.
pub fn serve(
    network: &NetworkHandle,
    work: &Work,
    registry: &mut Registry,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let mut incoming = network.incoming(PROTOCOL)?;
    let refused: Counter = Counter::default();
    let help = "Readers of tasks' output on other nodes that were refused because there were too many";
    registry.register("mesh_logs_refused_streams", help, refused.clone());
    let (work, places) = (work.clone(), Places::new(ANSWERED, ANSWERED_OF_ONE));
    Some(async move {
        while let Some((who, stream)) = incoming.recv().await {
            let place = places.take(who);
            if place.is_none() {
                refused.inc();
            }
            let work = work.clone();
            tokio::spawn(async move {
                let answered = match &place {
                    Some(_) => answer(work, stream).await,
                    None => turn_away(stream, TURN_AWAY).await,
                };
                if let Err(error) = answered {
                    tracing::debug!(%who, %error, "logs were not told to their end");
                }
                drop(place);
            });
        }
    })
}

async fn answer(work: Work, mut stream: libp2p::Stream) -> io::Result<()> {
    let question = tokio::time::timeout(ASK, question(&mut stream)).await??;
    let (chunks, received) = mpsc::channel(WAITING);
    let telling = tokio::spawn(tell(work, question, chunks));
    pass_on(stream, received, TAKE).await?;
    telling.await.map_err(io::Error::other)
}

async fn question(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Question> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limits::LOGS_QUESTION_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the question is too long"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Question::decode(&bytes).map_err(io::Error::other)
}

/// Hears the question out, since a reader that cannot get rid of it does not listen.
async fn turn_away(mut stream: impl AsyncRead + AsyncWrite + Unpin, patience: Duration) -> io::Result<()> {
    let told = async {
        question(&mut stream).await?;
        stream.write_all(&[REFUSED, 0, 0, 0, 0]).await?;
        stream.close().await
    };
    tokio::time::timeout(patience, told).await?
}

/// Writes chunks to a reader until there are no more, it hangs up, or takes none for as long as `patience`.
async fn pass_on(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut received: mpsc::Receiver<Result<Chunk, LogsError>>,
    patience: Duration,
) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let telling = async {
        while let Some(Ok(chunk)) = received.recv().await {
            tokio::time::timeout(patience, write(&mut writer, &chunk)).await??;
        }
        tokio::time::timeout(patience, writer.close()).await?
    };
    // It has asked and says nothing more: what is heard of it is its end. A task may be silent for hours meanwhile.
    let mut nothing = [0];
    tokio::select! {
        told = telling => told,
        _ = reader.read(&mut nothing) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the reader hung up")),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), Chunk { stream: of, bytes }: &Chunk) -> io::Result<()> {
    let kind = u8::from(*of == Stream::Stderr);
    let length = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
    stream.write_all(&[kind]).await?;
    stream.write_all(&length).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    fn chunk(bytes: &'static [u8]) -> Result<Chunk, LogsError> {
        Ok(Chunk { stream: Stream::Stderr, bytes: Bytes::from_static(bytes) })
    }

    #[tokio::test]
    async fn chunks_are_passed_on_to_the_last() {
        let (theirs, ours) = tokio::io::duplex(1024);
        let (chunks, received) = mpsc::channel(WAITING);
        chunks.send(chunk(b"some")).await.unwrap();
        drop(chunks);
        pass_on(ours.compat(), received, LONG).await.unwrap();
        let mut told = Vec::new();
        theirs.compat().read_to_end(&mut told).await.unwrap();
        assert_eq!(told, b"\x01\0\0\0\x04some");
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_given_up() {
        let (_theirs, ours) = tokio::io::duplex(16);
        let (chunks, received) = mpsc::channel(WAITING);
        chunks.send(chunk(&[7; 1000])).await.unwrap();
        let given_up = pass_on(ours.compat(), received, SHORT).await.unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert!(chunks.is_closed(), "and nobody looks at the task's files for it");
    }

    #[tokio::test]
    async fn a_reader_that_hangs_up_is_noticed_while_the_task_says_nothing() {
        let (theirs, ours) = tokio::io::duplex(1024);
        let (chunks, received) = mpsc::channel(WAITING);
        drop(theirs);
        let hung_up = pass_on(ours.compat(), received, LONG).await.unwrap_err();
        assert_eq!(hung_up.kind(), io::ErrorKind::ConnectionAborted);
        assert!(chunks.is_closed());
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_so_and_who_asks_nothing_waits_for_nothing() {
        let (theirs, ours) = tokio::io::duplex(1024);
        let mut theirs = theirs.compat();
        let question = codec::encode(&Question {
            task: TaskId::from_bytes([1; 32]),
            attempt: 1,
            stdout: 0,
            stderr: 0,
            follow: true,
        });
        theirs.write_all(&(question.len() as u32).to_be_bytes()).await.unwrap();
        theirs.write_all(&question).await.unwrap();
        turn_away(ours.compat(), LONG).await.unwrap();
        let mut told = Vec::new();
        theirs.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, [REFUSED, 0, 0, 0, 0]);

        let (_silent, ours) = tokio::io::duplex(1024);
        assert_eq!(turn_away(ours.compat(), SHORT).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
