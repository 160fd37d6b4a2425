//! Requests to other nodes, and their answers: one stream to each, which carries many at once.

use super::serve::PROTOCOL;
use crate::network::NetworkHandle;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use mesh_proto::id::NodeId;
use mesh_raft::{CallError, Request, Response, Transport};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Requests that wait to be written to one node.
const WAITING: usize = 256;
/// A stream that carries nothing is closed after this.
const IDLE: Duration = Duration::from_secs(60);
/// How long a stream may take to open.
const OPEN: Duration = Duration::from_secs(2);

/// Streams to other nodes, opened with the first request. Cheap to clone.
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

struct Shared {
    network: NetworkHandle,
    lines: Mutex<HashMap<NodeId, mpsc::Sender<Call>>>,
}

type Heard = oneshot::Sender<Result<Response, CallError>>;

struct Call {
    request: Vec<u8>,
    heard: Heard,
}

impl Wire {
    pub fn new(network: NetworkHandle) -> Self {
        Self(Arc::new(Shared { network, lines: Mutex::default() }))
    }

    fn line(&self, to: NodeId) -> mpsc::Sender<Call> {
        let mut lines = lock(&self.0.lines);
        match lines.get(&to).filter(|line| !line.is_closed()) {
            Some(line) => line.clone(),
            None => {
                let (line, calls) = mpsc::channel(WAITING);
                lines.insert(to, line.clone());
                tokio::spawn(carry(self.0.network.clone(), to, calls));
                line
            }
        }
    }
}

impl Transport for Wire {
    async fn call(&self, to: NodeId, request: Request, within: Duration) -> Result<Response, CallError> {
        // Without a connection no stream is waited for.
        if !self.0.network.is_connected(to) {
            return Err(CallError::Unreachable);
        }
        let asked = async {
            let (heard, answer) = oneshot::channel();
            let call = Call { request: request.encode(), heard };
            self.line(to).send(call).await.map_err(|_| CallError::Lost)?;
            answer.await.unwrap_or(Err(CallError::Lost))
        };
        timeout(within, asked).await.unwrap_or(Err(CallError::Late))
    }
}

/// Opens the stream, and carries what is asked until it ends.
async fn carry(network: NetworkHandle, to: NodeId, mut calls: mpsc::Receiver<Call>) {
    let stream = match timeout(OPEN, network.open_stream(to, PROTOCOL)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) | Err(_) => {
            calls.close();
            while let Some(call) = calls.recv().await {
                say(call.heard, Err(CallError::Unreachable));
            }
            return;
        }
    };
    let ended = talk(stream, &mut calls).await;
    tracing::debug!(%to, ?ended, "a stream of Raft ended");
    calls.close();
    while let Some(call) = calls.recv().await {
        say(call.heard, Err(CallError::Lost));
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, calls: &mut mpsc::Receiver<Call>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let asked: Mutex<BTreeMap<u64, Heard>> = Mutex::default();
    let speaking = async {
        let mut next = 0;
        loop {
            let call = match timeout(IDLE, calls.recv()).await {
                Ok(Some(call)) => call,
                // Nobody will ask any more, or nobody has for long.
                Ok(None) => return Ok(()),
                Err(_) if lock(&asked).values().all(Heard::is_closed) => return Ok(()),
                Err(_) => continue,
            };
            next += 1;
            {
                let mut asked = lock(&asked);
                // Of those that gave up waiting no answer may come.
                asked.retain(|_, heard| !heard.is_closed());
                asked.insert(next, call.heard);
            }
            write(&mut writer, next, &call.request).await?;
        }
    };
    let hearing = async {
        loop {
            let (number, bytes) = read(&mut reader, Response::LIMIT).await?;
            let response = Response::decode(&bytes).map_err(|error| CallError::Malformed(error.to_string()));
            if let Some(heard) = lock(&asked).remove(&number) {
                say(heard, response);
            }
        }
    };
    let ended = tokio::select! {
        spoken = speaking => spoken,
        heard = hearing => heard,
    };
    for (_, heard) in std::mem::take(&mut *lock(&asked)) {
        say(heard, Err(CallError::Lost));
    }
    ended
}

/// A number, and so many bytes behind their length.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), number: u64, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut head = [0; 12];
    head[..4].copy_from_slice(&length.to_be_bytes());
    head[4..].copy_from_slice(&number.to_be_bytes());
    stream.write_all(&head).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

pub async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<(u64, Vec<u8>)> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let [a, b, c, d, number @ ..] = head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok((u64::from_be_bytes(number), bytes))
}

fn say(heard: Heard, answer: Result<Response, CallError>) {
    if heard.send(answer).is_err() {
        tracing::trace!("nobody waits for the answer any more");
    }
}

/// Nothing that can panic happens under the locks.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use proptest::{collection::vec, prelude::*};

    fn block<T>(work: impl Future<Output = T>) -> T {
        futures::executor::block_on(work)
    }

    #[test]
    fn what_says_that_it_is_too_long_is_not_waited_for() {
        let mut stream = Cursor::new([&[0, 0, 4, 1][..], &[0; 8]].concat());
        assert_eq!(block(read(&mut stream, 1024)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut stream = Cursor::new([0xff; 12]);
        assert_eq!(block(read(&mut stream, Response::LIMIT)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        /// Messages come out as they went in, up to where the stream is cut.
        #[test]
        fn messages_come_out_as_they_went_in(sent in vec((any::<u64>(), vec(any::<u8>(), 0..40)), 0..6), cut in 0..60usize) {
            let mut stream = Cursor::new(Vec::new());
            for (number, bytes) in &sent {
                block(write(&mut stream, *number, bytes)).unwrap();
            }
            let whole = stream.into_inner();
            let mut stream = Cursor::new(&whole[..whole.len().saturating_sub(cut)]);
            let mut came = Vec::new();
            let ended = loop {
                match block(read(&mut stream, 40)) {
                    Ok(message) => came.push(message),
                    Err(error) => break error,
                }
            };
            prop_assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
            prop_assert!(sent.starts_with(&came) && (cut > 0 || came.len() == sent.len()));
        }

        #[test]
        fn no_bytes_panic(bytes in vec(any::<u8>(), 0..64), short in 0..4usize) {
            // Half of them with a length that may be true.
            let mut bytes = bytes;
            bytes.iter_mut().take(short).for_each(|byte| *byte = 0);
            let mut stream = Cursor::new(bytes);
            while block(read(&mut stream, 64)).is_ok() {}
        }
    }
}
