//! The process that compiles one program.

use super::{Answer, Order};
use crate::executor::input::open_regular;
use crate::executor::outcome::Failure;
use crate::executor::protocol::{frame, take};
use crate::executor::wasm::COMPILER_ARGUMENT;
use crate::executor::wasm::engine::{self, Code};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use std::any::Any;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// It goes deep into what nests deep.
const STACK_BYTES: usize = 16 << 20;
/// From the signal that ends a process above its processor time to the one that does so in any case, in seconds.
const AFTER: u64 = 2;

/// Compiles what is asked for at standard input; the exit code.
pub fn serve() -> i32 {
    let answered = orders().and_then(|(mut socket, order)| {
        let limit = order.sizes.code_bytes;
        let answer = compile(order)?;
        let (answer, code) = match answer {
            Ok(Some(code)) => match code.as_bytes().len() as u64 {
                bytes if bytes > limit => (Answer::Refused(Failure::CodeTooLarge { bytes, limit }), None),
                bytes => (Answer::Made { bytes }, Some(code)),
            },
            Ok(None) => (Answer::NoMemory, None),
            Err(failure) => (Answer::Refused(failure), None),
        };
        socket.write_all(&frame(&answer))?;
        socket.write_all(code.as_ref().map_or(&[], Code::as_bytes))
    });
    match answered {
        Ok(()) => 0,
        Err(error) => {
            eprintln!(
                "meshd: `{COMPILER_ARGUMENT}` is how meshd starts what compiles its programs; not for use by hand: {error}"
            );
            2
        }
    }
}

fn orders() -> io::Result<(UnixStream, Order)> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (mut buffer, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        if let Some(order) = take(&mut buffer).map_err(io::Error::other)? {
            return Ok((socket, order));
        }
        match socket.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

type Made = Result<Option<Code>, Failure>;

fn compile(order: Order) -> io::Result<Made> {
    watch(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))?;
    // When memory runs out, this goes before the node does. Without the right to say so, nothing is lost.
    #[cfg(target_os = "linux")]
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "500") {
        eprintln!("meshd compiler: oom_score_adj: {error}");
    }
    bound(&order)?;
    let thread = std::thread::Builder::new().name("wasm-compiler".into()).stack_size(STACK_BYTES);
    let thread = thread.spawn(move || {
        let program = read(&order)?;
        engine::compile(&program, order.is_deterministic)
    })?;
    // What it panicked over it has said at standard error.
    Ok(thread.join().unwrap_or_else(|panic| match is_for_memory(&*panic) {
        true => Ok(None),
        false => Err(super::process::gave_up()),
    }))
}

/// Arenas say it by a panic that there is no more.
fn is_for_memory(panic: &(dyn Any + Send)) -> bool {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    said.is_some_and(|said| said.contains("out of memory"))
}

/// Ends this process when its socket is closed at the other end, whatever it does.
fn watch(mut socket: UnixStream) -> io::Result<()> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let wait = move || {
        let mut byte = [0];
        // Whoever started this thread may have gone on without it only by ending.
        if ready.send(()).is_err() {
            return;
        }
        // The node says nothing more: what comes is the end, or an error that is as good.
        while socket.read(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        if let Err(error) = kill_process(getpid(), Signal::KILL) {
            eprintln!("meshd compiler: {error}");
        }
    };
    std::thread::Builder::new().name("life-line".into()).spawn(wait)?;
    // It takes memory at its start, and is not to find that there is none.
    is_ready.recv().map_err(io::Error::other)
}

/// For this process alone, from here on.
fn bound(order: &Order) -> io::Result<()> {
    let memory = order.memory_bytes.saturating_add(addresses());
    lower(Resource::As, memory, memory)?;
    lower(Resource::Cpu, order.cpu_seconds, order.cpu_seconds.saturating_add(AFTER))?;
    // It writes no file, nor leaves its memory behind in one.
    lower(Resource::Fsize, 0, 0)?;
    lower(Resource::Core, 0, 0)
}

/// What is tighter already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(resource);
    let most = maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
    Ok(setrlimit(resource, limit)?)
}

/// Bytes of addresses that this process has already: a large program of its own, and what an allocator lays up. Only Linux
/// tells.
fn addresses() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    size.unwrap_or(0u64).saturating_mul(1024)
}

fn read(order: &Order) -> Result<Vec<u8>, Failure> {
    let prepare = |error: io::Error| Failure::Prepare { what: "program".into(), error: error.to_string() };
    let file = open_regular(Path::new(OsStr::from_bytes(&order.file))).map_err(prepare)?;
    let len = file.metadata().map_err(prepare)?.len();
    let limit = order.sizes.module_bytes;
    if len > limit {
        return Err(Failure::ProgramTooLarge { bytes: len, limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(limit).read_to_end(&mut bytes).map_err(prepare)?;
    // The name of the file is the promise that it is this program; a disk may break it, and the verdict stays.
    match blake3::hash(&bytes).as_bytes() == order.id.as_bytes() {
        true => Ok(bytes),
        false => Err(prepare(io::Error::other("the blob on this disk is damaged"))),
    }
}
