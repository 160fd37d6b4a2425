//! Standard input, output and error of a program.

use crate::executor::guard::sink::Sink;
use crate::executor::input::open_regular;
use crate::executor::outcome::Failure;
use crate::executor::protocol::Kept;
use crate::executor::run::Source;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{InputFile, IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// What of it one host call takes.
const CHUNK: usize = 64 << 10;

/// Gives a program its standard input.
pub fn set_input(context: &mut WasiCtxBuilder, source: Source) -> io::Result<()> {
    match source {
        Source::Null => {}
        Source::Inline(bytes) => {
            context.stdin(MemoryInputPipe::new(bytes));
        }
        Source::File(path) => {
            context.stdin(InputFile::new(open_regular(&path)?));
        }
    }
    Ok(())
}

/// Where an output goes. Its clones are one.
#[derive(Clone)]
pub struct Tap(Arc<Mutex<State>>);

struct State {
    sink: Sink,
    out: PathBuf,
    limit: u64,
    failure: Option<Failure>,
}

impl Tap {
    pub fn new(name: &'static str, out: &Path, limit: u64) -> Self {
        Self(Arc::new(Mutex::new(State { sink: Sink::fed(name, limit), out: out.to_owned(), limit, failure: None })))
    }

    /// From now on everything is in a file, too.
    pub fn publish(&self) -> Result<(), Failure> {
        let state = &mut *self.lock();
        state.sink.publish(&state.out).map_err(|error| unwritable(&error))
    }

    /// Says something behind the program, if there is room.
    pub fn note(&self, text: &str) {
        let state = &mut *self.lock();
        if state.failure.is_none() && state.sink.room() >= text.len() as u64 {
            state.take(text.as_bytes());
        }
    }

    /// Why the program could not go on writing.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// What was kept, and whether there is a file for who followed. Nothing writes any more.
    pub fn end(&self) -> (Kept, bool) {
        let state = &mut *self.lock();
        let sink = std::mem::replace(&mut state.sink, Sink::fed("", 0));
        let has_file = sink.has_file();
        (sink.kept(), has_file)
    }

    fn write_all(&self, bytes: &[u8]) -> Result<(), Failure> {
        let state = &mut *self.lock();
        state.take(bytes);
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// Nothing that can panic happens under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        if let Err(error) = self.sink.take(bytes, &self.out) {
            self.failure = Some(unwritable(&error));
        } else if self.sink.overflown {
            self.failure = Some(Failure::OutputTooLarge { stream: self.sink.name.into(), limit: self.limit });
        }
    }
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::Prepare { what: "output file".into(), error: error.to_string() }
}

impl IsTerminal for Tap {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tap {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl Pollable for Tap {
    fn ready<'this, 'future>(&'this mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'future>>
    where
        'this: 'future,
        Self: 'future,
    {
        Box::pin(std::future::ready(()))
    }
}

/// Who writes more than it may is ended by that.
impl OutputStream for Tap {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_all(&bytes).map_err(|failure| StreamError::Trap(wasmtime::Error::new(failure)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_all(bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
