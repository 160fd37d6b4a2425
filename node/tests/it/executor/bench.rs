use super::mesh::{Mesh, command, run};
use super::{LEVELS, PATIENCE};
use mesh_proto::id::TaskId;
use meshd::executor::{ExecutorEvent, Status};
use std::time::Instant;

/// `cargo test --release -p meshd --test it -- --ignored --nocapture speed_of_true`
#[test]
#[ignore = "a measurement"]
fn speed_of_true() {
    for level in LEVELS {
        for slots in [1, 2, 4] {
            measure(level, slots, 4000);
        }
    }
}

fn measure(level: meshd::executor::Level, slots: usize, count: u32) {
    let Mesh { executors, mut events, runtime, directory, .. } = Mesh::with(level, |config| config.slots = slots);
    let order = |number: u32| {
        let mut run = run(0, command(&["true"]));
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        run.task = TaskId::from_bytes(id);
        run
    };
    let (own, children) = (cpu(true), cpu(false));
    let start = Instant::now();
    runtime.block_on(async {
        let mut next = 0;
        while next < slots as u32 {
            assert!(executors.run(order(next)).unwrap().is_none());
            next += 1;
        }
        let mut ended = 0;
        let mut in_commands = std::time::Duration::ZERO;
        while ended < count {
            let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
            let ExecutorEvent::Finished { outcome, .. } = event else { continue };
            assert_eq!(outcome.status, Status::Exit(0));
            in_commands += outcome.cpu;
            ended += 1;
            if next < count {
                assert!(executors.run(order(next)).unwrap().is_none());
                next += 1;
            }
        }
        let time = start.elapsed();
        let each = |micros: u128| micros / u128::from(count);
        println!(
            "{level}, {slots} slots: {:.0}/s, CPU us each: commands {}, meshd {}",
            f64::from(count) / time.as_secs_f64(),
            each(in_commands.as_micros()),
            each((cpu(true) - own).as_micros()),
        );
    });
    drop(executors);
    drop(runtime);
    drop(directory);
    println!("   guards and commands {} us each", (cpu(false) - children).as_micros() / u128::from(count));
}

/// Of this process, or of its children that have been waited for.
fn cpu(own: bool) -> std::time::Duration {
    let file = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> =
        file.rsplit(')').next().unwrap().split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
    // Of those that parse as numbers, after state: ppid is 0, utime 10, stime 11 less what is negative.
    let numbers = file.rsplit(')').next().unwrap().split_ascii_whitespace().collect::<Vec<_>>();
    assert!(fields.len() > 10);
    let at = |index: usize| numbers[index].parse::<u64>().unwrap_or(0);
    let ticks = if own { at(11) + at(12) } else { at(13) + at(14) };
    std::time::Duration::from_millis(ticks * 10)
}
