//! The simulator's seeds that every change must pass: fixed ones, and some that the commit draws, so that runs vary and
//! yet can be repeated. `cargo run --release -p mesh-tests --bin sim` runs more.

use mesh_tests::sim::{self, campaign::run_all, options::Wanted, trace::Trace};
use std::{ops::Range, process::Command, time::Duration};

/// Each is a world of three virtual minutes. All take more than five minutes on two cores in a development build, longer than
/// a change should wait: each commit draws a quarter.
const FIXED: Range<u64> = 0..440;
/// What does not happen in a quarter of them happens in another, but few things.
const RARE: usize = 24;
const DRAWN: u64 = 20;
/// Of these the trace is compared between two runs.
const REPEATED: Range<u64> = 0..50;

fn wanted(minutes: u64) -> Wanted {
    Wanted { virtual_time: Some(Duration::from_secs(60 * minutes)), ..Wanted::default() }
}

fn pass(seeds: Range<u64>, rare: usize) {
    let summary = run_all(seeds, &wanted(3), 2, false, |_, _| ());
    if let Some(failure) = summary.first_failure() {
        panic!(
            "seed {}: {}\ndrawn: {:?}\nagain: cargo run --release -p mesh-tests --bin sim -- --seed {} \
             --virtual-minutes 3 --trace",
            failure.options.seed,
            failure.violation.as_ref().map_or_else(String::new, ToString::to_string),
            failure.options,
            failure.options.seed,
        );
    }
    if summary.seeds >= 60 {
        let missing: Vec<_> = summary.counts.missing().into_iter().map(|count| count.name()).collect();
        assert!(missing.len() <= rare, "never happened in {} worlds: {missing:?}", summary.seeds);
    }
}

#[test]
#[ignore = "each commit draws a quarter of them"]
fn fixed_seeds_pass_and_everything_happens_in_them() {
    pass(FIXED, 0);
}

#[test]
fn a_quarter_of_the_fixed_seeds_passes() {
    let quarter = FIXED.end / 4;
    let begin = commit_seed() % 4 * quarter;
    // The last has what is left over.
    let end = if begin == 3 * quarter { FIXED.end } else { begin + quarter };
    println!("{:?}", begin..end);
    pass(begin..end, RARE);
}

#[test]
fn seeds_drawn_from_the_commit_pass() {
    let first = commit_seed();
    pass(first..first + DRAWN, 0);
}

#[test]
fn a_seed_repeats_itself() {
    for seed in REPEATED {
        let wanted = Wanted { virtual_time: Some(Duration::from_secs(20)), ..Wanted::default() };
        let hash = || sim::run(seed, &wanted, Trace::new(None)).hash;
        assert_eq!(hash(), hash(), "seed {seed} went two ways");
    }
}

/// `MESH_SIM_SEED`, or from the commit, or one that has nothing to do with either.
fn commit_seed() -> u64 {
    if let Some(seed) = std::env::var("MESH_SIM_SEED").ok().and_then(|text| text.parse().ok()) {
        return seed;
    }
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|output| output.status.success());
    let hash = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    u64::from_str_radix(hash.get(..8).unwrap_or_default(), 16).unwrap_or(4_294_967_296)
}
