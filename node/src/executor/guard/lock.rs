//! The process between `meshd lock` and its command: it ends the command and all that it started when the lock may be
//! another's, whatever became of `meshd lock`. One thread; blocks only in `poll`.
//!
//! It shares the terminal and the process group of who started it, so that the command has both as it would without a lock,
//! and is deaf to what a terminal says: Ctrl-C is for the command, and Ctrl-Z, which stops `meshd lock` as well, does not
//! stop the clock of the lease. A namespace of its own would hold the command more surely yet; but in one it has other
//! process ids than its user sees, and no `sudo`.

use super::spawn::{self, Waited};
use super::tree;
use crate::executor::outcome::Level;
use crate::executor::protocol::{frame, take};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// The first argument that makes this binary such a guard; behind it the number of its socket, `--`, and the command.
pub const LOCK_ARGUMENT: &str = "__lock";

/// When a command ends at the latest, by the clock of [`now`]: first it is asked to, then it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    pub asked: Duration,
    pub killed: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum ToHolder {
    /// The lease was renewed.
    Until(Until),
    /// The command is to end.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHolder {
    /// The command runs.
    Started,
    /// There is no such program, or it cannot be started.
    Failed(String),
    /// Every process of it is gone.
    Ended(Ended),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Of the command itself: its own code, or 128 and the signal.
    pub code: u8,
    /// It was ended because nobody said in time that the lease goes on.
    pub by_lease: bool,
}

/// Between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(2);
/// Between rounds of killing.
const AGAIN: Duration = Duration::from_millis(5);

/// Since boot, counting the time that the machine slept.
#[must_use]
pub fn now() -> Duration {
    spawn::now()
}

/// Serves as such a guard; the exit code.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let socket = arguments.next().and_then(|number| number.to_str()?.parse().ok());
    let words: Vec<OsString> = arguments.skip(1).collect();
    let (Some(socket), false) = (socket, words.is_empty()) else {
        eprintln!("meshd: `{LOCK_ARGUMENT}` is how `meshd lock` starts what holds its command; not for use by hand");
        return 2;
    };
    let entered = spawn::adopt(socket).and_then(|socket| Ok((UnixStream::from(socket), spawn::hold()?)));
    let (socket, children) = match entered {
        Ok(entered) => entered,
        Err(error) => {
            eprintln!("meshd: the guard of the lock's command: {error}");
            return 2;
        }
    };
    let mut holder = Holder { socket, buffer: Vec::new(), children, state: State::default() };
    match holder.serve(&words) {
        Ok(()) => 0,
        // Who asked is gone: nobody is left to be told.
        Err(Gone) => 1,
    }
}

/// The other end of the socket is closed.
struct Gone;

struct Holder {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// Readable when a process has ended.
    children: OwnedFd,
    state: State,
}

/// What is to become of the command. Apart from the processes, so that it can be tried without any.
#[derive(Debug, Default)]
struct State {
    until: Option<Until>,
    /// Somebody wants its end, or is there no more who could want it to go on.
    is_wanted: bool,
    /// It was asked to end.
    is_asked: bool,
    /// It is being killed.
    is_killed: bool,
    by_lease: bool,
    leader: Option<u8>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ask,
    Kill,
}

impl State {
    /// The lease goes on: unless its end has begun.
    fn renew(&mut self, until: Until) {
        if !self.is_asked && !self.is_wanted {
            self.until = Some(until);
        }
    }

    /// It ends now, and is killed after a grace that is not longer than the lease.
    fn end(&mut self, now: Duration) {
        let killed = self.until.map_or(now, |until| until.killed.min(now + GRACE));
        if !self.is_asked && !self.is_wanted {
            self.is_wanted = true;
            self.until = Some(Until { asked: now, killed });
        }
    }

    /// The command itself has ended: what it left behind does not outlive it.
    fn ended(&mut self, code: u8) {
        self.leader = Some(code);
        self.is_killed = true;
    }

    fn due(&mut self, now: Duration) -> Due {
        let Some(until) = self.until else { return Due::Nothing };
        if self.is_killed || now >= until.killed {
            self.by_lease |= self.leader.is_none() && !self.is_asked && !self.is_wanted;
            (self.is_asked, self.is_killed) = (true, true);
            return Due::Kill;
        }
        if now >= until.asked && !self.is_asked {
            self.is_asked = true;
            self.by_lease = !self.is_wanted;
            return Due::Ask;
        }
        Due::Nothing
    }

    /// When to look again.
    fn next(&self, now: Duration) -> Option<Duration> {
        match self.until {
            _ if self.is_killed => Some(now + AGAIN),
            Some(until) if self.is_asked => Some(until.killed),
            Some(until) => Some(until.asked.min(until.killed)),
            None => None,
        }
    }
}

impl Holder {
    fn serve(&mut self, words: &[OsString]) -> Result<(), Gone> {
        // Nothing starts before it is known how long it may run.
        while self.state.until.is_none() {
            self.fill()?;
            self.listen(now())?;
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let leader = match spawn::spawn_held(command) {
            Ok(leader) => leader,
            Err(error) => return self.say(&FromHolder::Failed(error.to_string())),
        };
        let mut gone = self.say(&FromHolder::Started).is_err();
        loop {
            if gone {
                self.state.end(now());
            }
            match self.state.due(now()) {
                Due::Nothing => {}
                Due::Ask => {
                    // What is stopped hears nothing before it goes on.
                    for signal in [libc::SIGTERM, libc::SIGCONT] {
                        tree::signal(LEVEL, Some(leader), signal);
                    }
                }
                Due::Kill => tree::kill_round(LEVEL, Some(leader), self.state.leader.is_some()),
            }
            if self.reap(leader) {
                break;
            }
            let (heard, ended) = self.wait(gone);
            if heard && !gone {
                gone = self.fill().and_then(|()| self.listen(now())).is_err();
            }
            if ended {
                spawn::clear(&self.children);
            }
        }
        let State { leader: code, by_lease, .. } = self.state;
        self.say(&FromHolder::Ended(Ended { code: code.unwrap_or(u8::MAX), by_lease }))
    }

    /// Whether nothing is left.
    fn reap(&mut self, leader: i32) -> bool {
        loop {
            match spawn::wait_any() {
                Waited::Ended(ended) if ended.pid == leader => self.state.ended(code(ended.status)),
                Waited::Ended(_) => {}
                Waited::Alive => return false,
                Waited::NoneLeft => return true,
            }
        }
    }

    /// Until something is said, a process has ended, or something is due. Which of the first two.
    fn wait(&self, gone: bool) -> (bool, bool) {
        let at = now();
        let left = self.state.next(at).map_or(LOOK, |next| next.saturating_sub(at)).min(LOOK);
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds = vec![PollFd::new(&self.children, PollFlags::IN)];
        if !gone {
            fds.push(PollFd::new(&self.socket, PollFlags::IN));
        }
        if poll(&mut fds, Some(&timeout)).is_err() {
            return (false, true);
        }
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        (is_ready(1), is_ready(0))
    }

    fn listen(&mut self, at: Duration) -> Result<(), Gone> {
        while let Some(message) = take(&mut self.buffer).map_err(|_| Gone)? {
            match message {
                ToHolder::Until(until) => self.state.renew(until),
                ToHolder::End => self.state.end(at),
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Gone> {
        let mut chunk = [0; 1024];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(Gone),
                Ok(read) => {
                    self.buffer.extend_from_slice(&chunk[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    fn say(&mut self, message: &FromHolder) -> Result<(), Gone> {
        self.socket.write_all(&frame(message)).map_err(|_| Gone)
    }
}

/// Between two looks in any case: elsewhere than on Linux nothing tells of an end.
const LOOK: Duration = if cfg!(target_os = "linux") { Duration::from_secs(60) } else { Duration::from_millis(20) };

/// What holds the command together here.
const LEVEL: Level = if cfg!(target_os = "linux") { Level::Subreaper } else { Level::ProcessGroup };

/// The program's own, or 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Whether a terminal's Ctrl-C reaches this process and what it starts alike: then it is for what it starts.
#[must_use]
pub fn shares_terminal() -> bool {
    spawn::is_in_foreground()
}

/// A socket as the guard takes it: not closed when it is executed.
pub fn inherit(socket: &UnixStream) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(socket.as_fd(), rustix::io::FdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn held(asked: u64, killed: u64) -> State {
        let mut state = State::default();
        state.renew(Until { asked: ms(asked), killed: ms(killed) });
        state
    }

    #[test]
    fn a_lease_that_is_not_renewed_asks_and_then_kills() {
        let mut state = held(1_000, 3_000);
        assert_eq!((state.due(ms(999)), state.next(ms(999))), (Due::Nothing, Some(ms(1_000))));
        state.renew(Until { asked: ms(2_000), killed: ms(4_000) });
        assert_eq!(state.due(ms(1_500)), Due::Nothing, "renewed");
        assert_eq!((state.due(ms(2_000)), state.next(ms(2_000))), (Due::Ask, Some(ms(4_000))));
        // It is too late for another word.
        state.renew(Until { asked: ms(9_000), killed: ms(9_000) });
        assert_eq!(
            (state.due(ms(3_999)), state.due(ms(4_000)), state.due(ms(4_001))),
            (Due::Nothing, Due::Kill, Due::Kill)
        );
    }

    #[test]
    fn what_is_asked_to_end_is_killed_after_a_grace_and_not_behind_its_lease() {
        let mut state = held(60_000, 61_000);
        state.end(ms(10));
        assert_eq!(
            (state.due(ms(10)), state.due(ms(2_009)), state.due(ms(2_010))),
            (Due::Ask, Due::Nothing, Due::Kill)
        );
        assert!(!state.by_lease);
        let mut state = held(1_000, 1_500);
        state.end(ms(900));
        assert_eq!((state.due(ms(900)), state.due(ms(1_500))), (Due::Ask, Due::Kill));
    }

    #[test]
    fn who_slept_through_all_of_it_kills_at_once_and_says_that_it_was_the_lease() {
        let mut state = held(1_000, 3_000);
        assert_eq!(state.due(ms(50_000)), Due::Kill);
        assert!(state.by_lease);
    }

    #[test]
    fn what_a_command_leaves_behind_is_killed_with_its_end() {
        let mut state = held(1_000, 3_000);
        state.ended(3);
        assert_eq!((state.due(ms(10)), state.by_lease), (Due::Kill, false));
    }
}
