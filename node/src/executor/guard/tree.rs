//! The processes of a task: counting, signalling, and ending them all.

use super::spawn;
use crate::executor::outcome::Level;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many processes and threads the task has: all but the guard itself.
pub fn size(level: Level) -> std::io::Result<u32> {
    Ok(members(level)?.into_iter().map(threads).sum())
}

/// Bytes of memory that the task's processes have in RAM, shared pages once for each of them.
pub fn resident(level: Level) -> std::io::Result<u64> {
    Ok(members(level)?.into_iter().map(resident_of).sum())
}

/// The same with each shared page divided among those who share it, and with what is swapped out.
pub fn proportional(level: Level) -> std::io::Result<u64> {
    Ok(members(level)?.into_iter().map(|pid| proportional_of(pid).unwrap_or_else(|| resident_of(pid))).sum())
}

/// One that has ended meanwhile has nothing.
fn resident_of(pid: i32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(spawn::page_bytes())
}

fn proportional_of(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kilobytes = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some((kilobytes("Pss:")? + kilobytes("SwapPss:").unwrap_or(0)).saturating_mul(1024))
}

/// Signals every process of the task.
pub fn signal(level: Level, leader: Option<i32>, signal: i32) {
    match level {
        // One call for all, atomic against forks: the kernel lets no process be made while it walks the list, and a
        // fork with a fatal signal pending fails.
        Level::Namespace => spawn::kill(-1, signal),
        Level::Subreaper => members(level).unwrap_or_default().into_iter().for_each(|pid| spawn::kill(pid, signal)),
        Level::ProcessGroup => leader.into_iter().for_each(|pid| spawn::kill(-pid, signal)),
    }
}

/// Stops first and kills then, so that no process makes another while the list is walked. One round: the caller repeats
/// it until nothing is left to wait for.
pub fn kill_round(level: Level, leader: Option<i32>, reaped: bool) {
    if level == Level::Subreaper {
        // In one call what stayed in the command's group, however fast it forks: walking the list lost that race
        // against a bomb by 32,000 processes. When the leader is reaped, its number may be another's by now; then there
        // is a process of that number.
        if let Some(leader) = leader
            && (!reaped || !Path::new(&format!("/proc/{leader}")).exists())
        {
            spawn::kill(-leader, libc::SIGKILL);
        }
        let mut stopped = BTreeSet::new();
        loop {
            let new: Vec<i32> =
                members(level).unwrap_or_default().into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|pid| spawn::kill(*pid, libc::SIGSTOP));
            stopped.extend(new);
        }
    }
    signal(level, leader, libc::SIGKILL);
}

/// Kills every process whose environment carries `mark`: what remains when a guard without a namespace of its own was
/// killed. Returns how many there were.
pub(crate) fn kill_marked(mark: &str) -> usize {
    let mark = mark.as_bytes();
    let marked = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|variable| variable == mark))
    };
    let mut killed = 0;
    // What was forked meanwhile is found in the next round; a task that forks faster than this loses by its number.
    for _ in 0..100 {
        let found: Vec<i32> = processes().unwrap_or_default().into_iter().filter(marked).collect();
        if found.is_empty() {
            break;
        }
        killed += found.len();
        found.iter().for_each(|pid| spawn::kill(*pid, libc::SIGSTOP));
        found.iter().for_each(|pid| spawn::kill(*pid, libc::SIGKILL));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    killed
}

fn members(level: Level) -> std::io::Result<Vec<i32>> {
    let all = processes()?;
    match level {
        // `/proc` shows the guard's own namespace; the guard is 1.
        Level::Namespace => Ok(all.into_iter().filter(|pid| *pid != 1).collect()),
        Level::Subreaper => Ok(descendants(std::process::id() as i32, &all)),
        Level::ProcessGroup => Ok(Vec::new()),
    }
}

/// All descendants of `root`, by the parents that `/proc/*/stat` names. (`/proc/*/task/*/children` is not on every
/// kernel.)
fn descendants(root: i32, all: &[i32]) -> Vec<i32> {
    let mut parents: BTreeMap<i32, i32> = all.iter().filter_map(|pid| Some((*pid, parent(*pid)?))).collect();
    // One that ended meanwhile left its children to another, and of a bomb there is always one: with it all below would
    // be lost from sight.
    let left: Vec<i32> = parents.iter().filter(|(_, of)| !parents.contains_key(of)).map(|(pid, _)| *pid).collect();
    for pid in left {
        if let Some(now) = parent(pid) {
            parents.insert(pid, now);
        }
    }
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in parents {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            open.push(child);
        }
    }
    found
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything, parentheses too.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[after + 1..]).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn threads(pid: i32) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/{pid}/task")).map_or(0, |data| (data.nlink() as u32).saturating_sub(2).max(1))
}

fn processes() -> std::io::Result<Vec<i32>> {
    let entries = std::fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}
