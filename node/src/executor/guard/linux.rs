//! All `unsafe` code and all that only Linux has: entering a level of containment, starting a command, waiting for
//! its processes. `other.rs` is the same surface for other systems.

use super::capabilities;
use super::fence::Fence;
use crate::executor::outcome::Level;
use crate::executor::run::Limits;
use rustix::thread::{CapabilitySets, set_capabilities};
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A guard inside its level, able to start commands.
pub struct Guard {
    pub level: Level,
    /// The guard's pid as meshd knows it; inside a namespace the guard itself is 1.
    pub outer_pid: i32,
    /// Readable when a process of the task has ended.
    children: OwnedFd,
    /// Of the child between `clone` and `exec`. One is enough: the guard sleeps until the child has left it.
    stack: Vec<u128>,
    /// `/proc/loadavg`, whose last field is the last pid given out in the guard's namespace.
    last_pid: Option<std::fs::File>,
    /// The namespace's own `pid_max`, and what was last written there.
    pid_max: Option<(std::fs::File, u32)>,
    /// In a user namespace of its own, where `RLIMIT_NPROC` counts the task's processes alone.
    counted_alone: bool,
    /// Of commands; the guard itself goes before them.
    nice: c_int,
    /// Around each command, where the kernel has Landlock.
    fence: Option<Fence>,
    /// What commands go down to, where the guard has more.
    capabilities: Option<CapabilitySets>,
}

pub enum Entered {
    Guard(Guard),
    /// This process was only needed to make the guard.
    Parent,
}

/// Closes what meshd's own parent left open without close-on-exec: it must not reach a task. Called before this process
/// opens anything.
pub fn close_inherited() {
    // SAFETY: a plain system call on descriptors that nobody in this process owns: it has just been started, and only
    // 0, 1 and 2 are known to it.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// Makes this process, or a sibling, the guard. Called once, in a process with one thread.
///
/// In a namespace `hidden` files are empty for commands, and directories, too. It takes mounts of its own: elsewhere they
/// are as the system protects them.
pub fn enter(level: Level, hidden: &[PathBuf]) -> io::Result<Entered> {
    match level {
        Level::ProcessGroup => Err(io::Error::other("not on this system")),
        Level::Subreaper => {
            // SAFETY: takes no pointers.
            check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
            settle(level, std::process::id() as i32).map(Entered::Guard)
        }
        Level::Namespace => {
            let counted_alone = unshare()?;
            match clone_sibling()? {
                0 => in_namespace(hidden).map(|guard| Entered::Guard(Guard { counted_alone, ..guard })),
                _ => Ok(Entered::Parent),
            }
        }
    }
}

/// New namespaces for pids (of children) and mounts; without the right to make them, inside a user namespace of our own
/// in which this user is the same user: then true.
fn unshare() -> io::Result<bool> {
    const WANTED: c_int = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    // SAFETY: takes no pointers; the process has one thread.
    if unsafe { libc::unshare(WANTED) } == 0 {
        return Ok(false);
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // SAFETY: as above.
    check(unsafe { libc::unshare(WANTED | libc::CLONE_NEWUSER) })?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(true)
}

/// Forks with this process's parent as parent: 0 in the child, the first process of the new namespace. meshd can wait
/// for it, and it outlives this process.
fn clone_sibling() -> io::Result<i64> {
    // SAFETY: a fork (no CLONE_VM, no new stack) of a process with one thread; all pointers null. The exit signal is
    // inherited from this process with CLONE_PARENT. The raw call bypasses glibc's fork handlers, none of which are
    // registered this early.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT as u64, 0u64, 0u64, 0u64, 0u64) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// The first steps of the first process in the namespace.
fn in_namespace(hidden: &[PathBuf]) -> io::Result<Guard> {
    // `/proc` is still the outer one: it names this process as meshd does.
    let outer_pid = std::fs::read_link("/proc/self")?;
    let outer_pid = outer_pid.to_str().and_then(|pid| pid.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    // Later mounts outside still arrive here, ours stay here. Then a `/proc` in which programs find themselves.
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_SLAVE)?;
    mount(c"proc", c"/proc", Some(c"proc"), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)?;
    if std::fs::read_link("/proc/self")?.to_str() != Some("1") {
        return Err(io::Error::other("the mounted /proc shows another namespace"));
    }
    for path in hidden {
        let target = CString::new(path.as_os_str().as_bytes())?;
        match path.is_dir() {
            true => mount(c"none", &target, Some(c"tmpfs"), libc::MS_RDONLY | libc::MS_NODEV | libc::MS_NOEXEC)?,
            false => mount(c"/dev/null", &target, None, libc::MS_BIND)?,
        }
    }
    let mut guard = settle(Level::Namespace, outer_pid)?;
    guard.pid_max = own_pid_max();
    Ok(guard)
}

/// The file that bounds the pids of this namespace alone, where the kernel has one (6.14). Before, the file of that
/// name is the whole system's, and must not be touched.
fn own_pid_max() -> Option<(std::fs::File, u32)> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next()?, numbers.next()?);
    let file = std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/pid_max");
    (version >= (6, 14)).then_some((file.ok()?, 0))
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all strings end in NUL and live through the call; data may be null.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, std::ptr::null()) })
}

/// What every guard does once it is inside its level.
fn settle(level: Level, outer_pid: i32) -> io::Result<Guard> {
    // Its own session: a terminal's Ctrl-C is meshd's to answer. Fails only for a leader, which has one already.
    if rustix::process::setsid().is_err() && rustix::process::getsid(None)? != rustix::process::getpid() {
        return Err(io::Error::other("no session of its own"));
    }
    // When memory runs out, tasks go before the node does. Without the right to say so, nothing is lost.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "500") {
        eprintln!("meshd guard: oom_score_adj: {error}");
    }
    // Signals that would end the guard are blocked: only meshd ends it.
    let children = children(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP])?;
    let last_pid = std::fs::File::open("/proc/loadavg").ok();
    let stack = vec![0; STACK_BYTES / 16];
    // For what is executed below: the guard keeps what it has.
    capabilities::bound();
    Ok(Guard {
        level,
        outer_pid,
        children,
        stack,
        last_pid,
        pid_max: None,
        counted_alone: false,
        nice: step_forward(level),
        fence: None,
        capabilities: capabilities::for_commands()?,
    })
}

/// Readable when a child has ended. `deaf`: signals that this process does not hear from here on.
fn children(deaf: &[c_int]) -> io::Result<OwnedFd> {
    // SAFETY: `set` is initialized by sigemptyset before use and lives through the calls; descriptors are made fresh
    // and owned by nobody else.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd)?;
        let children = OwnedFd::from_raw_fd(fd);
        for signal in deaf {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()))?;
        Ok(children)
    }
}

/// Puts the guard before its commands in the line for a CPU: among the hundreds of processes of a fork bomb it would
/// else wait for seconds whenever it looks (51 s to end one, measured on two CPUs). With the right to, it goes first
/// itself; else commands are told to stand back. Where the kernel sets a bomb no wall, it grows to thousands in one turn
/// of others: then the guard waits for nobody. Returns how nice commands are.
fn step_forward(level: Level) -> c_int {
    // SAFETY: `first` lives through the call, the others take no pointers. (-1 may be a value, too; then commands are nice
    // by -1 as their guard was.)
    unsafe {
        let now = libc::getpriority(libc::PRIO_PROCESS, 0);
        if level == Level::Subreaper {
            let first = libc::sched_param { sched_priority: 1 };
            // Commands are as they would be without it. Without the right to, its place is the next best.
            libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const first);
        }
        if libc::setpriority(libc::PRIO_PROCESS, 0, -15) == 0 { now } else { (now + 10).min(19) }
    }
}

const STACK_BYTES: usize = 64 << 10;

/// Makes this process, which shares the terminal of who started it, the keeper of what it starts: it adopts every orphan,
/// and hears no signal by which a terminal or a user ends or stops it. Readable when a process of it has ended.
pub fn hold() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
    let deaf = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGPIPE,
    ];
    children(&deaf)
}

/// Whether this process's group is the one that a terminal at its standard input speaks to.
pub fn is_in_foreground() -> bool {
    // SAFETY: takes no pointers; without a terminal it is no group's number.
    let spoken_to = unsafe { libc::tcgetpgrp(0) };
    spoken_to == rustix::process::getpgrp().as_raw_nonzero().get()
}

/// A descriptor that who started this process left open for it.
pub fn adopt(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; says whether it is open, and sees to it that nobody inherits it further.
    check(unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: open, and nobody in this process owns it: it has just been started, and knows of 0, 1 and 2 besides.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Starts a command in this process's session, group and directory; the kernel kills it when this process dies. Its pid.
pub fn spawn_held(mut command: std::process::Command) -> io::Result<i32> {
    use std::os::unix::process::CommandExt;
    let parent = rustix::process::getpid();
    // SAFETY: runs in the child between fork and exec: two system calls, and nothing that allocates or locks.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // It may have died before.
            match rustix::process::getppid() {
                now if now == Some(parent) => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            }
        });
    }
    Ok(command.spawn()?.id() as i32)
}

/// A command to start.
pub struct Command<'a> {
    pub program: &'a Path,
    pub argv: &'a [String],
    pub env: &'a [String],
    pub directory: &'a Path,
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    pub limits: &'a Limits,
}

/// Which step between `clone` and `exec` failed.
#[derive(Debug)]
pub enum SpawnError {
    Fork(io::Error),
    Setup(io::Error),
    Exec(io::Error),
}

/// What the child needs, all made before it exists: it must not allocate.
struct Child<'a> {
    program: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    directory: *const c_char,
    descriptors: [RawFd; 3],
    limits: &'a [(libc::__rlimit_resource_t, u64)],
    nice: c_int,
    /// Rules of Landlock, or -1.
    fence: RawFd,
    capabilities: Option<CapabilitySets>,
    parent: libc::pid_t,
    /// Written by the child, read by the guard afterwards: 0, or what failed and why.
    failed: Step,
    errno: c_int,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    None,
    Setup,
    Exec,
}

impl Guard {
    /// Commands from now on write only below their own directory and `writable`. Returns the kernel's version of
    /// Landlock; `None` where it has none, and nothing is fenced.
    pub fn put_up_fence(&mut self, writable: &[PathBuf]) -> io::Result<Option<u32>> {
        const VERSION: libc::c_ulong = 1;
        // SAFETY: with this flag the call takes no attributes: a null pointer and no length.
        let version =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<c_void>(), 0usize, VERSION) };
        let Ok(version @ 1..) = u32::try_from(version) else { return Ok(None) };
        self.fence = Some(Fence::new(writable)?);
        Ok(Some(version))
    }

    /// Starts a command in a session of its own and returns its pid (inside the namespace). The child borrows the
    /// guard's memory until it executes, as `vfork` does: nothing is copied, however large the guard.
    pub fn spawn(&mut self, command: &Command<'_>) -> Result<i32, SpawnError> {
        self.bound_pids(command.limits.processes);
        let string = |bytes: &OsStr| CString::new(bytes.as_bytes()).map_err(|error| SpawnError::Setup(error.into()));
        let strings = |words: &[String]| words.iter().map(|word| string(word.as_ref())).collect::<Result<Vec<_>, _>>();
        let (program, directory) = (string(command.program.as_os_str())?, string(command.directory.as_os_str())?);
        let (argv, env) = (strings(command.argv)?, strings(command.env)?);
        let (argv, env) = (pointers(&argv), pointers(&env));
        let fence = self.fence.as_ref().map(|fence| fence.around(command.directory)).transpose();
        let fence = fence.map_err(SpawnError::Setup)?;
        let mut child = Child {
            program: program.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            directory: directory.as_ptr(),
            descriptors: [command.stdin.as_raw_fd(), command.stdout.as_raw_fd(), command.stderr.as_raw_fd()],
            limits: &self.resource_limits(command.limits),
            nice: self.nice,
            fence: fence.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            capabilities: self.capabilities,
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            failed: Step::None,
            errno: 0,
        };
        let top = self.stack.as_mut_ptr_range().end.cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: `top` is the end of a stack that nobody else uses, aligned to 16. With CLONE_VFORK this thread, the
        // only one, sleeps until the child has executed or exited, so `child` and all it points to outlive the use, and
        // there is no concurrent access. `in_child` makes only async-signal-safe calls.
        let pid = unsafe { libc::clone(in_child, top, flags, (&raw mut child).cast()) };
        if pid < 0 {
            return Err(SpawnError::Fork(io::Error::last_os_error()));
        }
        // SAFETY: the child wrote through a pointer the compiler lost sight of; a volatile read of plain data in place.
        let (failed, errno) =
            unsafe { ((&raw const child.failed).read_volatile(), (&raw const child.errno).read_volatile()) };
        match failed {
            Step::None => Ok(pid),
            Step::Setup => Err(SpawnError::Setup(io::Error::from_raw_os_error(errno))),
            Step::Exec => Err(SpawnError::Exec(io::Error::from_raw_os_error(errno))),
        }
    }

    fn resource_limits(&self, limits: &Limits) -> Vec<(libc::__rlimit_resource_t, u64)> {
        let mut list = vec![
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_NOFILE, limits.open_files),
            // One above: `cp` asks at the end of a file that is as large as may be whether there is more, and would be
            // killed for it.
            (libc::RLIMIT_FSIZE, limits.file_bytes.saturating_add(1)),
        ];
        list.extend(limits.cpu_seconds.map(|seconds| (libc::RLIMIT_CPU, seconds)));
        if self.counted_alone {
            // The guard is counted, too.
            list.push((libc::RLIMIT_NPROC, u64::from(wall(limits.processes)) + 1));
        }
        list
    }

    /// Lets the kernel bound the pids of the namespace, where it can, against what forks faster than the guard looks.
    fn bound_pids(&mut self, processes: u32) {
        use std::os::unix::fs::FileExt;
        // Pids under 300 are given out once only; less than 301 is refused.
        let wall = wall(processes).saturating_add(300).min(4 << 20);
        if let Some((file, written)) = &mut self.pid_max
            && *written != wall
            && file.write_at(wall.to_string().as_bytes(), 0).is_ok()
        {
            *written = wall;
        }
    }

    /// The descriptor to poll for ended children.
    pub fn children(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.children.as_fd()
    }

    /// Forgets that children ended; to be called before [`wait_any`] until it finds none.
    pub fn clear(&self) {
        clear(&self.children);
    }

    /// The last pid given out where the guard is: the difference of two is how many processes and threads were made
    /// between, by anybody on the system when the guard has no namespace.
    pub fn last_pid(&self) -> Option<u32> {
        use std::os::unix::fs::FileExt;
        let mut buffer = [0; 128];
        let length = self.last_pid.as_ref()?.read_at(&mut buffer, 0).ok()?;
        std::str::from_utf8(&buffer[..length]).ok()?.trim_end().rsplit(' ').next()?.parse().ok()
    }
}

/// Processes that the kernel lets there be, for a task that may have so many. Far behind the limit: a bomb that runs
/// against it falls in on itself, and is to be seen above the limit before that. And what ended and was not waited for
/// holds a number, too.
fn wall(processes: u32) -> u32 {
    processes.saturating_mul(2).saturating_add(64)
}

/// Runs between `clone` and `exec`, in the guard's memory, on a stack of its own.
///
/// Only raw system calls and async-signal-safe functions; no allocation, no lock, no panic.
extern "C" fn in_child(argument: *mut c_void) -> c_int {
    // SAFETY: `argument` is the `Child` that `spawn` made; the guard sleeps, so this is the only reference.
    let child = unsafe { &mut *argument.cast::<Child<'_>>() };
    // SAFETY: see `set_up` and `execute`; pointers in `child` are valid until the guard wakes.
    unsafe {
        if set_up(child) {
            libc::execve(child.program, child.argv, child.env);
            child.failed = Step::Exec;
        } else {
            child.failed = Step::Setup;
        }
        child.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// # Safety
/// Only in the child: it changes its session, directory, descriptors, signals and limits.
unsafe fn set_up(child: &Child<'_>) -> bool {
    // SAFETY: system calls with plain numbers and pointers that `spawn` keeps alive.
    unsafe {
        libc::setsid();
        // The kernel ends the command with its guard, even one killed in between: hence the look at the parent.
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) != 0 || libc::getppid() != child.parent {
            return false;
        }
        libc::setpriority(libc::PRIO_PROCESS, 0, child.nice);
        // No program gains rights by set-user-id: as another user it could not be killed.
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return false;
        }
        // The descriptors are close-on-exec and above 2; their copies are neither.
        for (target, descriptor) in child.descriptors.iter().enumerate() {
            if libc::dup2(*descriptor, target as c_int) < 0 {
                return false;
            }
        }
        for (resource, value) in child.limits {
            let limit = libc::rlimit { rlim_cur: *value, rlim_max: *value };
            if libc::setrlimit(*resource, &raw const limit) != 0 {
                // Raising is for root: what is tighter already stays.
                let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                if libc::getrlimit(*resource, &raw mut now) != 0 || now.rlim_max > *value {
                    return false;
                }
            }
        }
        // Signals as a fresh program expects them: Rust ignores SIGPIPE, the guard blocks most.
        for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM, libc::SIGXFSZ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        // The fence, and root's power, last: nothing above is meant to miss what they take.
        libc::chdir(child.directory) == 0
            && (child.fence < 0 || libc::syscall(libc::SYS_landlock_restrict_self, child.fence, 0u32) == 0)
            && child.capabilities.is_none_or(lay_down)
    }
}

/// One system call, with all that it needs on the stack. Its credentials are the child's own: the guard keeps its.
fn lay_down(kept: CapabilitySets) -> bool {
    match set_capabilities(None, kept) {
        Ok(()) => true,
        Err(error) => {
            // SAFETY: this thread's own, which the system call above leaves alone.
            unsafe { *libc::__errno_location() = error.raw_os_error() };
            false
        }
    }
}

/// Forgets that children ended.
pub fn clear(children: &OwnedFd) {
    let mut buffer = [0; 256];
    // Empty is as good as cleared.
    if let Err(rustix::io::Errno::INTR) = rustix::io::read(children, &mut buffer) {
        clear(children);
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// One process that ended.
pub struct Ended {
    pub pid: i32,
    /// As `waitpid` gives it.
    pub status: std::process::ExitStatus,
    pub cpu: Duration,
    pub max_rss_bytes: u64,
}

pub enum Waited {
    Ended(Ended),
    /// Some live on.
    Alive,
    /// The guard has no child. As it adopts every orphan of the task, nothing of the task is left.
    NoneLeft,
}

/// Reaps one ended child, adopted ones too, without waiting.
pub fn wait_any() -> Waited {
    use std::os::unix::process::ExitStatusExt;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to memory of the right type that lives through the call.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG | libc::__WALL, usage.as_mut_ptr()) };
    match pid {
        0 => Waited::Alive,
        -1 => Waited::NoneLeft,
        pid => {
            // SAFETY: zeroed is a valid `rusage`, and wait4 filled it.
            let usage = unsafe { usage.assume_init() };
            let time = |t: libc::timeval| Duration::new(t.tv_sec.max(0) as u64, t.tv_usec.max(0) as u32 * 1000);
            Waited::Ended(Ended {
                pid,
                status: std::process::ExitStatus::from_raw(status),
                cpu: time(usage.ru_utime) + time(usage.ru_stime),
                max_rss_bytes: usage.ru_maxrss.max(0) as u64 * 1024,
            })
        }
    }
}

/// A signal to a process, a group (negative) or all the namespace (-1). One that is gone already is as good as told.
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: takes no pointers.
    unsafe { libc::kill(pid, signal) };
}

/// Since boot, counting the time the machine slept.
pub fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32)
}

/// A file in memory that holds `bytes`, to be read from its start.
pub fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek, Write};
    let fd = rustix::fs::memfd_create(c"stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// A pipe whose reading end does not block; both ends close on exec.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// The unit of `/proc/*/statm`.
pub fn page_bytes() -> u64 {
    // SAFETY: takes no pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
