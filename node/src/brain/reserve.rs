//! Room on the disk that new work may not take: what was accepted must be able to end, and the store to take it in.

/// For ends, promises and members, and for what arrives before a look at the disk is answered by a refusal.
const KEPT: u64 = 64 << 20;

/// What the store may need to take in the log, in bytes for each of the log's: the entries again, at most as many, and
/// as much for the pages around them, of which old and new are both there until its transaction is durable.
const STORE_TAKES: u64 = 2;

/// Whether new work may come. `headroom`: bytes that the disk and the log's free segments still have; `log_bytes`: what
/// the store has not taken in.
pub fn has_room(headroom: u64, log_bytes: u64) -> bool {
    headroom > KEPT.saturating_add(log_bytes.saturating_mul(STORE_TAKES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_the_store_has_to_take_in_the_more_is_kept_for_it() {
        assert!(has_room(KEPT + 1, 0) && !has_room(KEPT, 0));
        assert!(!has_room(KEPT + (20 << 20), 10 << 20));
        assert!(has_room(KEPT + (20 << 20) + 1, 10 << 20));
        assert!(has_room(u64::MAX, 1 << 40) && !has_room(u64::MAX, u64::MAX));
    }
}
