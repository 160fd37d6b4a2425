//! How busy a node is, as coarsely as others need to know it at once.

use crate::{ControlMessage, Coordinator, Heartbeat};
use mesh_proto::{
    id::NodeId,
    time::{Mono, Now},
};
use mesh_tasks::Load;
use std::time::Duration;

/// Between two words about it.
const SAID_AGAIN: Duration = Duration::from_millis(100);
/// For each member that hears it: of a large mesh nobody speaks to all ten times a second.
const SAID_TO_ONE: Duration = Duration::from_millis(5);

/// In steps by which others act: those that are idle look for work, and go where most of it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crowding {
    #[default]
    Idle,
    /// All slots are taken, and nothing waits for one.
    Full,
    /// So many powers of four of attempts wait for each slot.
    Queue(u32),
}

impl Crowding {
    pub fn of(load: &Load) -> Self {
        match (load.running < load.slots, load.queued) {
            (true, 0) => Self::Idle,
            (false, 0) => Self::Full,
            (_, queued) => Self::Queue((queued / load.slots.max(1)).max(1).ilog(4)),
        }
    }
}

impl Coordinator {
    /// To all that are connected.
    pub(crate) fn say_load(&mut self, now: Now, heartbeat: Heartbeat) {
        let own = Load { slots: heartbeat.slots, running: heartbeat.running, queued: heartbeat.queued };
        self.tasks.load_of(self.config.me.node, own);
        self.told = (Crowding::of(&own), now.mono);
        let connected: Vec<NodeId> = self.members.connected().collect();
        self.control.extend(connected.into_iter().map(|to| (to, ControlMessage::Heartbeat(heartbeat))));
    }

    /// Others are to hear soon, and not with the next heartbeat, that there is much to do here, or nothing any more. When it
    /// is to be said.
    pub(crate) fn load_due(&self) -> Option<Mono> {
        let (told, at) = self.told;
        let pause = SAID_AGAIN.max(SAID_TO_ONE * u32::try_from(self.members.connected_len()).unwrap_or(u32::MAX));
        (Crowding::of(&self.tasks.own_load()) != told).then(|| at + pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_changes_are_none() {
        let of = |running, queued| Crowding::of(&Load { slots: 4, running, queued });
        assert_eq!([of(0, 0), of(3, 0)], [Crowding::Idle; 2]);
        assert_eq!(of(4, 0), Crowding::Full);
        assert_eq!([of(4, 1), of(4, 15)], [Crowding::Queue(0); 2]);
        assert_eq!([of(4, 16), of(4, 63)], [Crowding::Queue(1); 2]);
        assert_eq!(of(4, 64), Crowding::Queue(2));
        assert_eq!(Crowding::of(&Load { slots: 0, running: 0, queued: 9 }), Crowding::Queue(1));
    }
}
