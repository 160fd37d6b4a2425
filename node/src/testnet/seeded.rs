//! Files made from a seed: the same on every machine, and about as compressible as text.

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::TestnetError;

/// What the lines are made of.
const WORDS: [&str; 24] = [
    "mesh", "node", "task", "record", "holder", "ballot", "driver", "quorum", "lease", "log", "sync", "peer", "blob",
    "chunk", "proof", "order", "clock", "epoch", "batch", "frame", "stream", "ledger", "vote", "round",
];

/// About `bytes` bytes of lines, and no fewer.
pub fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = Vec::with_capacity(bytes + 64);
    while text.len() < bytes {
        for _ in 0..6 {
            text.extend_from_slice(WORDS[rng.random_range(0..WORDS.len())].as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(format!("{:08x}\n", rng.random::<u32>()).as_bytes());
    }
    text
}

/// `count` files of `bytes(index)` bytes in `dir`, with their contents.
pub fn files(
    dir: &Path,
    count: usize,
    bytes: impl Fn(usize) -> usize,
) -> Result<Vec<(PathBuf, Vec<u8>)>, TestnetError> {
    std::fs::create_dir_all(dir).map_err(TestnetError::io("make", dir))?;
    let make = |index: usize| {
        let path = dir.join(format!("file-{index:04}.txt"));
        let text = text(index as u64, bytes(index));
        std::fs::write(&path, &text).map_err(TestnetError::io("write", &path))?;
        Ok((path, text))
    };
    (0..count).map(make).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_text_and_another_seed_another() {
        assert_eq!(text(7, 1000), text(7, 1000));
        assert_ne!(text(7, 1000), text(8, 1000));
        assert!((1000..1100).contains(&text(7, 1000).len()));
    }
}
