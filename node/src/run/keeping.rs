//! What the records held here need on other disks. Each node that they name is told, again and again for as long as
//! the records are held; where a named one is lost it falls to the nearest other to have a copy. Who is told and has
//! none gets one.

use crate::{
    api::brain::Brain as _,
    blob::{BlobStore, NEEDED_MAX, Reach},
    brain::BrainHandle,
    work::{Replicas, find, nearest_first},
};
use mesh_coordinator::{Answer, Command, MemberView};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Between two looks at who is there.
const TICK: Duration = Duration::from_secs(5);
/// Blobs of which the brain is asked at a time.
const PAGE: usize = 1024;
/// A peer that does not answer by then is told in the next round.
const PATIENCE: Duration = Duration::from_secs(10);
/// Blobs to get that may wait; of the others the next round tells again.
const WAITING: usize = 1024;
/// After a round in which somebody lacked something, or was not told.
const AGAIN: Duration = Duration::from_secs(60);

/// A blob that falls to this node, and who said so.
type Wanted = (NodeId, BlobRef);

/// Blobs that this node is to have.
#[derive(Clone)]
pub struct Wants(mpsc::Sender<Wanted>);

impl Wants {
    pub fn new() -> (Self, mpsc::Receiver<Wanted>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// `who` needs these here. What finds no room is told again.
    pub fn add(&self, who: NodeId, blobs: impl IntoIterator<Item = BlobRef>) {
        for blob in blobs {
            if self.0.try_send((who, blob)).is_err() {
                tracing::debug!("too many blobs are to be got at once");
                return;
            }
        }
    }
}

/// Gets what is wanted, one after the other: nobody waits for it, and work goes first.
pub async fn restore(blobs: BlobStore, replicas: Replicas, mut wanted: mpsc::Receiver<Wanted>) {
    while let Some((who, blob)) = wanted.recv().await {
        if blobs.need(who, [blob.id]).is_empty() {
            continue;
        }
        match find::fetch(&blobs, &replicas, blob.id, Some(blob.size), &blob.nodes, |_| {}).await {
            Ok(_held) => {
                blobs.need(who, [blob.id]);
                blobs.metrics().restored.inc();
                tracing::debug!(id = %blob.id, %who, "made a copy of a blob that a record needs");
            }
            Err(error) => tracing::debug!(id = %blob.id, %who, %error, "a copy that a record needs was not made"),
        }
    }
}

/// Tells, for as long as it is polled.
pub struct Keeping {
    blobs: BlobStore,
    replicas: Replicas,
    brain: BrainHandle,
    wants: Wants,
    /// How long a named node may be away before another one gets a copy.
    repair_delay: Duration,
    start: Instant,
    away: BTreeMap<NodeId, Instant>,
    all_since: Option<Instant>,
    /// What the last round saw, when it began, and whether all were told and had everything.
    last: Option<(Seen, Instant, bool)>,
}

/// Who is there, as far as it says to whom blobs fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Nodes that can hold blobs, since when they are connected.
    present: BTreeMap<NodeId, Instant>,
    /// Members that are away, but not for long or not for good: their copies are still counted on.
    awaited: BTreeSet<NodeId>,
}

impl Seen {
    /// To whom a blob falls: the nodes named, and in the place of the lost ones the nearest others.
    fn targets(&self, blob: &BlobRef, copies: usize) -> Vec<NodeId> {
        let counts = |node: &&NodeId| self.present.contains_key(node) || self.awaited.contains(node);
        let mut targets: Vec<NodeId> = blob.nodes.iter().filter(counts).copied().collect();
        if targets.len() < copies {
            let mut others: Vec<NodeId> = self.present.keys().filter(|node| !targets.contains(node)).copied().collect();
            nearest_first(blob.id, &mut others);
            targets.extend(others.into_iter().take(copies - targets.len()));
        }
        targets.retain(|node| self.present.contains_key(node));
        targets
    }
}

impl Keeping {
    pub fn new(blobs: BlobStore, replicas: Replicas, brain: BrainHandle, wants: Wants, repair_delay: Duration) -> Self {
        let start = Instant::now();
        let (away, all_since, last) = (BTreeMap::new(), None, None);
        Self { blobs, replicas, brain, wants, repair_delay, start, away, all_since, last }
    }

    /// Ends with the brain.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(TICK).await;
            let Ok(answers) = self.brain.ask(Command::Members).await else { return };
            let Some(Answer::Members(members)) = answers.one().await else { return };
            let seen = self.look(&members);
            if !self.is_due(&seen) {
                continue;
            }
            let begun = Instant::now();
            let Some(is_whole) = self.round(&seen).await else { return };
            self.last = Some((seen, begun, is_whole));
        }
    }

    fn is_due(&self, seen: &Seen) -> bool {
        self.last.as_ref().is_none_or(|(last, begun, is_whole)| {
            let period = self.blobs.config().keep_lease / 3;
            let period = if *is_whole { period } else { period.min(AGAIN) };
            begun.elapsed() >= period || last != seen
        })
    }

    /// Who is there; tells the store.
    fn look(&mut self, members: &[MemberView]) -> Seen {
        let me = self.replicas.node();
        let now = Instant::now();
        let mut since: BTreeMap<NodeId, Instant> =
            self.replicas.network().peers().into_iter().map(|peer| (peer.node, peer.since)).collect();
        since.insert(me, self.start);
        let holding: Vec<NodeId> = members.iter().filter(|member| may_hold(member)).map(|member| member.node).collect();
        self.away.retain(|node, _| holding.contains(node) && !since.contains_key(node));
        let mut seen = Seen::default();
        for node in holding.iter().copied() {
            if let Some(at) = since.get(&node) {
                seen.present.insert(node, *at);
            } else if now < *self.away.entry(node).or_insert(now) + self.repair_delay {
                seen.awaited.insert(node);
            }
        }
        // Who sees fewer than half of the others may be the one that is away.
        if seen.present.len() * 2 < holding.len() {
            seen.awaited.extend(holding.iter().filter(|node| !since.contains_key(node)));
        }
        let is_whole = seen.present.len() == holding.len();
        self.all_since = if is_whole { self.all_since.or(Some(now)) } else { None };
        self.blobs.set_reach(Reach { since, all_since: self.all_since });
        seen
    }

    /// Tells everybody what is needed of them. Whether all were told and had it; `None` when the brain has ended.
    async fn round(&mut self, seen: &Seen) -> Option<bool> {
        let me = self.replicas.node();
        let mut after: Option<BlobId> = None;
        let (mut is_whole, mut deaf) = (true, BTreeSet::new());
        loop {
            let answers = self.brain.ask(Command::Named { after, limit: PAGE }).await.ok()?;
            let Some(Answer::Named(page)) = answers.one().await else { return None };
            let Some(last) = page.last() else { return Some(is_whole) };
            after = Some(last.id);
            let mut needs: BTreeMap<NodeId, Vec<BlobRef>> = BTreeMap::new();
            for blob in &page {
                for node in seen.targets(blob, self.replicas.copies()) {
                    needs.entry(node).or_default().push(blob.clone());
                }
            }
            for (node, blobs) in needs {
                if node == me {
                    let lacking = self.blobs.need(me, blobs.iter().map(|blob| blob.id));
                    is_whole &= lacking.is_empty();
                    self.wants.add(me, blobs.into_iter().filter(|blob| lacking.contains(&blob.id)));
                } else if !deaf.contains(&node) {
                    match self.tell(node, blobs).await {
                        Ok(lacking) => is_whole &= lacking == 0,
                        Err(error) => {
                            tracing::debug!(%node, error, "a node was not told which blobs records need of it");
                            is_whole = false;
                            deaf.insert(node);
                        }
                    }
                }
            }
        }
    }

    /// Returns how many it lacks.
    async fn tell(&self, node: NodeId, blobs: Vec<BlobRef>) -> Result<usize, String> {
        let mut lacking = 0;
        for part in blobs.chunks(NEEDED_MAX) {
            let told = async {
                let stream = self.replicas.open(node).await.map_err(|error| error.to_string())?;
                self.blobs.tell_needed(stream, part.to_vec()).await.map_err(|error| error.to_string())
            };
            lacking += tokio::time::timeout(PATIENCE, told).await.map_err(|_| "no answer".to_string())??.len();
        }
        Ok(lacking)
    }
}

/// Whether a member may hold records and blobs, whether or not it is there.
fn may_hold(member: &MemberView) -> bool {
    matches!(member.role.as_str(), "full" | "worker") && !matches!(member.state.as_str(), "left" | "forgotten")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn seen(present: &[u8], awaited: &[u8]) -> Seen {
        let now = Instant::now();
        Seen {
            present: present.iter().map(|n| (node(*n), now)).collect(),
            awaited: awaited.iter().map(|n| node(*n)).collect(),
        }
    }

    #[test]
    fn in_the_place_of_a_lost_node_comes_the_nearest_other() {
        let blob = BlobRef { id: BlobId::from_bytes([4; 32]), size: 1, nodes: vec![node(1), node(2)] };
        assert_eq!(seen(&[1, 2, 3, 5], &[]).targets(&blob, 2), [node(1), node(2)]);
        // Away, but its copy is counted on: nobody is told in its place.
        assert_eq!(seen(&[1, 3, 5], &[2]).targets(&blob, 2), [node(1)]);
        // 5 differs from 4 in its last bit.
        assert_eq!(seen(&[1, 3, 5], &[]).targets(&blob, 2), [node(1), node(5)]);
        assert_eq!(seen(&[3, 5, 7], &[]).targets(&blob, 2), [node(5), node(7)]);
        assert_eq!(seen(&[1], &[]).targets(&blob, 2), [node(1)]);
    }
}
