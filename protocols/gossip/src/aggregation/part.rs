//! The part that this member takes in one aggregation.

use super::{
    asked::Asked,
    config::Config,
    contribution::{ORIGIN, REACHED, WEIGHT, contribution},
    counters::Counters,
    effect::Effect,
    estimate::Estimate,
    extremes::Extremes,
    link::Link,
    mass::Mass,
    window::Window,
};
use mesh_proto::{
    aggregate::{Aggregate, AggregateId, Share, Subject},
    id::NodeId,
    time::Mono,
};
use rand::{Rng, seq::IteratorRandom as _};
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Part {
    pub id: AggregateId,
    pub subject: Subject,
    /// When it began to take part, by the wall clock: greater than that of any earlier life.
    pub life: u64,
    pub until: Mono,
    pub next: Mono,
    /// When to send again what was not acknowledged.
    pub again: Option<Mono>,
    /// Who told of it first; nobody where it began here.
    pub teller: Option<NodeId>,
    /// Where it began here: what was asked, and when.
    pub asked: Option<(Asked, Mono)>,
    pub rounds: u32,
    pub is_measured: bool,
    /// What this member has put in.
    pub(super) own: Mass,
    /// What it holds.
    pub(super) held: Mass,
    pub extremes: Extremes,
    pub(super) links: BTreeMap<NodeId, Link>,
    pub window: Window,
}

impl Part {
    pub fn new(id: AggregateId, subject: Subject, life: u64, until: Mono, next: Mono) -> Self {
        let mut own = Mass::default();
        own.set(REACHED, WEIGHT);
        Self {
            id,
            subject,
            life,
            until,
            next,
            again: None,
            teller: None,
            asked: None,
            rounds: 0,
            is_measured: false,
            held: own.clone(),
            own,
            extremes: Extremes::default(),
            links: BTreeMap::new(),
            window: Window::default(),
        }
    }

    /// It begins here.
    pub fn ask(mut self, asked: Asked, now: Mono) -> Self {
        self.asked = Some((asked, now));
        self.put(ORIGIN, WEIGHT);
        self
    }

    fn put(&mut self, of: u16, number: i128) {
        let mut mass = Mass::default();
        mass.set(of, number);
        self.own.add(&mass);
        self.held.add(&mass);
    }

    /// This member's own value is known, or that it has none.
    pub fn measured(&mut self, values: Option<&[f64]>) {
        if std::mem::replace(&mut self.is_measured, true) {
            return;
        }
        let Some((mass, extremes)) = values.and_then(|values| contribution(&self.subject, values)) else { return };
        self.own.add(&mass);
        self.held.add(&mass);
        self.extremes.merge(self.subject.fold, &extremes);
    }

    pub fn has_room_for(&self, other: &NodeId, config: &Config) -> bool {
        self.links.contains_key(other) || self.links.len() < config.links_max
    }

    /// Numbers that it holds, in and out of links.
    pub fn numbers(&self) -> usize {
        let links: usize = self.links.values().map(Link::numbers).sum();
        links + self.own.len() + self.held.len() + 2 * self.extremes.len()
    }

    pub fn others(&self) -> impl Iterator<Item = (&NodeId, &Link)> {
        self.links.iter()
    }

    /// What the share adds to what is known counts. Of an earlier life than one that was heard of nothing does.
    pub fn hear(&mut self, from: NodeId, share: &Share) -> Option<Aggregate> {
        self.meet(from, share.life)?;
        let link = self.links.get_mut(&from)?;
        link.is_refused = false;
        if share.turn > link.taken_turn {
            let given = Mass::of_wire(&share.given);
            let mut more = given.clone();
            more.take(&link.taken);
            self.held.add(&more);
            (link.taken, link.taken_turn) = (given, share.turn);
            // What was sent once more adds nothing, and says nothing new of what its sender holds.
            if let Some((asked, _)) = &self.asked
                && !more.is_empty()
            {
                self.window.note(Estimate::of(asked.operation, self.subject.length, &more));
            }
        }
        self.extremes.merge(self.subject.fold, &Extremes::of_wire(&share.extremes));
        let turn = self.links.get(&from)?.taken_turn;
        Some(Aggregate::Taken { id: self.id, life: share.life, turn, own: self.life })
    }

    /// The other has counted what this life gave it, up to that turn.
    pub fn known(&mut self, from: NodeId, (life, turn): (u64, u64), theirs: u64) {
        if life != self.life || !self.links.contains_key(&from) || self.meet(from, theirs).is_none() {
            return;
        }
        if let Some(link) = self.links.get_mut(&from) {
            link.is_known |= turn >= link.since;
        }
    }

    /// Something was heard of that life of another's. None where it is over.
    fn meet(&mut self, other: NodeId, life: u64) -> Option<()> {
        let link = self.links.entry(other).or_insert_with(Link::begun);
        if life < link.life {
            return None;
        }
        if life > link.life {
            // What it gave in its last life it does not know of any more; and it is to be told what was given to it.
            let forgotten = std::mem::take(&mut link.taken);
            if link.is_up {
                self.held.take(&forgotten);
            }
            link.is_known &= link.life == 0;
            (link.taken_turn, link.life) = (0, life);
        }
        if !std::mem::replace(&mut link.is_up, true) {
            self.held.take(&link.passed());
        }
        Some(())
    }

    /// There is no connection to it any more: it may be gone with all that it holds.
    pub fn down(&mut self, other: &NodeId) {
        if let Some(link) = self.links.get_mut(other)
            && std::mem::replace(&mut link.is_up, false)
        {
            self.held.add(&link.passed());
        }
    }

    /// There is one again. Whether it is the same is heard from it.
    pub fn up(&mut self, other: &NodeId) {
        if let Some(link) = self.links.get_mut(other) {
            link.is_known = false;
        }
    }

    /// It takes no part, as of that turn.
    pub fn refused(&mut self, other: &NodeId, turn: u64) {
        if self.links.get(other).is_some_and(|link| turn >= link.turn) {
            self.down(other);
            if let Some(link) = self.links.get_mut(other) {
                *link = Link {
                    turn: link.turn,
                    // What it said before is void, also where it comes later.
                    life: link.life.saturating_add(1),
                    is_known: true,
                    is_refused: true,
                    is_drawn: link.is_drawn,
                    ..Link::default()
                };
            }
        }
    }

    /// What it holds says this of all.
    pub fn estimate(&self) -> Option<Estimate> {
        let (asked, _) = self.asked.as_ref()?;
        Estimate::of(asked.operation, self.subject.length, &self.held)
    }

    pub fn deadline(&self) -> Mono {
        self.again.into_iter().chain([self.next, self.until]).min().unwrap_or(self.until)
    }

    /// A round: parts of what it holds for some that are there, in the order of `peers`.
    pub fn turn(
        &mut self,
        now: Mono,
        peers: &[NodeId],
        config: &Config,
        rng: &mut dyn Rng,
        effects: &mut Vec<Effect>,
        counters: &mut Counters,
    ) {
        self.rounds = self.rounds.saturating_add(1);
        if self.asked.is_some() {
            self.window.close(self.estimate());
        }
        let drawn = self.draw(peers, config, rng);
        let part = self.held.part(i128::try_from(drawn.len()).unwrap_or(0) + 1);
        for to in &drawn {
            let link = self.links.entry(*to).or_insert_with(Link::begun);
            link.is_drawn = true;
            link.is_known = false;
            link.since = link.turn + 1;
            link.given.add(&part);
            self.held.take(&part);
        }
        counters.shares += drawn.len() as u64;
        self.say(&drawn, now, effects);
    }

    /// What was not acknowledged until now.
    pub fn say_again(
        &mut self,
        now: Mono,
        peers: &[NodeId],
        config: &Config,
        rng: &mut dyn Rng,
        effects: &mut Vec<Effect>,
        counters: &mut Counters,
    ) {
        let is_lost = |link: &Link| !link.is_known && !link.is_refused;
        let lost = peers.iter().copied().filter(|peer| self.links.get(peer).is_some_and(is_lost));
        let lost = lost.sample(rng, config.again_max);
        counters.shares += lost.len() as u64;
        counters.again += lost.len() as u64;
        self.say(&lost, now, effects);
    }

    fn say(&mut self, to: &[NodeId], now: Mono, effects: &mut Vec<Effect>) {
        for to in to {
            let said = self.share(to, now);
            effects.extend(said.map(|share| Effect::Say { to: *to, said: Aggregate::Share(Box::new(share)) }));
        }
    }

    /// First those that nothing was given yet, until there are enough of them; then any of these that have acknowledged what they
    /// were given: what goes to one that does not answer is lost to all until it does.
    fn draw(&self, peers: &[NodeId], config: &Config, rng: &mut dyn Rng) -> Vec<NodeId> {
        let link = |peer: &&NodeId| self.links.get(peer);
        let is_drawn = |peer: &&NodeId| link(peer).is_some_and(|link| link.is_drawn && !link.is_refused);
        let is_ready = |link: &Link| link.is_known && link.is_up && !link.is_refused;
        let room = config.neighbours.saturating_sub(peers.iter().filter(is_drawn).count());
        let fits = |peer: &&NodeId| link(peer).map_or(self.links.len() < config.links_max, is_ready);
        let fresh = peers.iter().filter(|peer| !is_drawn(peer)).filter(fits);
        let mut drawn: Vec<NodeId> = fresh.copied().sample(rng, room.min(config.fanout));
        let ready = peers.iter().filter(is_drawn).filter(|peer| link(peer).is_some_and(is_ready));
        drawn.extend(ready.copied().sample(rng, config.fanout - drawn.len()));
        drawn
    }

    fn share(&mut self, to: &NodeId, now: Mono) -> Option<Share> {
        let link = self.links.get_mut(to)?;
        link.turn += 1;
        Some(Share {
            id: self.id,
            subject: self.subject.clone(),
            life: self.life,
            turn: link.turn,
            left_ms: u32::try_from(self.until.since(now).as_millis()).unwrap_or(u32::MAX),
            given: link.given.to_wire(),
            extremes: self.extremes.to_wire(),
        })
    }
}
