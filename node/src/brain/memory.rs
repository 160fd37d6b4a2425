//! Memory that the process holds and does not use.

/// Gives what was freed back to the system. An allocator keeps what a burst of work needed, in the expectation of
/// another; a node that has come to rest should not. Takes some milliseconds: not for a busy node.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer, and only returns pages that the allocator has no use for.
    unsafe {
        libc::malloc_trim(0)
    };
}
