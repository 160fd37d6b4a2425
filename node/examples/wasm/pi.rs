//! `pi SAMPLES SEED`: how many of so many random points of the unit square lie in the circle, and what follows for pi.
//! The points are the seed's alone, so that the counts of many tasks can be added up.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut number = |what: &'static str| words.next().ok_or(what)?.trim().parse::<u64>().map_err(|_| what);
    let (samples, mut state) = (number("how many samples?")?, number("which seed?")?);
    // SplitMix64, by Steele, Lea and Flood.
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) >> 32
    };
    const SIDE: u64 = 1 << 32;
    let mut inside = 0u64;
    for _ in 0..samples {
        let (x, y) = (u128::from(draw()), u128::from(draw()));
        inside += u64::from(x * x + y * y < u128::from(SIDE) * u128::from(SIDE));
    }
    println!("{inside} of {samples}: {:.6}", 4.0 * inside as f64 / samples.max(1) as f64);
    Ok(())
}
