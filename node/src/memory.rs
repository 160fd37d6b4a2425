//! The allocator of all that uses this crate.
//!
//! jemalloc and not the system's: what one thread allocates another frees here as often as not (a frame is made by the
//! brain and freed by the network), which costs glibc a third of all processor time of small tasks, and musl more.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads at its start.
#[repr(transparent)]
struct Settings(*const c_char);

// SAFETY: it points to a constant.
unsafe impl Sync for Settings {}

/// Two arenas: more are for more processors than small tasks keep busy, and each has its own pages that are half used.
/// What is free goes back within a second. Threads keep no large pieces for themselves.
// SAFETY: the symbol is jemalloc's for exactly this, and nothing else defines it.
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Settings = Settings(c"narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0,lg_tcache_max:12".as_ptr());

/// Gives what was freed back to the system. jemalloc does so by itself, but only while it is used: a node that has come to
/// rest would keep what its last burst of work needed. Takes some milliseconds: not for a busy node.
pub fn give_back() {
    let every_arena = c"arena.4096.purge";
    let (none, nothing): (*mut c_void, *mut usize) = (null_mut(), null_mut());
    // SAFETY: this control takes no value and gives none.
    let failed = unsafe { tikv_jemalloc_sys::mallctl(every_arena.as_ptr(), none, nothing, none, 0) };
    if failed != 0 {
        tracing::debug!(failed, "memory was not given back");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Bytes of this process in RAM.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// That the settings are read, that all goes through jemalloc, and that what is free is given back. In a process of its
    /// own: what other tests take and free meanwhile would count.
    #[test]
    fn what_was_freed_goes_back_to_the_system() {
        let own = std::env::current_exe().unwrap();
        let words = ["--exact", "memory::tests::in_a_process_of_its_own", "--ignored", "--nocapture"];
        let output = std::process::Command::new(own).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "started by another"]
    fn in_a_process_of_its_own() {
        let mut arenas = 0u32;
        let mut length = size_of::<u32>();
        // SAFETY: the control is of this size.
        let failed = unsafe {
            let value: *mut c_void = (&raw mut arenas).cast();
            tikv_jemalloc_sys::mallctl(c"opt.narenas".as_ptr(), value, &raw mut length, null_mut(), 0)
        };
        assert_eq!((failed, arenas), (0, 2));

        let before = resident();
        let burst: Vec<Vec<u8>> = (0..200_000).map(|_| vec![1; 1000]).collect();
        let full = resident();
        assert!(full > before + (180 << 20), "{before} {full}");
        drop(burst);
        give_back();
        let after = resident();
        assert!(after < full - (120 << 20), "{before} {full} {after}");
    }
}
