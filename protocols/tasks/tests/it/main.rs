//! What can be told only with an allocator of one's own.

mod memory;
