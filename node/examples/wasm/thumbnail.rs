//! `thumbnail PICTURE SIDE OUT`: a smaller copy of a binary PPM or PGM, no side of which is longer than SIDE. Each of its
//! pixels is the mean of those that it stands for.

use std::error::Error;
use std::fs;

struct Picture {
    channels: usize,
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Picture {
    fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let mut at = 0;
        let mut word = || {
            loop {
                while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                    at += 1;
                }
                if bytes.get(at) != Some(&b'#') {
                    break;
                }
                while bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                    at += 1;
                }
            }
            let begin = at;
            while bytes.get(at).is_some_and(|byte| !byte.is_ascii_whitespace()) {
                at += 1;
            }
            (std::str::from_utf8(&bytes[begin..at]).unwrap_or_default().to_owned(), at)
        };
        let channels = match word().0.as_str() {
            "P6" => 3,
            "P5" => 1,
            _ => return Err("neither a binary PPM nor a binary PGM".into()),
        };
        let (width, height): (usize, usize) = (word().0.parse()?, word().0.parse()?);
        let (most, end) = word();
        if most != "255" || width == 0 || height == 0 {
            return Err("only pictures with 255 as the largest sample".into());
        }
        let length = width.checked_mul(height).and_then(|area| area.checked_mul(channels)).ok_or("too large")?;
        let samples = bytes.get(end + 1..).and_then(|rest| rest.get(..length)).ok_or("it ends early")?.to_vec();
        Ok(Self { channels, width, height, samples })
    }

    fn within(&self, side: usize) -> Self {
        let longest = self.width.max(self.height).max(side);
        let shrink = |length: usize| (length * side / longest).max(1);
        let (width, height) = (shrink(self.width), shrink(self.height));
        let mut samples = Vec::with_capacity(width * height * self.channels);
        for y in 0..height {
            let rows = y * self.height / height..(y + 1) * self.height / height;
            for x in 0..width {
                let columns = x * self.width / width..(x + 1) * self.width / width;
                for channel in 0..self.channels {
                    let pixels = rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
                    let sum: usize = pixels.map(|(row, column)| self.sample(row, column, channel)).sum();
                    samples.push((sum / (rows.len() * columns.len())) as u8);
                }
            }
        }
        Self { channels: self.channels, width, height, samples }
    }

    fn sample(&self, row: usize, column: usize, channel: usize) -> usize {
        usize::from(self.samples[(row * self.width + column) * self.channels + channel])
    }

    fn bytes(&self) -> Vec<u8> {
        let kind = if self.channels == 3 { "P6" } else { "P5" };
        let mut bytes = format!("{kind}\n{} {}\n255\n", self.width, self.height).into_bytes();
        bytes.extend_from_slice(&self.samples);
        bytes
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let [picture, side, out] =
        <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>()).map_err(|_| "PICTURE SIDE OUT")?;
    let thumbnail = Picture::read(&fs::read(picture)?)?.within(side.parse::<usize>()?.max(1));
    fs::write(out, thumbnail.bytes())?;
    println!("{} x {}", thumbnail.width, thumbnail.height);
    Ok(())
}
