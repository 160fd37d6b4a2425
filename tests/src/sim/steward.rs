//! Changes of the committee, asked for while everything goes wrong: members come and go, one at a time, and the liars among
//! them stay as few as the committee bears with in every epoch that may be in force.

use super::{clock::WALL_AT_START, count::Count, event::Event, node::Place, world::World};
use mesh_coordinator::{Command, RequestId};
use mesh_ledger::Ledger;
use mesh_pbft::Quorums;
use mesh_proto::{
    certificate::Certificate,
    credential::{Credential, Invitation},
    domain::Epoch,
    id::NodeId,
    key::SecretKey,
    ledger::{Body, Change, Motion, Seat, SignedMotion, SignedSupport, Support},
    pbft::EpochConfig,
    role::Role,
    time::Wall,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Who is of the committee, was, and may be.
#[derive(Default)]
pub struct Steward {
    /// All epochs that some correct replica has come to.
    pub epochs: BTreeMap<Epoch, Arc<EpochConfig>>,
    /// Committees that are in force somewhere, or may be soon: in each of them few enough are faulty.
    bench: Vec<Bench>,
    /// The motion that is under way: its point, and what its users want.
    motion: Option<(u64, Vec<u32>)>,
    admitted: BTreeSet<usize>,
}

/// Members of a committee, by index, and until when it is looked after; for good if nothing is said.
struct Bench {
    members: BTreeSet<usize>,
    until: Option<u64>,
}

/// Microseconds between two looks at the committee, on average.
const LOOKS: u64 = 8_000_000;
/// How long the committee of an epoch that is over is still looked after: others follow it into the next.
const FOLLOWS: u64 = 40_000_000;
/// Requests of the steward begin here: nobody waits for their answers.
const REQUESTS: u64 = (1 << 50) + (1 << 40);
const LEAST: usize = 4;
const MOST: usize = 7;

impl Steward {
    pub fn new(founders: usize, epoch: EpochConfig) -> Self {
        let bench = vec![Bench { members: (0..founders).collect(), until: None }];
        let epochs = BTreeMap::from([(epoch.epoch, Arc::new(epoch))]);
        Self { epochs, bench, motion: None, admitted: (0..founders).collect() }
    }

    fn seats(&self, node: usize) -> impl Iterator<Item = &Bench> {
        self.bench.iter().filter(move |bench| bench.members.contains(&node))
    }

    /// Whether this node may vote, somewhere.
    pub fn is_seated(&self, node: usize) -> bool {
        self.seats(node).next().is_some()
    }

    /// Whether every committee that this node is of can do without it, besides those that are faulty.
    pub fn may_fail(&self, node: usize, faulty: &BTreeSet<usize>) -> bool {
        faulty.contains(&node) || self.seats(node).all(|bench| bench.bears(faulty, 1))
    }
}

impl Bench {
    /// Whether it bears with those of its members that are faulty, and so many more.
    fn bears(&self, faulty: &BTreeSet<usize>, more: usize) -> bool {
        let bad = self.members.intersection(faulty).count();
        bad + more <= Quorums::of(self.members.len()).faulty()
    }
}

impl World {
    /// A correct replica is in this epoch.
    pub(super) fn epoch_is(&mut self, config: &Arc<EpochConfig>) {
        let judged = self.checks.agreed.roll.comes_to(config);
        self.checks.note(judged);
        if self.steward.epochs.contains_key(&config.epoch) {
            return;
        }
        self.count(Count::EpochReached);
        let unprepared = self.indexes(config.members.iter()).into_iter().any(|member| {
            let body = self.nodes[member].body.as_ref();
            body.and_then(|body| body.brain.agreement()).is_some_and(|agreement| agreement.ledger().is_none())
        });
        if unprepared {
            self.count(Count::SeatedUnprepared);
        }
        self.checks.agreed.words.begin((**config).clone());
        self.double_words.begin((**config).clone());
        self.steward.epochs.insert(config.epoch, Arc::clone(config));
        if self.steward.epochs.keys().next_back() == Some(&config.epoch) {
            let members = self.indexes(config.members.iter());
            let until = Some(self.at + FOLLOWS);
            self.steward.bench.iter_mut().for_each(|bench| bench.until = bench.until.or(until));
            self.steward.bench.push(Bench { members, until: None });
        }
    }

    fn indexes<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> BTreeSet<usize> {
        nodes.filter_map(|node| self.by_id.get(node).copied()).collect()
    }

    /// Looks at the committee, and may have it changed.
    pub(super) fn steer(&mut self) {
        if self.healed.is_some() {
            return;
        }
        let next = self.at + self.fate.range(LOOKS / 2..=LOOKS * 3 / 2);
        self.queue.push(next, Event::Steer);
        let at = self.at;
        self.steward.bench.retain(|bench| bench.until.is_none_or(|until| at < until));
        let Some((serial, committee)) = self.furthest(|ledger| (ledger.serial(), ledger.committee().clone())) else {
            return;
        };
        if let Some((of, wants)) = &self.steward.motion {
            let is_over = serial > *of && committee.pending.is_none() || self.patrons.came_to_nothing(wants);
            if !is_over || committee.pending.is_some() {
                return;
            }
            // It came about, or never will: the ledger of the furthest knows.
            self.steward.motion = None;
            let seated = self.indexes(committee.seats.iter().map(|seat| &seat.node));
            self.steward.bench.retain(|bench| bench.until.is_some() || bench.members == seated);
            if self.steward.bench.iter().all(|bench| bench.members != seated) {
                self.steward.bench.push(Bench { members: seated, until: None });
            }
        }
        if committee.pending.is_some() {
            return;
        }
        let seated = self.indexes(committee.seats.iter().map(|seat| &seat.node));
        let adds = seated.len() < LEAST + 1 || seated.len() < MOST && self.fate.chance(550);
        match adds {
            true => self.have_added(serial, &seated),
            false => self.have_removed(serial, &seated),
        }
    }

    /// What the furthest ledger of a correct replica that runs says.
    pub(super) fn furthest<T>(&self, say: impl Fn(&Ledger) -> T) -> Option<T> {
        let ledgers = (0..self.nodes.len())
            .filter(|node| !self.lies(*node))
            .filter_map(|node| self.nodes[node].body.as_ref()?.brain.agreement()?.ledger());
        ledgers.max_by_key(|ledger| ledger.index()).map(say)
    }

    fn have_added(&mut self, serial: u64, seated: &BTreeSet<usize>) {
        let faulty = &self.faulty;
        let fits = |node: &usize| !seated.contains(node) && !faulty.contains(node) && !self.crooks.contains_key(node);
        let candidates: Vec<usize> = self.members().into_iter().filter(fits).collect();
        if candidates.is_empty() {
            return;
        }
        let node = *self.fate.pick(&candidates);
        if self.steward.admitted.insert(node) {
            let credential = Box::new(self.credential(node));
            self.have_governed(Body::Admit(credential));
        }
        // Mostly it follows before it is named; sometimes it learns of its seat by being given one.
        if self.fate.chance(700) {
            let members: Vec<usize> = seated.iter().copied().filter(|one| self.nodes[*one].is_running()).collect();
            if !members.is_empty() {
                let at = *self.fate.pick(&members);
                let (request, recruit) = (RequestId(REQUESTS), Command::Recruit { node: self.nodes[node].id });
                self.deliver(at, mesh_coordinator::Input::Command { request, command: recruit });
                self.count(Count::StewardRecruits);
            }
        }
        let seat = Seat { node: self.nodes[node].id, store: Some(self.nodes[node].store()) };
        let mut then = seated.clone();
        then.insert(node);
        self.count(Count::StewardAdds);
        self.have_changed(serial, Change::CommitteeAdd(seat), seated, then);
    }

    fn have_removed(&mut self, serial: u64, seated: &BTreeSet<usize>) {
        if seated.len() <= LEAST {
            return;
        }
        let members: Vec<usize> = seated.iter().copied().collect();
        let node = *self.fate.pick(&members);
        let mut then = seated.clone();
        then.remove(&node);
        // A founder's disk is named before, so that it may come back on it.
        if self.nodes[node].place == Place::Member && !self.faulty.contains(&node) && self.fate.chance(500) {
            let at = self.furthest(Ledger::index).unwrap_or_default();
            let support = Support { version: 1, store: self.nodes[node].store(), at };
            let signed = SignedSupport::report(&self.nodes[node].key, &self.network_id, support);
            self.have_governed(Body::Support(signed));
        }
        self.count(Count::StewardRemoves);
        self.have_changed(serial, Change::CommitteeRemove(self.nodes[node].id), seated, then);
    }

    /// Has a motion signed by the maker, or by as many members as it takes.
    fn have_changed(&mut self, serial: u64, change: Change, seated: &BTreeSet<usize>, then: BTreeSet<usize>) {
        let bench = Bench { members: then, until: None };
        if !bench.bears(&self.faulty, 0) {
            return self.count(Count::StewardForbears);
        }
        let motion = Motion { serial, change };
        let by_maker = self.fate.chance(500);
        let mut signers: Vec<usize> = if by_maker { vec![0] } else { seated.iter().copied().collect() };
        let needed = Quorums::of(seated.len()).weak();
        while !by_maker && signers.len() > needed {
            signers.remove(self.fate.below(signers.len()));
        }
        let sign = |node: &usize| SignedMotion::sign(&self.nodes[*node].key, &self.network_id, motion);
        let signed: Vec<SignedMotion> = signers.iter().map(sign).collect();
        self.checks.agreed.roll.asks(&motion);
        let mut wants = Vec::new();
        for motion in signed {
            wants.extend(self.have_governed(Body::Motion(motion)));
        }
        self.steward.motion = Some((serial, wants));
        self.steward.bench.push(bench);
    }

    fn have_governed(&mut self, body: Body) -> Option<u32> {
        let mut want = None;
        self.with_patrons(|patrons, reach| want = Some(patrons.govern(body, reach)));
        want
    }

    /// By an invitation of the maker.
    fn credential(&self, node: usize) -> Credential {
        let issued = Wall(WALL_AT_START);
        let once = SecretKey::from_bytes(&[200; 32]);
        let invitation = Invitation {
            key: once.node_id(),
            inviter: self.nodes[0].id,
            role: Role::Full,
            issued,
            expires: Wall(u64::MAX / 2),
            member_until: None,
        };
        let invitation = Certificate::issue(&self.nodes[0].key, &self.network_id, invitation);
        Credential::by_invitation(invitation, &once, &self.genesis, self.nodes[node].id, Role::Full, issued)
    }
}
