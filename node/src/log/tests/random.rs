use super::{model::Model, open};
use crate::log::{Log, LogError, sim_disk::Mount, sim_disk::SimDisk};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Long histories of commits, releases, restarts, failing calls and losses of power. Segments are used again and
/// again, with frames of recurring lengths, so a record that comes back from an earlier use would be seen.
#[test]
fn random_histories_lose_nothing_and_bring_nothing_back() {
    let mut counters = Counters::default();
    for seed in 0..300 {
        let done = std::panic::catch_unwind(|| history(seed));
        match done {
            Ok(counted) => counters.add(&counted),
            Err(panic) => {
                eprintln!("seed {seed}: replay with `history({seed})`");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let Counters { lives, power, failed, recycled } = counters;
    assert!(lives > 1000 && power > 500 && failed > 100 && recycled > 500, "{counters:?}");
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let content = |seed| {
        let (disk, _) = live(seed);
        disk.files().iter().map(|(name, _)| disk.content(name).unwrap()).collect::<Vec<_>>()
    };
    for seed in 0..20 {
        assert_eq!(content(seed), content(seed));
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Counters {
    lives: u64,
    power: u64,
    failed: u64,
    recycled: u64,
}

impl Counters {
    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.power += other.power;
        self.failed += other.failed;
        self.recycled += other.recycled;
    }
}

fn history(seed: u64) -> Counters {
    live(seed).1
}

fn live(seed: u64) -> (SimDisk, Counters) {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = SimDisk::new();
    let mut model = Model::default();
    let mut counters = Counters::default();
    for _ in 0..random.random_range(2..12) {
        counters.lives += 1;
        if random.random_ratio(1, 2) {
            disk.lose_power_after(random.random_range(0..60));
        }
        let ended = open(&disk).and_then(|opened| {
            model.recovered(&opened);
            work(opened.log, &disk, &mut model, &mut random, &mut counters)
        });
        match (ended, disk.is_off()) {
            // The process dies of its failed call, or ends; the machine runs on, or not.
            (_, false) if random.random_ratio(1, 2) => disk.restart(),
            (Ok(()) | Err(LogError::Io { .. }), _) => {
                counters.power += 1;
                disk.crash(random.random());
            }
            (Err(error), _) => panic!("{error}"),
        }
    }
    model.recovered(&open(&disk).unwrap());
    (disk, counters)
}

fn work(
    mut log: Log<Mount>,
    disk: &SimDisk,
    model: &mut Model,
    random: &mut StdRng,
    counters: &mut Counters,
) -> Result<(), LogError> {
    for _ in 0..random.random_range(1..40) {
        match random.random_range(0..20) {
            0 => log.seal()?,
            1 => log.prepare()?,
            2..5 => {
                let before = log.segments().0;
                model.release(&mut log, random.random_range(0..6))?;
                counters.recycled += (before - log.segments().0) as u64;
            }
            5 if random.random_ratio(1, 4) => {
                counters.failed += 1;
                match random.random_ratio(1, 2) {
                    true => disk.fail_syncs(1),
                    false => disk.fail_writes(1),
                }
            }
            _ => {
                for _ in 0..random.random_range(1..6) {
                    let lengths = [0, 100, 100, 236, 476, 900, 3500];
                    model.append(&mut log, lengths[random.random_range(0..lengths.len())]);
                }
                model.commit(&mut log)?;
            }
        }
    }
    Ok(())
}
