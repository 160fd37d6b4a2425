//! Many seeds, on some threads.

use super::{Report, check::Violation, count::Counts, options::Wanted, run, trace::Trace};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What many seeds gave together.
#[derive(Default)]
pub struct Summary {
    pub seeds: u64,
    pub counts: Counts,
    pub events: u64,
    pub tasks: u64,
    /// Microseconds, all worlds together.
    pub virtual_time: u64,
    pub real_time: Duration,
    /// Of this process, meanwhile. What others do on the machine hardly changes it.
    pub cpu_time: Duration,
    /// Worlds that failed, by seed. Of all but the first few only the number is kept.
    pub failures: BTreeMap<u64, Report>,
    pub failed: u64,
}

/// Runs `seeds` on `threads` threads, and says what failed as soon as it has; stops at the first failure unless told to
/// `go_on`.
pub fn run_all(
    seeds: Range<u64>,
    wanted: &Wanted,
    threads: usize,
    go_on: bool,
    failed: impl Fn(&Report, &Violation) + Sync,
) -> Summary {
    let (began, cpu_before) = (Instant::now(), cpu_time());
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = run(seed, wanted, Trace::new(None));
                    if let Some(violation) = &report.violation {
                        failed(&report, violation);
                        stop.fetch_or(!go_on, Ordering::Relaxed);
                    }
                    summary.lock().unwrap_or_else(PoisonError::into_inner).take(report);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.real_time = began.elapsed();
    summary.cpu_time = cpu_time().saturating_sub(cpu_before);
    summary
}

/// Of all threads so far; zero where there is no Linux.
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: user and system time are fields 14 and 15 of the whole, in hundredths.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

const KEPT: usize = 100;

impl Summary {
    /// The failure with the lowest seed of those that were run.
    pub fn first_failure(&self) -> Option<&Report> {
        self.failures.first_key_value().map(|(_, report)| report)
    }

    /// Takes in what other seeds gave.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.counts.merge(&other.counts);
        self.events += other.events;
        self.tasks += other.tasks;
        self.virtual_time += other.virtual_time;
        self.real_time += other.real_time;
        self.cpu_time += other.cpu_time;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        while self.failures.len() > KEPT {
            self.failures.pop_last();
        }
    }

    fn take(&mut self, report: Report) {
        self.seeds += 1;
        self.counts.merge(&report.counts);
        self.events += report.events;
        self.tasks += report.tasks;
        self.virtual_time += report.virtual_time;
        if report.violation.is_some() {
            self.failed += 1;
            self.failures.insert(report.options.seed, report);
            if self.failures.len() > KEPT {
                self.failures.pop_last();
            }
        }
    }
}
