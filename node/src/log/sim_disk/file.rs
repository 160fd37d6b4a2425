//! The content of one file, with what a crash could make of it.

use crate::log::segment::SECTOR;
use std::collections::BTreeMap;

/// `None` is all zeros, so that preallocated files take no memory.
type Sector = Option<Box<[u8; SECTOR]>>;

/// A file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// What a reader sees.
    sectors: Vec<Sector>,
    len: u64,
    /// Of each sector written since the last sync, what it was before, oldest first.
    older: BTreeMap<usize, Vec<Sector>>,
    /// The same of sectors whose sync failed: no further sync writes them, until they are written again.
    unwritten: BTreeMap<usize, Vec<Sector>>,
    older_lengths: Vec<u64>,
}

impl File {
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let len = self.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        for (sector, within, part) in pieces(offset, len) {
            match self.sectors.get(sector).and_then(Option::as_ref) {
                Some(content) => buffer[part].copy_from_slice(&content[within]),
                None => buffer[part].fill(0),
            }
        }
        len
    }

    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        for (sector, within, part) in pieces(offset, bytes.len()) {
            self.remember(sector);
            self.sectors[sector].get_or_insert_with(|| Box::new([0; SECTOR]))[within].copy_from_slice(&bytes[part]);
        }
    }

    pub fn set_len(&mut self, len: u64) {
        if len == self.len {
            return;
        }
        if len < self.len {
            let kept = (len % SECTOR as u64) as usize;
            let first = (len / SECTOR as u64) as usize;
            for sector in first..self.sectors.len() {
                if self.sectors[sector].is_some() {
                    self.remember(sector);
                    match (sector == first && kept > 0, self.sectors[sector].as_mut()) {
                        (true, Some(content)) => content[kept..].fill(0),
                        _ => self.sectors[sector] = None,
                    }
                }
            }
        }
        self.older_lengths.push(self.len);
        self.len = len;
        self.sectors.resize_with(len.div_ceil(SECTOR as u64) as usize, || None);
    }

    pub fn sync(&mut self) {
        self.older.clear();
        self.older_lengths.clear();
    }

    /// The sync fails, and the cache forgets that there was anything to write.
    pub fn fail_sync(&mut self) {
        for (sector, versions) in std::mem::take(&mut self.older) {
            self.unwritten.entry(sector).or_default().extend(versions);
        }
    }

    pub fn crash(&mut self, choose: &mut dyn FnMut(usize) -> usize) {
        self.fail_sync();
        if !self.older_lengths.is_empty() {
            let choice = choose(self.older_lengths.len() + 1);
            if let Some(&len) = self.older_lengths.get(choice) {
                self.len = len;
            }
            self.older_lengths.clear();
        }
        self.sectors.resize_with(self.len.div_ceil(SECTOR as u64) as usize, || None);
        for (sector, mut versions) in std::mem::take(&mut self.unwritten) {
            let choice = choose(versions.len() + 1);
            if sector < self.sectors.len() && choice < versions.len() {
                self.sectors[sector] = versions.swap_remove(choice);
            }
        }
        let kept = (self.len % SECTOR as u64) as usize;
        if kept > 0
            && let Some(Some(last)) = self.sectors.last_mut()
        {
            last[kept..].fill(0);
        }
    }

    /// The caller has checked that `offset` is in the file.
    pub fn flip(&mut self, offset: u64, bit: u8) {
        let (sector, at) = ((offset / SECTOR as u64) as usize, (offset % SECTOR as u64) as usize);
        let versions = self.older.get_mut(&sector).into_iter().chain(self.unwritten.get_mut(&sector)).flatten();
        for content in versions.chain([&mut self.sectors[sector]]) {
            content.get_or_insert_with(|| Box::new([0; SECTOR]))[at] ^= 1 << (bit % 8);
        }
    }

    fn remember(&mut self, sector: usize) {
        let versions = self.older.entry(sector).or_default();
        if let Some(unwritten) = self.unwritten.remove(&sector) {
            versions.extend(unwritten);
        }
        versions.push(self.sectors.get(sector).cloned().flatten());
    }
}

/// The sectors that `len` bytes at `offset` touch: number, range in the sector, range in the bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        (done < len).then(|| {
            let at = offset + done as u64;
            let within = (at % SECTOR as u64) as usize;
            let n = (SECTOR - within).min(len - done);
            let piece = ((at / SECTOR as u64) as usize, within..within + n, done..done + n);
            done += n;
            piece
        })
    })
}
