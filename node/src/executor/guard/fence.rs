//! What a command may do to the file system, by Landlock where the kernel has it: read and execute all of it, write
//! below its own directory alone. With a newer kernel it cannot signal anything outside either, its guard and meshd
//! included.

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The newest version whose rights are used: with it came `Scope::Signal`. An older kernel gives what it has.
const ABI_USED: ABI = ABI::V6;

/// Devices that take what is written and keep nothing.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What the fences of all commands of a guard have in common, opened once.
pub struct Fence {
    root: PathFd,
    devices: Vec<PathFd>,
    /// Directories that the operator opened to all commands.
    writable: Vec<PathFd>,
}

impl Fence {
    /// To be made where the commands will run: paths mean what they mean in the guard's mounts.
    pub fn new(writable: &[PathBuf]) -> io::Result<Self> {
        let root = PathFd::new("/").map_err(io::Error::other)?;
        // A device that is not there needs no gate.
        let devices = DEVICES.iter().filter_map(|path| PathFd::new(path).ok()).collect();
        let open = |path: &PathBuf| {
            PathFd::new(path).map_err(|error| io::Error::other(format!("exec.writable: {}: {error}", path.display())))
        };
        Ok(Self { root, devices, writable: writable.iter().map(open).collect::<io::Result<_>>()? })
    }

    /// The rules for a command in `directory`, to be put on by the process that becomes it.
    pub fn around(&self, directory: &Path) -> io::Result<OwnedFd> {
        let directory = PathFd::new(directory).map_err(io::Error::other)?;
        let rules = self.rules(&directory).map_err(io::Error::other)?;
        Option::<OwnedFd>::from(rules).ok_or_else(|| io::Error::other("the kernel has no Landlock"))
    }

    fn rules(&self, directory: &PathFd) -> Result<RulesetCreated, RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI_USED))?
            .scope(Scope::Signal)?
            .create()?
            .add_rule(beneath(&self.root, AccessFs::from_read(ABI_USED)))?
            .add_rule(beneath(directory, inside()))?;
        for device in &self.devices {
            rules = rules.add_rule(beneath(device, AccessFs::from_file(ABI_USED)))?;
        }
        for directory in &self.writable {
            rules = rules.add_rule(beneath(directory, inside()))?;
        }
        Ok(rules)
    }
}

/// What a command may do where it may write: all but make devices. Through one of its own root would reach the whole
/// disk from inside the fence.
fn inside() -> BitFlags<AccessFs> {
    AccessFs::from_all(ABI_USED) & !(AccessFs::MakeChar | AccessFs::MakeBlock)
}

fn beneath(path: &PathFd, access: BitFlags<AccessFs>) -> PathBeneath<&PathFd> {
    PathBeneath::new(path, access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_makes_everything_but_devices_in_its_directory() {
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
        assert!(!inside().intersects(devices));
        assert_eq!(inside() | devices, AccessFs::from_all(ABI_USED));
    }
}
