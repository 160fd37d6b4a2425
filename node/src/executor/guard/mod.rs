//! The process between meshd and a command. One thread; blocks only in `poll`; allocates little; forks cheaply.
//!
//! Life: `main` calls [`guard_main`] before anything else → the level asked for is entered or refused → `Ready` →
//! (order → report)* → the socket closes → everything is killed → exit.

#[cfg(target_os = "linux")]
mod capabilities;
mod control;
pub(super) mod directory;
#[cfg(target_os = "linux")]
mod fence;
pub(super) mod holdings;
mod job;
pub mod lock;
pub(super) mod sink;
mod tree;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod spawn;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod spawn;

use super::outcome::Level;
use super::protocol::{FromGuard, ToGuard};
use control::{Control, Gone};
pub(super) use directory::remove;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
pub(crate) use tree::kill_marked;

/// The first argument that makes this binary a guard.
pub(super) const GUARD_ARGUMENT: &str = "__guard";
/// Behind the level: commands are fenced, or not.
pub(super) const FENCED: &str = "fenced";
pub(super) const UNFENCED: &str = "unfenced";
/// Before each path that is writable although commands are fenced, and that is hidden from them.
pub(super) const WRITABLE: &str = "write=";
pub(super) const HIDDEN: &str = "hide=";

/// To be called at the very start of `main`, before threads, runtimes and argument parsing. `Some(code)`: this process
/// was started as a guard, or as a compiler, and is done; exit with `code`. `None`: go on as usual.
#[must_use]
pub fn guard_main() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    if first == lock::LOCK_ARGUMENT {
        return Some(lock::run(arguments));
    }
    #[cfg(feature = "wasm")]
    if first == super::wasm::COMPILER_ARGUMENT {
        return Some(super::wasm::compiler::serve());
    }
    if first != GUARD_ARGUMENT {
        return None;
    }
    let level = arguments.next().and_then(|word| word.to_str().and_then(Level::from_word));
    let Some(level) = level else {
        eprintln!(
            "meshd: `{GUARD_ARGUMENT}` is how meshd starts the processes that hold its tasks; not for use by hand"
        );
        return Some(2);
    };
    let fenced = arguments.next().is_some_and(|word| word == FENCED);
    let (mut writable, mut hidden) = (Vec::new(), Vec::new());
    for argument in arguments {
        let path = |prefix: &str| {
            let path = argument.as_bytes().strip_prefix(prefix.as_bytes())?;
            Some(PathBuf::from(OsStr::from_bytes(path)))
        };
        writable.extend(path(WRITABLE));
        hidden.extend(path(HIDDEN));
    }
    Some(run(level, fenced.then_some(&writable), &hidden))
}

fn run(level: Level, writable: Option<&Vec<PathBuf>>, hidden: &[PathBuf]) -> i32 {
    spawn::close_inherited();
    let mut control = match Control::on_standard_input() {
        Ok(control) => control,
        Err(error) => {
            eprintln!("meshd guard: standard input is no socket: {error}");
            return 2;
        }
    };
    match spawn::enter(level, hidden) {
        Ok(spawn::Entered::Guard(mut guard)) => {
            let fence = match writable.map(|writable| guard.put_up_fence(writable)).transpose() {
                Ok(fence) => fence.flatten(),
                Err(error) => {
                    eprintln!("meshd guard: {error}");
                    return 2;
                }
            };
            let ready = FromGuard::Ready { pid: guard.outer_pid, level, fence };
            match control.send(&ready).and_then(|()| serve(&mut control, guard)) {
                Ok(never) => match never {},
                // meshd is gone, or no longer wants this guard.
                Err(Gone) => 0,
            }
        }
        // The guard proper is another process now, a child of meshd like this one.
        Ok(spawn::Entered::Parent) => 0,
        Err(error) => {
            let refusal = FromGuard::Unsupported { error: error.to_string() };
            i32::from(control.send(&refusal).is_err())
        }
    }
}

enum Never {}

fn serve(control: &mut Control, mut guard: spawn::Guard) -> Result<Never, Gone> {
    loop {
        match control.receive()? {
            ToGuard::Run(order) => {
                let report = job::run(control, &mut guard, &order)?;
                control.send(&FromGuard::Report(Box::new(report)))?;
            }
            // Meant for a task that ended while the message was under way.
            ToGuard::Renew | ToGuard::Cancel => {}
        }
    }
}
