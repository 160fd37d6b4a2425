use super::{
    answer::Answer,
    asked::{Asked, Operation, Refusal, is_lawful},
    buckets,
    config::Config,
    contribution::{float, numbers},
    counters::Counters,
    effect::Effect,
    estimate::histogram,
    over::{End, Over},
    part::Part,
    window::Spread,
};
use mesh_proto::{
    aggregate::{Aggregate, AggregateId, Share},
    id::NodeId,
    time::{Mono, Now},
};
use rand::{Rng, RngExt as _};
use std::{collections::BTreeMap, time::Duration};

/// All aggregations that this member takes part in.
///
/// [`Aggregations::ask`] begins one; what members say goes to [`Aggregations::handle`], connections to [`Aggregations::up`] and
/// [`Aggregations::down`], and this node's values, when they are asked for, to [`Aggregations::measured`].
/// [`Aggregations::handle_deadline`] is to be called at [`Aggregations::deadline`] with those that can be talked to, in order. An
/// aggregation that began here ends in one [`Effect::Answer`], but after [`Aggregations::leave`].
#[derive(Debug)]
pub struct Aggregations {
    config: Config,
    me: NodeId,
    pub(super) open: BTreeMap<AggregateId, Part>,
    over: Over,
    counted: Counters,
}

impl Aggregations {
    pub fn new(config: Config, me: NodeId) -> Self {
        Self { config, me, open: BTreeMap::new(), over: Over::default(), counted: Counters::default() }
    }

    /// Begins one; the effects ask for this node's own value.
    pub fn ask(
        &mut self,
        now: Now,
        asked: Asked,
        rng: &mut dyn Rng,
        effects: &mut Vec<Effect>,
    ) -> Result<AggregateId, Refusal> {
        asked.check()?;
        if !self.has_room(&self.me, None) {
            self.counted.refused += 1;
            return Err(Refusal::BUSY);
        }
        let id = AggregateId { origin: self.me, number: rng.random() };
        let until = now.mono + asked.timeout(&self.config);
        // The first turn waits for the value: what is given away before it is known says nothing.
        let part = Part::new(id, asked.subject(), life(now), until, now.mono + self.config.round);
        effects.push(Effect::Measure { id, name: asked.name.clone() });
        self.open.insert(id, part.ask(asked, now.mono));
        self.counted.asked += 1;
        Ok(id)
    }

    /// This node's own value, if it has one.
    pub fn measured(&mut self, now: Now, id: &AggregateId, values: Option<&[f64]>) {
        if let Some(part) = self.open.get_mut(id) {
            part.measured(values);
            if part.asked.is_some() {
                part.next = now.mono;
            }
        }
    }

    /// Something that a member says. What is not lawful is counted, and else as if it had not been said.
    pub fn handle(&mut self, now: Now, from: NodeId, said: Aggregate, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        match said {
            Aggregate::Share(share) => self.shared(now, from, &share, rng, effects),
            Aggregate::Taken { id, life, turn, own } => {
                if let Some(part) = self.open.get_mut(&id) {
                    part.known(from, (life, turn), own);
                }
            }
            Aggregate::Refused { id, turn } => {
                if let Some(part) = self.open.get_mut(&id) {
                    part.refused(&from, turn);
                }
            }
            // Who asked knows best whether it is over.
            Aggregate::Ended { id } if id.origin != self.me => self.end(now, &id, Some(from), effects),
            Aggregate::Ended { .. } => {}
        }
    }

    fn shared(&mut self, now: Now, from: NodeId, share: &Share, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        let (id, turn) = (share.id, share.turn);
        let say = |said| Effect::Say { to: from, said };
        match self.over.get(&id) {
            Some(End::Ended) => return effects.push(say(Aggregate::Ended { id })),
            Some(End::GivenUp) => return effects.push(say(Aggregate::Refused { id, turn })),
            None => {}
        }
        let known = self.open.get(&id);
        let is_same = known.is_none_or(|part| part.subject == share.subject);
        let most = numbers(&share.subject);
        if !is_same || !is_lawful(&share.subject) || share.given.iter().any(|(of, _)| *of >= most) {
            self.counted.malformed += 1;
            return;
        }
        if share.extremes.iter().any(|(of, _)| *of >= share.subject.length) {
            self.counted.malformed += 1;
            return;
        }
        if known.is_none() {
            // Begun by this node in a life that it does not remember: nobody waits for the answer.
            if id.origin == self.me {
                return effects.push(say(Aggregate::Ended { id }));
            }
            if !self.has_room(&id.origin, Some(from)) {
                self.counted.refused += 1;
                return effects.push(say(Aggregate::Refused { id, turn }));
            }
            self.join(now, from, share, rng, effects);
        }
        let Some(part) = self.open.get_mut(&id) else { return };
        if !part.has_room_for(&from, &self.config) {
            self.counted.refused += 1;
            return effects.push(say(Aggregate::Refused { id, turn }));
        }
        effects.extend(part.hear(from, share).map(say));
        if self.numbers() > self.config.numbers_max {
            self.give_up(now, &id, effects);
        }
    }

    fn join(&mut self, now: Now, from: NodeId, share: &Share, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        let until = now.mono + Duration::from_millis(share.left_ms.into()).min(self.config.longest);
        let round = u64::try_from(self.config.round.as_micros()).unwrap_or(u64::MAX);
        let next = now.mono + Duration::from_micros(rng.random_range(0..=round));
        let mut part = Part::new(share.id, share.subject.clone(), life(now), until, next);
        part.teller = Some(from);
        effects.push(Effect::Measure { id: share.id, name: share.subject.name.clone() });
        self.open.insert(share.id, part);
        self.counted.joined += 1;
    }

    fn has_room(&self, origin: &NodeId, teller: Option<NodeId>) -> bool {
        let of_origin = self.open.keys().filter(|id| id.origin == *origin).count();
        let by_teller = self.open.values().filter(|part| teller.is_some() && part.teller == teller).count();
        self.open.len() < self.config.open_max
            && of_origin < self.config.of_origin_max
            && by_teller < self.config.by_teller_max
            && self.numbers() < self.config.numbers_max / 2
    }

    fn numbers(&self) -> usize {
        self.open.values().map(Part::numbers).sum()
    }

    /// A member can be talked to again.
    pub fn up(&mut self, node: &NodeId) {
        self.open.values_mut().for_each(|part| part.up(node));
    }

    /// A member's last connection is gone.
    pub fn down(&mut self, node: &NodeId) {
        self.open.values_mut().for_each(|part| part.down(node));
    }

    /// Nobody waits for the answer any more.
    pub fn leave(&mut self, now: Now, id: &AggregateId, effects: &mut Vec<Effect>) {
        self.end(now, id, None, effects);
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.open.values().map(Part::deadline).min()
    }

    /// Rounds and ends that are due. `peers`: those that can be talked to, in order.
    pub fn handle_deadline(&mut self, now: Now, peers: &[NodeId], rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        self.over.forget(now.mono);
        let due = |part: &&Part| part.deadline() <= now.mono;
        let due: Vec<AggregateId> = self.open.values().filter(due).map(|part| part.id).collect();
        for id in due {
            let Some(part) = self.open.get_mut(&id) else { continue };
            if part.until <= now.mono {
                self.conclude(now, &id, false, effects);
                continue;
            }
            if part.again.is_some_and(|again| again <= now.mono) {
                part.again = Some(now.mono + self.config.again);
                part.say_again(now.mono, peers, &self.config, rng, effects, &mut self.counted);
            }
            if part.next > now.mono {
                continue;
            }
            part.next = (part.next + self.config.round).max(now.mono);
            part.again = part.again.or(Some(now.mono + self.config.again));
            part.turn(now.mono, peers, &self.config, rng, effects, &mut self.counted);
            if is_settled(part, peers.len()) {
                self.conclude(now, &id, true, effects);
            }
        }
    }

    /// Its end here; whoever asked is answered.
    fn conclude(&mut self, now: Now, id: &AggregateId, settled: bool, effects: &mut Vec<Effect>) {
        let Some(part) = self.open.get(id) else { return };
        if let Some((asked, began)) = &part.asked {
            let answer = answer(part, asked, now.mono.since(*began), settled);
            effects.push(Effect::Answer { id: *id, answer });
            match settled {
                true => self.counted.settled += 1,
                false => self.counted.unsettled += 1,
            }
        }
        self.end(now, id, None, effects);
    }

    /// Tells those that were spoken with, each of which tells its own.
    fn end(&mut self, now: Now, id: &AggregateId, from: Option<NodeId>, effects: &mut Vec<Effect>) {
        let Some(part) = self.open.remove(id) else { return };
        let until = Over::until(now.mono, self.config.longest);
        self.over.insert(*id, End::Ended, until, self.config.ends_max);
        let others = part.others().filter(|(node, link)| link.is_up && Some(**node) != from);
        effects.extend(others.map(|(node, _)| Effect::Say { to: *node, said: Aggregate::Ended { id: *id } }));
    }

    /// There is no room for it any more: the others go on as if this member had never been there.
    fn give_up(&mut self, now: Now, id: &AggregateId, effects: &mut Vec<Effect>) {
        self.counted.refused += 1;
        if self.open.get(id).is_some_and(|part| part.asked.is_some()) {
            return self.conclude(now, id, false, effects);
        }
        let Some(part) = self.open.remove(id) else { return };
        let until = Over::until(now.mono, self.config.longest);
        self.over.insert(*id, End::GivenUp, until, self.config.ends_max);
        effects.extend(part.others().map(|(node, link)| {
            let said = Aggregate::Refused { id: *id, turn: link.taken_turn };
            Effect::Say { to: *node, said }
        }));
    }

    pub fn counters(&self) -> Counters {
        Counters { open: self.open.len() as u64, numbers: self.numbers() as u64, ..self.counted }
    }
}

/// A later life has a greater one, but for a clock that was set back in between.
fn life(now: Now) -> u64 {
    now.wall.0.max(1)
}

/// Before so many rounds not even everybody may have heard of it.
const ROUNDS_MIN: u32 = 4;

/// Whether what was heard of late is as near together as was asked, and was heard from enough.
fn is_settled(part: &Part, peers: usize) -> bool {
    let Some((asked, _)) = &part.asked else { return false };
    if !part.is_measured {
        return false;
    }
    if peers == 0 {
        return true;
    }
    let Some(now) = part.estimate() else { return false };
    let Spread { value, covers, reached, heard } = part.window.spread(&now);
    let near = |spread: f64, count: f64| spread <= (asked.tolerance * count).max(0.25);
    part.window.is_full()
        && part.rounds >= ROUNDS_MIN
        && heard >= (2 * peers).min(HEARD_MIN)
        && value <= asked.tolerance * now.size
        && near(covers, now.covers)
        && near(reached, now.reached)
}

/// Findings of others in the last three rounds: of about twelve that come in a large mesh.
const HEARD_MIN: usize = 6;

fn answer(part: &Part, asked: &Asked, elapsed: Duration, settled: bool) -> Answer {
    let mut answer = Answer {
        values: Vec::new(),
        error: 0.0,
        histogram: Vec::new(),
        covers: 0,
        covers_error: 0.0,
        reached: 1,
        rounds: part.rounds,
        elapsed,
        settled,
    };
    let Some(now) = part.estimate() else { return answer };
    let spread = part.window.spread(&now);
    (answer.covers, answer.reached) = (now.covers.round() as u64, now.reached.round().max(1.0) as u64);
    (answer.covers_error, answer.error) = (spread.covers, spread.value);
    answer.values = now.values;
    match asked.operation {
        Operation::Min | Operation::Max => {
            answer.values = part.extremes.iter().map(|(_, number)| float(number)).collect();
        }
        Operation::Quantile(_) => {
            answer.error += answer.values.first().map_or(0.0, |value| value.abs() * buckets::ERROR)
        }
        Operation::Histogram(most) => {
            answer.values = Vec::new();
            answer.histogram = histogram(&part.held, most);
        }
        Operation::Count => answer.values.iter_mut().for_each(|count| *count = count.round()),
        Operation::Sum | Operation::Mean => {}
    }
    answer
}
