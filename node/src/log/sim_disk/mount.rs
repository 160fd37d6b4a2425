//! The seam's view of the simulated disk.

use super::{SimDisk, state};
use crate::log::{Disk, DiskFile};
use std::io;

/// A [`SimDisk`] as one life of a node has it.
#[derive(Debug)]
pub struct Mount {
    pub(super) disk: SimDisk,
    pub(super) life: u64,
}

impl Mount {
    fn change<T>(&self, f: impl FnOnce(&mut state::State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        let on = state.begin(self.life)?;
        let result = f(&mut state);
        if on { result } else { Err(state::power_lost()) }
    }

    fn file(&self, id: u64) -> MountFile {
        MountFile { disk: self.disk.clone(), life: self.life, id }
    }
}

impl Disk for Mount {
    type File = MountFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.list())
    }

    fn open(&self, name: &str) -> io::Result<MountFile> {
        let state = self.disk.state();
        state.alive(self.life)?;
        state.lookup(name).map(|id| self.file(id))
    }

    fn create(&mut self, name: &str, len: u64) -> io::Result<MountFile> {
        self.change(|state| state.create(name, len)).map(|id| self.file(id))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| state.rename(from, to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change(|state| state.remove(name))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        if !state.begin(self.life)? {
            return Err(state::power_lost());
        }
        state.sync_directory();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.free_bytes())
    }
}

/// A file of a [`Mount`].
#[derive(Debug)]
pub struct MountFile {
    disk: SimDisk,
    life: u64,
    id: u64,
}

impl DiskFile for MountFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.file(self.id)?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.file(self.id)?.read(buffer, offset))
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let on = state.begin(self.life)?;
        if state.failing_writes > 0 {
            state.failing_writes -= 1;
            return Err(io::Error::other("a write that was asked to fail"));
        }
        let len = state.file(self.id)?.len();
        state.take_space((offset + bytes.len() as u64).saturating_sub(len))?;
        state.file_mut(self.id)?.write(bytes, offset);
        if on { Ok(()) } else { Err(state::power_lost()) }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let on = state.begin(self.life)?;
        let old = state.file(self.id)?.len();
        state.take_space(len.saturating_sub(old))?;
        state.file_mut(self.id)?.set_len(len);
        if on { Ok(()) } else { Err(state::power_lost()) }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        if !state.begin(self.life)? {
            return Err(state::power_lost());
        }
        let failing = state.failing_syncs > 0;
        state.failing_syncs -= u32::from(failing);
        let file = state.file_mut(self.id)?;
        if failing {
            file.fail_sync();
            return Err(io::Error::other("a sync that was asked to fail"));
        }
        file.sync();
        Ok(())
    }
}
