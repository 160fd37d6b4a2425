//! Lines, words and bytes of each file that is named, or of standard input.

use std::fs::File;
use std::io::{self, Read};

#[derive(Default)]
struct Count {
    lines: u64,
    words: u64,
    bytes: u64,
}

fn count(mut from: impl Read) -> io::Result<Count> {
    let mut count = Count::default();
    let mut block = vec![0; 64 << 10];
    let mut in_word = false;
    loop {
        let length = from.read(&mut block)?;
        if length == 0 {
            return Ok(count);
        }
        count.bytes += length as u64;
        for byte in &block[..length] {
            count.lines += u64::from(*byte == b'\n');
            let is_space = byte.is_ascii_whitespace() || *byte == 11;
            count.words += u64::from(!is_space && !in_word);
            in_word = !is_space;
        }
    }
}

fn main() -> io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        let Count { lines, words, bytes } = count(io::stdin().lock())?;
        println!("{lines} {words} {bytes}");
    }
    for name in names {
        let Count { lines, words, bytes } = count(File::open(&name)?)?;
        println!("{lines} {words} {bytes} {name}");
    }
    Ok(())
}
