//! The process between meshd and a command. One thread; blocks only in `poll`; allocates little; forks cheaply.
//!
//! Life: `main` calls [`guard_main`] before anything else → the level asked for is entered or refused → `Ready` →
//! (order → report)* → the socket closes → everything is killed → exit.

mod control;
mod directory;
mod job;
mod sink;
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
pub(super) use tree::kill_marked;

/// The first argument that makes this binary a guard.
pub(super) const GUARD_ARGUMENT: &str = "__guard";

/// To be called at the very start of `main`, before threads, runtimes and argument parsing. `Some(code)`: this process
/// was started as a guard and is done; exit with `code`. `None`: go on as usual.
#[must_use]
pub fn guard_main() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != GUARD_ARGUMENT {
        return None;
    }
    let level = arguments.next().and_then(|word| word.to_str().and_then(Level::from_word));
    let Some(level) = level else {
        eprintln!(
            "meshd: `{GUARD_ARGUMENT}` is how meshd starts the processes that hold its tasks; not for use by hand"
        );
        return Some(2);
    };
    Some(run(level))
}

fn run(level: Level) -> i32 {
    spawn::close_inherited();
    let mut control = match Control::on_standard_input() {
        Ok(control) => control,
        Err(error) => {
            eprintln!("meshd guard: standard input is no socket: {error}");
            return 2;
        }
    };
    match spawn::enter(level) {
        Ok(spawn::Entered::Guard(guard)) => {
            let ready = FromGuard::Ready { pid: guard.outer_pid, level };
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
