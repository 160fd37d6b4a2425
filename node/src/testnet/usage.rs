//! What the processes of a testnet use of the machine, from `/proc`. Where there is none, figures are zero.

use std::time::Duration;

use super::Process;

/// A constant of the system, such as the ticks of the clock in `/proc/PID/stat` or the size of a page.
fn system(name: libc::c_int, usual: u64) -> u64 {
    // SAFETY: `sysconf` takes no pointer and changes nothing.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0).unwrap_or(usual)
}

fn page() -> u64 {
    system(libc::_SC_PAGESIZE, 4096)
}

/// What a process and everything it started have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, of children that have ended too.
    pub cpu: Duration,
    /// Bytes in RAM now.
    pub resident: u64,
}

/// `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    state: char,
    parent: u32,
    /// Of the process and of its children that were waited for, in ticks.
    ticks: u64,
    children_ticks: u64,
    pub(super) started: u64,
    resident: u64,
}

impl Stat {
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the name in brackets, which may itself hold brackets and spaces.
        let rest: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let number = |at: usize| rest.get(at)?.parse::<u64>().ok();
        // Fields are numbered from 1 in proc(5), and the first here is its third.
        Some(Self {
            state: rest.first()?.chars().next()?,
            parent: u32::try_from(number(1)?).ok()?,
            ticks: number(11)? + number(12)?,
            children_ticks: number(13)? + number(14)?,
            started: number(19)?,
            resident: number(21)? * page(),
        })
    }

    /// Ended, and nobody has waited for it.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

impl Usage {
    /// Of each of `processes` and everything below it. Zero of one that has ended.
    pub fn of(processes: &[Option<Process>]) -> Vec<Self> {
        let all = all();
        processes.iter().map(|process| process.map_or_else(Self::default, |process| tree(&all, process.pid))).collect()
    }
}

fn all() -> Vec<(u32, Stat)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid)?))).collect()
}

fn tree(all: &[(u32, Stat)], root: u32) -> Usage {
    let mut open = vec![root];
    let mut usage = Usage::default();
    while let Some(pid) = open.pop() {
        if let Some((_, stat)) = all.iter().find(|(other, _)| *other == pid) {
            usage.cpu += clock_of(pid).unwrap_or_else(|| duration(stat.ticks)) + duration(stat.children_ticks);
            usage.resident += stat.resident;
        }
        open.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| *pid));
    }
    usage
}

/// Processor time of a process by its own clock, of threads that have ended too: what is idle uses less than a tick.
fn clock_of(pid: u32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both write what they are given a place for, and nothing else.
    let failed = unsafe {
        libc::clock_getcpuclockid(libc::pid_t::try_from(pid).ok()?, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    (!failed).then(|| Duration::new(seconds, nanos))
}

/// Processor time of this process: without its children, and of those it has waited for.
pub fn own_cpu() -> (Duration, Duration) {
    let stat = Stat::read(std::process::id());
    stat.map_or_else(Default::default, |stat| (duration(stat.ticks), duration(stat.children_ticks)))
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / system(libc::_SC_CLK_TCK, 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let line =
            "77 (a) b)) S 5 77 77 0 -1 4194304 1 2 3 4 100 20 30 4 20 0 3 0 991 1000000 256 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        let wanted =
            Stat { state: 'S', parent: 5, ticks: 120, children_ticks: 34, started: 991, resident: 256 * page() };
        assert_eq!(stat, wanted);
        assert_eq!(Stat::parse("77 (x) S"), None);
    }

    #[test]
    fn a_tree_is_summed_to_its_leaves() {
        // Of no process that there can be, so that what counts are the ticks.
        const BASE: u32 = 1 << 31;
        let stat = |parent| Stat { state: 'S', parent, ticks: 100, children_ticks: 0, started: 1, resident: 10 };
        let all = [(1, stat(0)), (2, stat(BASE + 1)), (3, stat(BASE + 2)), (4, stat(0))];
        let all = all.map(|(pid, stat)| (BASE + pid, stat));
        assert_eq!(tree(&all, BASE + 1), Usage { cpu: Duration::from_secs(3), resident: 30 });
        assert_eq!(tree(&all, BASE + 9), Usage::default());
    }

    #[test]
    fn time_is_told_by_a_finer_clock_than_ticks() {
        let own = || clock_of(std::process::id()).unwrap();
        // Other threads of this process may add to any one step, but hardly to all of them.
        let step = || {
            let before = own();
            while own() < before + Duration::from_micros(500) {}
            own() - before
        };
        let finest = (0..100).map(|_| step()).min();
        assert!(finest < Some(Duration::from_millis(10)), "{finest:?}");
    }
}
