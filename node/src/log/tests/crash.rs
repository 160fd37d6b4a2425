//! The power goes at each operation of a trace, and everything that the disk could make of it is tried.

use super::{model::Model, open};
use crate::log::{
    Log, LogError,
    sim_disk::{Mount, SimDisk},
};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Appends records of these lengths and commits them.
    Commit(&'static [usize]),
    Seal,
    Prepare,
    /// Releases all but so many of the committed records.
    Release(usize),
    /// Ends this life without a crash.
    Restart,
}
use Step::{Commit, Prepare, Release, Restart, Seal};

const TRACES: [&[Step]; 6] = [
    &[Commit(&[10]), Commit(&[300, 400]), Commit(&[1500]), Seal],
    // Equal lengths: a later frame fits exactly where a torn one was.
    &[Commit(&[200]), Commit(&[200]), Restart, Commit(&[200]), Commit(&[200])],
    &[Commit(&[1200, 900]), Commit(&[1200, 900]), Commit(&[1200, 900])],
    &[Prepare, Commit(&[1000, 1000, 1000, 1000]), Seal, Commit(&[10])],
    &[Commit(&[3000]), Commit(&[3000]), Commit(&[3000]), Release(1), Commit(&[700]), Commit(&[700, 2000]), Release(0)],
    &[Commit(&[3000]), Commit(&[3000]), Release(0), Commit(&[500]), Restart, Commit(&[500]), Commit(&[3000]), Seal],
];

#[test]
fn every_operation_of_every_trace_survives_the_loss_of_power() {
    let mut crashes = 0;
    for trace in TRACES {
        for n in 0.. {
            // All variants one after another: each is reached by running the trace again and choosing otherwise.
            let mut choices = Choices::default();
            let mut completed = false;
            while choices.next(VARIANTS) {
                let (disk, mut model, interrupted) = run(trace, n);
                completed = !interrupted;
                disk.crash_with(|options| choices.choose(options));
                recover(&disk, &mut model);
                crashes += 1;
            }
            if completed {
                break;
            }
        }
    }
    assert!(crashes > 1_500, "only {crashes} crashes were tried");
}

/// Recovery writes too. What it returned may not be lost, and what it did not live to return may be cut off.
#[test]
fn recovery_survives_the_loss_of_power() {
    let mut crashes = 0;
    for trace in TRACES {
        for n in 0.. {
            let mut completed = false;
            for variant in 0..12 {
                let mut m = 0;
                loop {
                    let (disk, mut model, interrupted) = run(trace, n);
                    completed = !interrupted;
                    disk.crash(variant);
                    disk.lose_power_after(m);
                    let opened = open(&disk);
                    assert_eq!(opened.is_err(), disk.is_off(), "{opened:?}");
                    crashes += 1;
                    if let Ok(opened) = &opened {
                        model.recovered(opened);
                    }
                    let done = opened.is_ok();
                    disk.crash(variant + 100);
                    recover(&disk, &mut model);
                    if done {
                        break;
                    }
                    m += 1;
                }
            }
            if completed {
                break;
            }
        }
    }
    assert!(crashes > 1_000, "only {crashes} crashes were tried");
}

/// The process is killed at each operation and the machine runs on: the next life finds everything, synced or not,
/// and builds on it; then the power goes.
#[test]
fn what_a_killed_process_left_unsynced_is_durable_once_it_was_recovered() {
    for trace in TRACES {
        for n in 0.. {
            let (disk, mut model, interrupted) = run(trace, n);
            disk.restart();
            recover(&disk, &mut model);
            if !interrupted {
                break;
            }
        }
    }
}

/// Opens the log, works on it, loses the power once more, and looks again.
fn recover(disk: &SimDisk, model: &mut Model) {
    let mut opened = open(disk).unwrap();
    model.recovered(&opened);
    // As long as most in the traces, so that they come to lie where torn ones were.
    for len in [200, 1200] {
        model.append(&mut opened.log, len);
        model.commit(&mut opened.log).unwrap();
    }
    model.append(&mut opened.log, 300);
    disk.crash_with(|_| 0);
    model.recovered(&open(disk).unwrap());
}

/// Runs a trace on a new disk of which the power goes at the `n`-th operation; whether it did.
fn run(trace: &[Step], n: u64) -> (SimDisk, Model, bool) {
    let disk = SimDisk::new();
    let mut model = Model::default();
    disk.lose_power_after(n);
    let interrupted = steps(&disk, trace, &mut model).is_err();
    assert_eq!(interrupted, disk.is_off());
    (disk, model, interrupted)
}

fn steps(disk: &SimDisk, trace: &[Step], model: &mut Model) -> Result<(), LogError> {
    let mut log: Log<Mount> = open(disk)?.log;
    for step in trace {
        match step {
            Commit(lengths) => {
                for &len in *lengths {
                    model.append(&mut log, len);
                }
                model.commit(&mut log)?;
            }
            Seal => log.seal()?,
            Prepare => log.prepare()?,
            Release(keep) => model.release(&mut log, *keep)?,
            Restart => {
                // A new mount of the same life: the power's clock runs on.
                let opened = open(disk)?;
                model.recovered(&opened);
                log = opened.log;
            }
        }
    }
    Ok(())
}

/// Walks through all sequences of choices, depth first.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// Of the present walk: chosen, out of how many.
    made: Vec<(usize, usize)>,
    at: usize,
    walks: usize,
}

impl Choices {
    /// Moves on to the next walk, if there is one and the limit is not reached.
    pub(super) fn next(&mut self, limit: usize) -> bool {
        self.at = 0;
        self.walks += 1;
        if self.walks == 1 {
            return true;
        }
        while let Some((chosen, options)) = self.made.pop() {
            if chosen + 1 < options {
                self.made.push((chosen + 1, options));
                return self.walks <= limit;
            }
        }
        false
    }

    pub(super) fn choose(&mut self, options: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, options));
        }
        self.at += 1;
        self.made[self.at - 1].0
    }
}

/// More than the 2^8 of a whole small segment.
const VARIANTS: usize = 1024;
