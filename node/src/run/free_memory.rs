//! How much of this machine's memory is free, for its bids.

use super::parts::NOW_AND_THEN;
use crate::brain::Inbox;
use mesh_coordinator::Input;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// A change of less is not told.
const STEP_PPM: u32 = 10_000;

/// Tells the brain now and then, for as long as there is one.
pub async fn watch(inbox: Inbox) {
    let mut system =
        System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    let mut told = None;
    loop {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let free_ppm = share(&system);
        if told.is_none_or(|told: u32| told.abs_diff(free_ppm) >= STEP_PPM) {
            told = Some(free_ppm);
            if inbox.send(Input::Memory { free_ppm }).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(NOW_AND_THEN).await;
    }
}

/// Of the control group's limit, where there is one.
fn share(system: &System) -> u32 {
    let (total, free) = match system.cgroup_limits() {
        Some(limits) if limits.total_memory < system.total_memory() => (limits.total_memory, limits.free_memory),
        _ => (system.total_memory(), system.available_memory()),
    };
    let ppm = (u128::from(free) * 1_000_000).checked_div(u128::from(total)).unwrap_or(0);
    u32::try_from(ppm).unwrap_or(u32::MAX).min(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_this_has_some_and_not_all() {
        let mut system = System::new();
        system.refresh_memory();
        let share = share(&system);
        assert!((1..1_000_000).contains(&share), "{share}");
    }
}
