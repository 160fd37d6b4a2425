//! Everything that time alone brings about.

use super::{Replica, Turn};
use crate::Effect;
use mesh_proto::time::{Mono, Now};

impl Replica {
    /// When [`Replica::handle_deadline`] is to be called next; sooner is harmless.
    pub fn deadline(&self) -> Option<Mono> {
        if self.halted.is_some() {
            return None;
        }
        let is_backup = !self.is_primary();
        let new_view = self.suspicion.new_view_due.filter(|_| !self.durable.is_active());
        let relay = self.pool.next_relay(self.relay_limits()).filter(|_| self.relays_to().is_some());
        // One that was reached waits for the own state to be summed up, and not for a transfer.
        let target = self.behind.target.as_ref().filter(|target| target.summary.sequence > self.executed);
        let stall = target.filter(|_| self.transfer.is_none()).map(|_| self.stalled_until());
        let due = [
            self.status_due(),
            self.wants.due(),
            self.pending_views.values().map(|pending| pending.due).min(),
            self.propose_due(),
            self.strangers.due(),
            relay,
            self.request_due(),
            self.complaint_due(),
            self.idle_due().filter(|_| is_backup),
            self.pace.due,
            new_view,
            self.transfer_due(),
            stall,
        ];
        due.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.halted.is_some() {
            return;
        }
        let turn = &mut Turn { now, effects };
        self.propose(turn);
        self.relay(turn);
        self.look_at_strangers(turn);
        self.fetch(turn);
        self.fetch_view_changes(turn);
        self.suspect(turn);
        self.consider_transfer(turn);
        self.ask_pieces(turn);
        if self.status_due().is_some_and(|due| due <= now.mono) {
            self.tell_status(turn);
        }
        self.check_invariants();
    }
}
