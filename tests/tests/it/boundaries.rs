//! Checklist item 20: a member of a committee loses its power in each of its writes, on the real log; what of the write is
//! on the disk is nothing, a part, any part of what was not synced, or all of it. What it says then contradicts nothing that
//! it said before, what was acknowledged is there, and the committee goes on. `sim --boundaries` does more traces.

use mesh_tests::sim::{
    boundary::{Cut, cut_everywhere},
    count::Count,
    options::Wanted,
};
use std::time::Duration;

/// Worlds with a committee of four, of whom one is slow, or two machines; short, as each is run once for every write.
const TRACES: [u64; 2] = [24, 17];

/// Checklist item 20: whichever write it was.
#[test]
fn a_crash_at_every_write_contradicts_nothing() {
    for (place, seed) in TRACES.into_iter().enumerate() {
        // In turn, and in another turn in each trace.
        let all: &'static [Cut] = &Cut::ALL;
        let cuts = |write: u64| std::slice::from_ref(&all[(write as usize + 2 * place) % all.len()]);
        let wanted =
            Wanted { virtual_time: Some(Duration::from_secs(6)), tasks_per_second: Some(1), ..Wanted::default() };
        let (runs, counts) = match cut_everywhere(seed, &wanted, cuts).expect("a committee") {
            Ok(done) => done,
            Err(failed) => panic!("seed {seed}: {:?}\ndrawn: {:?}", failed.violation, failed.options),
        };
        assert!(runs > 20, "{runs} writes of seed {seed}");
        let cut = [Count::CutLost, Count::CutTorn, Count::CutUnsynced, Count::CutWhole].map(|cut| counts.of(cut));
        assert_eq!(cut.iter().sum::<u64>(), runs, "every one was made: {cut:?}");
        assert!(cut.iter().all(|times| *times > 0), "each kind: {cut:?}");
        for count in [Count::KeptAccepted, Count::KeptPrepared, Count::KeptCheckpoint, Count::KeptStable] {
            assert!(counts.of(count) > 0, "{} in seed {seed}", count.name());
        }
    }
}
