//! What a task writes while it runs, from whichever node runs it: `/mesh/logs/1`.
//!
//! A reader opens a stream to the executor's node and sends one question; the answer is chunks, each with its stream
//! and length before it, until the attempt has ended or the reader hangs up.

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
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    codec,
    id::{NodeId, TaskId},
    limits,
    logs::Question,
    task::State,
};
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
                State::Ended(_) => Err(LogsError::NotRunning),
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
    loop {
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
    if asked.await.is_err() && chunks.send(Err(LogsError::Unreachable)).await.is_err() {
        tracing::debug!("a reader of logs hung up");
    }
}

/// Answers other nodes; `None` if somebody else does already.
pub fn serve(network: &NetworkHandle, work: &Work) -> Option<impl Future<Output = ()> + Send + 'static> {
    let mut incoming = network.incoming(PROTOCOL)?;
    let work = work.clone();
    Some(async move {
        while let Some((who, stream)) = incoming.recv().await {
            let work = work.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(work, stream).await {
                    tracing::debug!(%who, %error, "logs were not told to their end");
                }
            });
        }
    })
}

async fn answer(work: Work, mut stream: libp2p::Stream) -> io::Result<()> {
    let mut length = [0; 4];
    let question = async {
        stream.read_exact(&mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > limits::LOGS_QUESTION_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the question is too long"));
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        Question::decode(&bytes).map_err(io::Error::other)
    };
    let question = tokio::time::timeout(Duration::from_secs(5), question).await.map_err(io::Error::other)??;
    let (chunks, mut received) = mpsc::channel(WAITING);
    let telling = tokio::spawn(tell(work, question, chunks));
    while let Some(Ok(Chunk { stream: of, bytes })) = received.recv().await {
        let kind = u8::from(of == Stream::Stderr);
        let length = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        stream.write_all(&[kind]).await?;
        stream.write_all(&length).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
    }
    telling.await.map_err(io::Error::other)?;
    stream.close().await
}
