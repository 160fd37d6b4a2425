//! Keeps what the ledger says of who belongs to the network and who may invite into it, on nodes with a ledger and without.
//!
//! Heartbeats of members that have a ledger tell how many motions are in force. Whoever hears of more than it knows asks
//! the committee, by a question that is ordered as any read is: so the answer is what f + 1 of its members say. A liar
//! outside the committee, and f in it, can make others ask and nothing else; one whose word came to nothing is believed
//! less and less often.

use super::meters::BrainMeters;
use crate::{
    api::brain::Brain as _,
    brain::{BrainHandle, Inbox},
    directory::{self, Directory},
    identity::{DataDir, Roll},
    network::NetworkHandle,
};
use mesh_coordinator::{Answer, Command, Input};
use mesh_proto::{
    agreement::{Operation, Ran},
    id::NodeId,
    ledger::{self, Query, Row},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Between two looks at what others say.
const LOOK: Duration = Duration::from_millis(250);
/// One question to the committee.
const PATIENCE: Duration = Duration::from_secs(20);
/// After a question without an answer; doubles.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// For which a member is not believed whose word came to nothing; doubles each time.
const DISBELIEF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// What keeps the roll.
pub struct RollKeeper {
    pub brain: BrainHandle,
    pub inbox: Inbox,
    pub directory: Directory,
    pub network: NetworkHandle,
    pub dir: Arc<DataDir>,
    pub meters: BrainMeters,
}

impl RollKeeper {
    /// For as long as it is polled.
    pub async fn run(self) {
        if let Some(roll) = self.directory.roll() {
            self.take_out(&roll).await;
        }
        let (mut doubts, mut pause, mut is_fresh) = (Doubts::default(), PAUSE.0, false);
        loop {
            tokio::time::sleep(LOOK).await;
            if std::mem::take(&mut is_fresh) {
                // Who was let in while it was taken over.
                self.turn_out();
            }
            let known = self.directory.roll().map_or(0, |roll| roll.serial());
            let told = self.meters.last().map(|status| status.serials).unwrap_or_default();
            if !doubts.is_news(Instant::now(), known, &told) {
                continue;
            }
            match read(&self.brain).await {
                Some((serial, rows)) => {
                    doubts.note(Instant::now(), serial, &told);
                    pause = PAUSE.0;
                    if serial > known {
                        self.take_over(serial, rows).await;
                        is_fresh = true;
                    }
                }
                None => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn take_over(&self, serial: u64, rows: Vec<Row>) {
        let roll = Arc::new(Roll::new(serial, &rows));
        let revoked = roll.all_revoked().count();
        tracing::info!(serial, revoked, "the ledger's word of members and inviters");
        let dir = Arc::clone(&self.dir);
        let saved = tokio::task::spawn_blocking(move || Roll::save(&dir, serial, &rows)).await;
        // It holds in this life all the same.
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the roll is not kept"),
            Err(error) => tracing::error!(%error, "the roll is not kept"),
        }
        self.directory.set_roll(Arc::clone(&roll));
        self.take_out(&roll).await;
        self.turn_out();
    }

    /// Who is revoked is out of the member table, and with that disconnected.
    async fn take_out(&self, roll: &Roll) {
        for (node, at) in roll.all_revoked() {
            if self.inbox.send(Input::Member(directory::revoked(node, at))).await.is_err() {
                tracing::debug!("the brain has ended");
                return;
            }
        }
    }

    /// Who is connected by a credential that is good no more.
    fn turn_out(&self) {
        for peer in self.network.peers().iter().filter(|peer| !self.directory.is_good(peer.node)) {
            tracing::info!(node = %peer.node, "its credential is good no more");
            if let Err(error) = self.network.disconnect(peer.node) {
                tracing::warn!(node = %peer.node, %error, "it was not disconnected");
            }
        }
    }
}

/// Members and inviters, and behind how many motions it was so. `None` where too few of the committee answer, or the
/// ledger moved meanwhile.
async fn read(brain: &BrainHandle) -> Option<(u64, Vec<Row>)> {
    let before = serial(brain).await?;
    let mut rows = pages(brain, |after| Query::Members { after, limit: u16::MAX }).await?;
    rows.extend(pages(brain, |after| Query::Inviters { after, limit: u16::MAX }).await?);
    (serial(brain).await? == before).then_some((before, rows))
}

async fn serial(brain: &BrainHandle) -> Option<u64> {
    query(brain, Query::Committee).await?.rows.into_iter().find_map(|row| match row {
        Row::Committee { serial, .. } => Some(serial),
        _ => None,
    })
}

async fn pages(brain: &BrainHandle, page: impl Fn(Option<NodeId>) -> Query) -> Option<Vec<Row>> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let ledger::Answer { rows: more, more: is_more, .. } = query(brain, page(after)).await?;
        let last = more.last().and_then(|row| match row {
            Row::Member { node, .. } => Some(*node),
            Row::Inviter { key, .. } => Some(*key),
            _ => None,
        });
        rows.extend(more);
        match last {
            Some(_) if is_more => after = last,
            _ => return Some(rows),
        }
    }
}

/// What f + 1 of the committee answer.
async fn query(brain: &BrainHandle, query: Query) -> Option<ledger::Answer> {
    let asked = async {
        let answers = brain.ask(Command::Order { operations: vec![Operation::Query(query)] }).await.ok()?;
        answers.one().await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some(Answer::Ordered { ran: Ran::Answer(answer), .. })) => Some(*answer),
        Ok(_) | Err(_) => None,
    }
}

/// Whose word of new motions came to nothing, until when it is not believed, and for how long the next time.
#[derive(Default)]
struct Doubts(BTreeMap<NodeId, (Instant, Duration)>);

impl Doubts {
    /// Whether somebody who is believed says that there is more than is known.
    fn is_news(&self, now: Instant, known: u64, told: &[(NodeId, u64)]) -> bool {
        let is_believed = |node: &NodeId| self.0.get(node).is_none_or(|(until, _)| *until <= now);
        told.iter().any(|(node, serial)| *serial > known && is_believed(node))
    }

    /// The committee said that there are so many. Who is connected no more begins anew: connecting takes time, too.
    fn note(&mut self, now: Instant, serial: u64, told: &[(NodeId, u64)]) {
        self.0.retain(|node, _| told.iter().any(|(of, _)| of == node));
        for (node, said) in told {
            if *said > serial {
                let pause = self.0.get(node).map_or(DISBELIEF.0, |(_, last)| (*last * 2).min(DISBELIEF.1));
                self.0.insert(*node, (now + pause, pause));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    #[test]
    fn whose_word_comes_to_nothing_is_heard_less_often_and_keeps_no_other_from_being_heard() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        assert!(!doubts.is_news(now, 3, &[(node(1), 3), (node(2), 0)]));
        let told = [(node(1), 3), (node(2), u64::MAX)];
        let mut at = now;
        for seconds in [5, 10, 20] {
            assert!(doubts.is_news(at, 3, &told));
            doubts.note(at, 3, &told);
            assert!(!doubts.is_news(at + Duration::from_secs(seconds - 1), 3, &told));
            at += Duration::from_secs(seconds);
        }
        doubts.note(at, 3, &told);
        assert!(doubts.is_news(at, 3, &[(node(1), 4), (node(2), u64::MAX)]), "another is believed");
        for _ in 0..20 {
            doubts.note(at, 3, &told);
        }
        assert!(doubts.is_news(at + DISBELIEF.1, 3, &told), "never for ever");
        doubts.note(at, 3, &[(node(1), 3)]);
        assert!(doubts.0.is_empty(), "bounded by who is connected");
    }
}
