//! The directory, and what was asked to fail.

use super::file::File;
use std::{collections::BTreeMap, io};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Counts crashes and the like; a mount of an earlier life is dead.
    pub life: u64,
    pub operations: u64,
    /// The operation that the power does not outlast.
    pub power_until: Option<u64>,
    pub failing_writes: u32,
    pub failing_syncs: u32,
    pub capacity: Option<u64>,
    files: BTreeMap<u64, File>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// What leads from the durable names to the present ones.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

impl State {
    /// Begins a call of a mount that changes something. `Ok(false)` if the power goes during it: what it does is not
    /// durable, and it must then fail.
    pub fn begin(&mut self, life: u64) -> io::Result<bool> {
        self.alive(life)?;
        let on = self.power_until.is_none_or(|last| self.operations < last);
        self.operations += 1;
        Ok(on)
    }

    pub fn alive(&self, life: u64) -> io::Result<()> {
        if life != self.life {
            return Err(io::Error::other("this mount ended with its node"));
        }
        match self.power_until.is_some_and(|last| self.operations > last) {
            true => Err(power_lost()),
            false => Ok(()),
        }
    }

    pub fn list(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub fn lengths(&self) -> impl Iterator<Item = (String, u64)> {
        self.names.iter().map(|(name, file)| (name.clone(), self.files[file].len()))
    }

    pub fn lookup(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn create(&mut self, name: &str, len: u64) -> io::Result<u64> {
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.take_space(len)?;
        let id = self.next_file;
        self.next_file += 1;
        let mut file = File::default();
        file.set_len(len);
        self.files.insert(id, file);
        self.change(Change::Create(name.to_owned(), id));
        Ok(id)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.lookup(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        self.lookup(name)?;
        self.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    pub fn sync_directory(&mut self) {
        self.pending.clear();
        self.durable_names = self.names.clone();
        self.forget_nameless();
    }

    pub fn file(&self, id: u64) -> io::Result<&File> {
        self.files.get(&id).ok_or_else(gone)
    }

    pub fn file_mut(&mut self, id: u64) -> io::Result<&mut File> {
        self.files.get_mut(&id).ok_or_else(gone)
    }

    /// Fails if `more` bytes are over the limit.
    pub fn take_space(&self, more: u64) -> io::Result<()> {
        match more > self.free_bytes() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    pub fn free_bytes(&self) -> u64 {
        let used: u64 = self.files.values().map(File::len).sum();
        self.capacity.unwrap_or(NO_LIMIT).saturating_sub(used)
    }

    pub fn crash(&mut self, choose: &mut dyn FnMut(usize) -> usize) {
        if !self.pending.is_empty() {
            let kept = choose(self.pending.len() + 1);
            for change in self.pending.drain(..).take(kept) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        self.forget_nameless();
        for file in self.files.values_mut() {
            file.crash(choose);
        }
        self.end_life();
    }

    pub fn end_life(&mut self) {
        self.life += 1;
        self.power_until = None;
        self.failing_writes = 0;
        self.failing_syncs = 0;
    }

    pub fn wipe(&mut self) {
        let capacity = self.capacity;
        *self = Self { life: self.life, operations: self.operations, capacity, ..Self::default() };
        self.end_life();
    }

    pub fn flip(&mut self, name: &str, offset: u64, bit: u8) -> io::Result<()> {
        let id = self.lookup(name)?;
        let file = self.file_mut(id)?;
        if offset >= file.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.flip(offset, bit);
        Ok(())
    }

    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let file = &self.files[self.names.get(name)?];
        let mut content = vec![0; file.len() as usize];
        file.read(&mut content, 0);
        Some(content)
    }

    pub fn lose_file(&mut self, name: &str) -> bool {
        let known = self.names.contains_key(name);
        if known {
            self.change(Change::Remove(name.to_owned()));
            self.sync_directory();
        }
        known
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    /// A file that was opened and then removed is gone for its handle as well; nothing here keeps such handles.
    fn forget_nameless(&mut self) {
        let Self { files, names, durable_names, .. } = self;
        files.retain(|id, _| names.values().chain(durable_names.values()).any(|named| named == id));
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

pub(super) fn power_lost() -> io::Error {
    io::Error::other("the power is lost")
}

fn gone() -> io::Error {
    io::Error::other("the file was removed")
}

/// As large as a disk may be without sums overflowing.
const NO_LIMIT: u64 = 1 << 60;
