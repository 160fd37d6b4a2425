//! Frames that wait to be checked: a lane for what each peer orders, and one for what it says as a member, served in turn.
//! Who floods fills its own lane and then waits, and delays the others by its share: members by no more than what one of
//! them may take, and none of them by all that is ordered (Clement et al., NSDI '09, section 4).

use bytes::Bytes;
use mesh_proto::id::NodeId;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Bytes that wait in one lane; one frame may be larger.
const BYTES: usize = 1 << 20;

/// Frames that wait in one lane.
const FRAMES: usize = 1024;

/// Frames that are handed out at a time, so that one lock serves some.
const TAKEN: usize = 16;

/// Why a frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes frames any more")]
pub struct Closed;

/// What a lane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Votes and all else between members of the committee.
    Member,
    /// Requests, and whatever comes from elsewhere.
    Client,
}

type Who = (Side, NodeId);

/// Lanes with one thread that takes from them.
#[derive(Debug, Default)]
pub struct Lanes {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those that hold something.
    lanes: HashMap<Who, Lane>,
    /// Whose turn is next, of each side.
    turns: [VecDeque<NodeId>; 2],
    /// The side that was last served.
    last: usize,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    bytes: usize,
    room: Arc<Notify>,
}

impl Lane {
    fn has_room(&self, bytes: usize) -> bool {
        self.frames.is_empty() || self.frames.len() < FRAMES && self.bytes + bytes <= BYTES
    }
}

impl Lanes {
    /// Waits while the peer's lane is full: that is back-pressure, and its own.
    pub async fn push(&self, side: Side, from: NodeId, frame: Bytes) -> Result<(), Closed> {
        let mut waited: Option<Arc<Notify>> = None;
        loop {
            let full = {
                let mut state = self.lock();
                if state.is_closed {
                    waited.iter().for_each(|waited| waited.notify_one());
                    return Err(Closed);
                }
                let lane = state.lanes.entry((side, from)).or_default();
                if lane.has_room(frame.len()) {
                    lane.bytes += frame.len();
                    lane.frames.push_back(frame);
                    if lane.frames.len() == 1 {
                        state.turns[side as usize].push_back(from);
                        self.filled.notify_one();
                    }
                    // Another of the same peer may have waited for the same room.
                    waited.iter().for_each(|waited| waited.notify_one());
                    return Ok(());
                }
                Arc::clone(&lane.room)
            };
            full.notified().await;
            waited = Some(full);
        }
    }

    /// Waits for frames, and takes some: one of each lane in turn, and of both sides alternately. `false` once it is closed
    /// and empty.
    pub fn take(&self, frames: &mut Vec<(NodeId, Bytes)>) -> bool {
        let mut state = self.lock();
        loop {
            while frames.len() < TAKEN
                && let Some(taken) = state.next()
            {
                frames.push(taken);
            }
            if !frames.is_empty() {
                return true;
            }
            if state.is_closed {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What waits is still taken, and nothing more comes.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        // Each that wakes wakes the next.
        state.lanes.values().for_each(|lane| lane.room.notify_one());
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<(NodeId, Bytes)> {
        let sides = [Side::Member, Side::Client];
        let side =
            (1..=2).map(|step| sides[(self.last + step) % 2]).find(|side| !self.turns[*side as usize].is_empty())?;
        self.last = side as usize;
        let from = self.turns[side as usize].pop_front()?;
        let lane = self.lanes.get_mut(&(side, from))?;
        let frame = lane.frames.pop_front()?;
        lane.bytes -= frame.len();
        lane.room.notify_one();
        match lane.frames.is_empty() {
            true => drop(self.lanes.remove(&(side, from))),
            false => self.turns[side as usize].push_back(from),
        }
        Some((from, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn push(lanes: &Lanes, side: Side, from: u8, size: usize) -> bool {
        lanes.push(side, node(from), Bytes::from(vec![from; size])).now_or_never().is_some()
    }

    fn order(lanes: &Lanes) -> Vec<u8> {
        let mut order = Vec::new();
        while !lanes.lock().lanes.is_empty() {
            let mut frames = Vec::new();
            assert!(lanes.take(&mut frames));
            order.extend(frames.iter().map(|(_, frame)| frame[0]));
        }
        order
    }

    /// Checklist item 39: who floods delays the others by its share.
    #[test]
    fn lanes_are_served_in_turn_and_members_beside_clients() {
        let lanes = Lanes::default();
        (0..40).for_each(|_| assert!(push(&lanes, Side::Client, 9, 10)));
        (0..20).for_each(|_| assert!(push(&lanes, Side::Member, 1, 10)));
        push(&lanes, Side::Client, 8, 10);
        (0..2).for_each(|_| assert!(push(&lanes, Side::Member, 2, 10)));
        let order = order(&lanes);
        assert_eq!(order.len(), 63);
        let place = |of: u8| order.iter().rposition(|from| *from == of).unwrap();
        assert!(place(8) <= 4, "one request of another: {order:?}");
        assert!(place(2) <= 8, "two votes of another: {order:?}");
        assert!(place(1) <= 44, "members take every other turn: {order:?}");
    }

    /// Checklist item 39: what a flood does not get in waits at its sender.
    #[test]
    fn a_full_lane_makes_its_own_peer_wait() {
        let lanes = Lanes::default();
        assert!(push(&lanes, Side::Client, 9, 3 * BYTES), "one large frame always passes");
        assert!(!push(&lanes, Side::Client, 9, 1));
        assert!(push(&lanes, Side::Client, 8, 1));
        assert!(push(&lanes, Side::Member, 9, 1));
        (0..FRAMES).for_each(|_| assert!(push(&lanes, Side::Member, 7, 1)));
        assert!(!push(&lanes, Side::Member, 7, 1));
    }

    /// Several connections of one peer wait for the same lane: all get on.
    #[tokio::test]
    async fn all_who_wait_get_on() {
        let lanes = Arc::new(Lanes::default());
        assert!(push(&lanes, Side::Client, 9, BYTES));
        let pushes = (0..5).map(|_| {
            let lanes = Arc::clone(&lanes);
            tokio::spawn(async move { lanes.push(Side::Client, node(9), Bytes::from(vec![9; BYTES / 8])).await })
        });
        let pushes: Vec<_> = pushes.collect();
        let taker = {
            let lanes = Arc::clone(&lanes);
            tokio::task::spawn_blocking(move || {
                let (mut count, mut frames) = (0, Vec::new());
                while lanes.take(&mut frames) {
                    count += frames.drain(..).count();
                }
                count
            })
        };
        for push in pushes {
            push.await.unwrap().unwrap();
        }
        lanes.close();
        assert_eq!(taker.await.unwrap(), 6);
        assert_eq!(lanes.push(Side::Client, node(9), Bytes::new()).await, Err(Closed));
    }

    #[tokio::test]
    async fn all_who_wait_hear_of_the_end() {
        let lanes = Arc::new(Lanes::default());
        assert!(push(&lanes, Side::Client, 9, BYTES));
        let pushes = (0..3).map(|_| {
            let lanes = Arc::clone(&lanes);
            tokio::spawn(async move { lanes.push(Side::Client, node(9), Bytes::from_static(b"x")).await })
        });
        let pushes: Vec<_> = pushes.collect();
        tokio::task::yield_now().await;
        lanes.close();
        for push in pushes {
            assert_eq!(push.await.unwrap(), Err(Closed));
        }
        let mut frames = Vec::new();
        assert!(lanes.take(&mut frames), "what waits is still taken");
        assert!(!lanes.take(&mut Vec::new()));
    }
}
