//! The guard's end of the socket to meshd.

use crate::executor::protocol::{FromGuard, ToGuard, frame, take};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// meshd closed the socket, by intent or by dying. The guard kills what it holds and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

pub struct Control {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Control {
    pub fn on_standard_input() -> std::io::Result<Self> {
        let input = std::io::stdin().as_fd().try_clone_to_owned()?;
        let stream = UnixStream::from(input);
        // Refuses a terminal or a file: somebody called the guard by hand.
        stream.local_addr()?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Blocks until meshd says something.
    pub fn receive(&mut self) -> Result<ToGuard, Gone> {
        loop {
            if let Some(message) = take(&mut self.buffer).map_err(|_| Gone)? {
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// What has arrived; never blocks when the socket was reported readable, or has a whole frame buffered.
    pub fn receive_now(&mut self, readable: bool) -> Result<Option<ToGuard>, Gone> {
        if let Some(message) = take(&mut self.buffer).map_err(|_| Gone)? {
            return Ok(Some(message));
        }
        if readable {
            self.fill()?;
        }
        take(&mut self.buffer).map_err(|_| Gone)
    }

    /// Blocks until meshd took it: there is one report at a time, and it fits the socket's buffer as a rule.
    pub fn send(&mut self, message: &FromGuard) -> Result<(), Gone> {
        self.stream.write_all(&frame(message)).map_err(|_| Gone)
    }

    fn fill(&mut self) -> Result<(), Gone> {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Gone),
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
