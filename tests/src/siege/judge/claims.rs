use crate::check::{Grant, Locks, Violation};
use crate::siege::line::{Operation, Outcome, Told, Wish};
use mesh_proto::{ledger::Fence, time::Wall};

/// One holder at a time, by agreed time, and fences that grow. How many grants there were.
pub fn judge(operations: &[Operation]) -> Result<u64, Violation> {
    let mut locks = Locks::default();
    let mut grants = 0;
    for operation in operations {
        let (Wish::Lock { lock, lease_ms }, Some(Told::Granted { fence, expires_ms }), Some(answered)) =
            (&operation.wish, operation.told(), operation.answered)
        else {
            continue;
        };
        grants += 1;
        let grant = Grant {
            lock: *lock,
            want: operation.number,
            asked: operation.asked,
            answered,
            granted: Wall(expires_ms.saturating_sub(*lease_ms)),
            expires: Wall(*expires_ms),
            unlock: None,
            renewals: Vec::new(),
            open: 0,
        };
        locks.granted(Fence(*fence), grant)?;
    }
    // Renewals and releases are of grants that are known by now.
    for operation in operations.iter().filter(|operation| !matches!(operation.outcome, Outcome::Refused(_))) {
        match &operation.wish {
            Wish::Renew { fence, lease_ms, .. } => {
                let fence = Fence(*fence);
                locks.renews(fence);
                match operation.told() {
                    Some(Told::Granted { expires_ms, .. }) => {
                        let ran = Wall(expires_ms.saturating_sub(*lease_ms));
                        locks.renewed(fence, Some((ran, Wall(*expires_ms))));
                    }
                    Some(_) => locks.renewed(fence, None),
                    None => {}
                }
            }
            Wish::Unlock { fence, .. } => locks.unlocks(Fence(*fence), operation.asked),
            _ => {}
        }
    }
    locks.judge()?;
    Ok(grants)
}
