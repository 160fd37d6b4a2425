//! The processes that compile, as the node that started them has them.

use super::{Answer, Order, Sizes, Uncompiled};
use crate::executor::outcome::Failure;
use crate::executor::protocol::{frame, take};
use crate::executor::wasm::config::{Compilation, Compiler};
use crate::executor::wasm::engine::Code;
use mesh_proto::codec::DecodeError;
use mesh_proto::id::BlobId;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub struct Compilers {
    compiler: Compiler,
    limits: Compilation,
    sizes: Sizes,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    is_closed: bool,
    next: u64,
    /// By a number of their own: the sockets with which they end.
    sockets: BTreeMap<u64, UnixStream>,
}

/// From the end of a compiler's socket to its own, on a loaded machine.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Of what a compiler said when it ended over a program.
const SAID_BYTES: u64 = 4 << 10;

impl Compilers {
    pub fn new(compiler: Compiler, limits: Compilation, sizes: Sizes) -> Self {
        Self { compiler, limits, sizes, running: Mutex::default() }
    }

    /// How long a compilation may take by the clock.
    pub fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// The code of the program of this id, which is in the file. Blocks.
    pub fn compile(&self, id: BlobId, is_deterministic: bool, file: &Path) -> Result<Code, Uncompiled> {
        let Compilation { memory_bytes, cpu_seconds, patience } = self.limits;
        let order = Order {
            id,
            file: file.as_os_str().as_bytes().to_vec(),
            sizes: self.sizes,
            is_deterministic,
            memory_bytes,
            cpu_seconds,
        };
        let mut process = self.start().map_err(|error| unavailable(&format_args!("cannot be started: {error}")))?;
        let number = self.enter(&process)?;
        let answered = process.ask(&order, Instant::now() + patience);
        self.running().sockets.remove(&number);
        match answered {
            Ok((Answer::Made { .. }, code)) => Ok(Code::from_compiler(code)),
            Ok((Answer::NoMemory, _)) => Err(Failure::CompilerMemory { limit: memory_bytes }.into()),
            Ok((Answer::Refused(failure), _)) => Err(failure.into()),
            Err(Unanswered::Late) => {
                tracing::warn!(program = %id, "a compiler was ended: it took longer than {} s", patience.as_secs());
                Err(Uncompiled::in_vain(too_late(patience)))
            }
            Err(Unanswered::Unreadable(error)) => {
                tracing::warn!(program = %id, %error, "a compiler was ended: its answer is none");
                Err(Uncompiled::in_vain(unavailable(&format_args!("its answer is none: {error}"))))
            }
            Err(Unanswered::NoRoom) => Err(Uncompiled::in_vain(unavailable(&"no memory is left for what it made"))),
            Err(Unanswered::Ended) => Err(self.why(id, process)),
        }
    }

    /// Ends those that run; no more are started.
    pub fn close(&self) {
        let mut running = self.running();
        running.is_closed = true;
        for socket in std::mem::take(&mut running.sockets).into_values() {
            if let Err(error) = socket.shutdown(Shutdown::Both) {
                tracing::debug!(%error, "a compiler was gone when it was to end");
            }
        }
    }

    /// Its environment is empty, and what a terminal says is not for it.
    fn start(&self) -> io::Result<Process> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.compiler.program);
        command.args(&self.compiler.arguments).env_clear().process_group(0);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(Process { child: command.spawn()?, socket: ours })
    }

    fn enter(&self, process: &Process) -> Result<u64, Failure> {
        let socket = process.socket.try_clone().map_err(|error| unavailable(&error))?;
        let mut running = self.running();
        if running.is_closed {
            return Err(Failure::Cancelled);
        }
        running.next += 1;
        let number = running.next;
        running.sockets.insert(number, socket);
        Ok(number)
    }

    /// Why it ended without an answer.
    fn why(&self, id: BlobId, mut process: Process) -> Uncompiled {
        let ended = match process.end() {
            Ok(ended) => ended,
            Err(error) => return unavailable(&error).into(),
        };
        let said = process.said();
        let Compilation { memory_bytes, cpu_seconds, .. } = self.limits;
        let failure = match verdict(ended, &said) {
            Verdict::Memory => Failure::CompilerMemory { limit: memory_bytes },
            Verdict::Time => Failure::CompilerTime { limit_s: cpu_seconds },
            Verdict::GaveUp => gave_up(),
            Verdict::Killed => unavailable(&format_args!("ended without an answer ({ended})")),
        };
        if self.running().is_closed {
            return Failure::Cancelled.into();
        }
        tracing::warn!(program = %id, %ended, said = said.trim(), "a compiler ended without an answer: {failure}");
        // What exits has not come as far as the program.
        Uncompiled { failure, was_in_vain: ended.signal().is_some() }
    }

    /// Nothing that can panic happens under the lock.
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_late(patience: Duration) -> Failure {
    let error = format!("it is not compiled after {} s", patience.as_secs());
    Failure::Prepare { what: "program".into(), error }
}

pub fn gave_up() -> Failure {
    Failure::NotAProgram { why: "the compiler gave up on it".into() }
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Prepare { what: "program".into(), error: format!("the compiler: {error}") }
}

/// One that runs; killed and waited for when it is dropped.
struct Process {
    child: Child,
    socket: UnixStream,
}

enum Unanswered {
    /// As far as its socket tells.
    Ended,
    Late,
    /// It runs, and says what no compiler says.
    Unreadable(DecodeError),
    /// This process has no memory for what it made.
    NoRoom,
}

impl Process {
    fn ask(&mut self, order: &Order, until: Instant) -> Result<(Answer, Vec<u8>), Unanswered> {
        // Ended before it listened: what it said of that is looked at.
        self.socket.write_all(&frame(order)).map_err(|_| Unanswered::Ended)?;
        let mut buffer = Vec::new();
        let answer = loop {
            match take(&mut buffer) {
                Ok(Some(answer)) => break answer,
                Ok(None) => self.read(&mut buffer, until)?,
                Err(error) => return Err(Unanswered::Unreadable(error)),
            }
        };
        if let Answer::Made { bytes } = answer {
            let (size, limit) =
                [bytes, order.sizes.code_bytes].map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)).into();
            // It was told not to make more.
            if size > limit {
                return Err(Unanswered::Unreadable(DecodeError::TooLarge { size, limit }));
            }
            buffer.try_reserve_exact(size.saturating_sub(buffer.len())).map_err(|_| Unanswered::NoRoom)?;
            while buffer.len() < size {
                self.read(&mut buffer, until)?;
            }
        }
        Ok((answer, buffer))
    }

    fn read(&mut self, buffer: &mut Vec<u8>, until: Instant) -> Result<(), Unanswered> {
        let mut chunk = [0; 64 << 10];
        let left = until.saturating_duration_since(Instant::now());
        // None at all would be for ever.
        let set = self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        match set.and_then(|()| self.socket.read(&mut chunk)) {
            Ok(0) => Err(Unanswered::Ended),
            Ok(read) => {
                buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(Unanswered::Late)
            }
            Err(_) => Err(Unanswered::Ended),
        }
    }

    /// Of one that has let go of its socket: it ends by itself, or is killed if it does not.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + ENDS_WITHIN;
        while Instant::now() < until {
            if let Some(ended) = self.child.try_wait()? {
                return Ok(ended);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.child.kill()?;
        self.child.wait()
    }

    /// At standard error, once it has ended.
    fn said(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.take()
            && let Err(error) = stderr.take(SAID_BYTES).read_to_end(&mut said)
        {
            tracing::debug!(%error, "what a compiler said is not to be had");
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "a compiler was not ended");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Memory,
    Time,
    /// Over this program, as it would anywhere.
    GaveUp,
    /// By somebody else, for a reason that is not the program's: by the system for want of memory, by a user.
    Killed,
}

/// The standard library says so before it aborts.
const NO_MEMORY: &str = "memory allocation of ";

fn verdict(ended: ExitStatus, said: &str) -> Verdict {
    match ended.signal() {
        Some(libc::SIGXCPU) => Verdict::Time,
        Some(libc::SIGABRT) if said.contains(NO_MEMORY) => Verdict::Memory,
        // Its stack, or a mistake of the compiler's.
        Some(libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGTRAP) => Verdict::GaveUp,
        Some(_) | None => Verdict::Killed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_program_is_to_blame_for_is_blamed_on_it() {
        let signalled = |signal: i32| ExitStatus::from_raw(signal);
        for (ended, said, expected) in [
            (signalled(libc::SIGXCPU), "", Verdict::Time),
            (signalled(libc::SIGABRT), "memory allocation of 65536 bytes failed\n", Verdict::Memory),
            (signalled(libc::SIGABRT), "thread 'wasm-compiler' has overflowed its stack\n", Verdict::GaveUp),
            (signalled(libc::SIGSEGV), "", Verdict::GaveUp),
            (signalled(libc::SIGKILL), "", Verdict::Killed),
            (signalled(libc::SIGTERM), "", Verdict::Killed),
            (ExitStatus::from_raw(2 << 8), "not for use by hand", Verdict::Killed),
        ] {
            assert_eq!(verdict(ended, said), expected, "{ended} {said}");
        }
    }

    /// With a compiler of this shell's: it has the socket as its standard input.
    fn compiled_by(line: &str) -> Failure {
        let compiler = Compiler { program: "/bin/sh".into(), arguments: ["-c", line].map(Into::into).into() };
        let sizes = Sizes { module_bytes: 1 << 20, code_bytes: 1 << 20 };
        let compilers = Compilers::new(compiler, Compilation::new(1 << 30, 600), sizes);
        let compiled = compilers.compile(BlobId::from_bytes([1; 32]), false, Path::new("/no/such/program"));
        compiled.err().expect("it is no compiler").failure
    }

    #[test]
    fn who_says_what_is_no_answer_or_lets_go_of_its_socket_and_runs_on_is_ended() {
        let begun = Instant::now();
        for (line, why) in [
            (r"printf '\377\377\377\377' >&0; exec sleep 600", "its answer is none"),
            // A frame of one byte, that says nothing.
            (r"printf '\001\000\000\000\377' >&0; exec sleep 600", "its answer is none"),
            ("exec sleep 600 <&-", "without an answer"),
        ] {
            let failure = compiled_by(line);
            assert!(failure.to_string().contains(why), "{line}: {failure}");
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "they were waited for");
    }

    #[test]
    fn no_more_is_taken_of_a_compiler_than_it_may_make() {
        let made = frame(&Answer::Made { bytes: (1 << 20) + 1 });
        let octal: String = made.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let failure = compiled_by(&format!("printf '{octal}' >&0; exec cat /dev/zero >&0"));
        assert!(failure.to_string().contains("its answer is none"), "{failure}");
    }
}
