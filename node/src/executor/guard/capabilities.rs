//! What of root's power a command has where the node runs as root.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set};
use std::io;

/// What containers leave to root by default, and none that makes a device: the rights by which ordinary programs change
/// owners, users and modes. With any of the others (raw devices, modules, mounts, other processes' memory, files by their
/// handle) a command would step over its fence.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// What the process that becomes a command goes down to; `None` where this one has no more than that, as every ordinary
/// user has.
pub fn for_commands() -> io::Result<Option<CapabilitySets>> {
    let own = capabilities(None)?;
    let kept = within(own);
    Ok((kept != own).then_some(kept))
}

/// Takes the rest from whatever is executed below this process, once: a program of root's is given back what is bounded
/// here, had the process before it let go of it or not. The guard executes nothing itself and keeps what it has.
pub fn bound() {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if KEPT.contains(one) {
            continue;
        }
        // Behind the last that the kernel knows, or without the right to: then a command gains nothing all the same, since
        // it runs without new privileges.
        if remove_capability_from_bounding_set(one).is_err() {
            return;
        }
    }
}

fn within(own: CapabilitySets) -> CapabilitySets {
    CapabilitySets {
        effective: own.effective.intersection(KEPT),
        permitted: own.permitted.intersection(KEPT),
        inheritable: own.inheritable.intersection(KEPT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_s_commands_have_what_containers_give_and_make_no_device() {
        let all = CapabilitySets {
            effective: CapabilitySet::all(),
            permitted: CapabilitySet::all(),
            inheritable: CapabilitySet::empty(),
        };
        let kept = within(all);
        // Docker's own set, without `CAP_MKNOD`.
        assert_eq!(kept.effective.bits(), 0xa804_25fb & !(1 << 27));
        assert_eq!((kept.permitted, kept.inheritable), (kept.effective, CapabilitySet::empty()));
        for lost in [
            CapabilitySet::MKNOD,
            CapabilitySet::SYS_ADMIN,
            CapabilitySet::SYS_RAWIO,
            CapabilitySet::SYS_MODULE,
            CapabilitySet::SYS_PTRACE,
            CapabilitySet::SYS_BOOT,
            CapabilitySet::SYS_RESOURCE,
            CapabilitySet::NET_ADMIN,
            CapabilitySet::DAC_READ_SEARCH,
            CapabilitySet::BPF,
        ] {
            assert!(!kept.permitted.contains(lost), "{lost:?}");
        }
    }

    #[test]
    fn who_has_nothing_is_left_alone() {
        let nothing = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        assert_eq!(within(nothing), nothing);
    }
}
