use super::{
    ask::{Asking, Heard, Terms},
    desk::Desk,
    line::{Operation, Outcome, Wish},
};
use crate::sim::dice::Dice;
use meshd::client::Client;
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// One of those who want things all the time, one after the other, and ask again until they know what came of it.
pub struct User {
    pub number: usize,
    pub dice: Dice,
    pub desk: Rc<Desk>,
    pub asking: Rc<Asking>,
    /// One for each node.
    pub clients: Rc<Vec<Client>>,
    /// A node that did not answer, and until when it is not asked: else all users would soon wait for one that is frozen.
    pub avoids: Option<(usize, Instant)>,
}

/// Who was told nothing for so long gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a node is not asked that did not answer.
const AVOIDED: Duration = Duration::from_secs(2);
/// Milliseconds that an attempt waits: some users are in a hurry, and are told by another node what the first one did.
const WAITS: std::ops::RangeInclusive<u64> = 200..=4_000;
/// Of a thousand attempts that were lost, those behind which the user walks away.
const WALKS_AWAY: u32 = 30;
/// Of a thousand operations, those that are asked for through two nodes at once, and those asked for again though it is known
/// what came of them.
const TWICE: u32 = 30;
const AGAIN: u32 = 30;

impl User {
    pub async fn run(mut self) {
        while let Some(operation) = self.desk.draw(self.number, &mut self.dice) {
            let done = self.pursue(operation).await;
            self.desk.done(done);
        }
    }

    async fn pursue(&mut self, mut operation: Operation) -> Operation {
        let begun = Instant::now();
        let index = self.desk.index();
        // Half of them say when their key was drawn.
        let born = (index > 0 && operation.number.is_multiple_of(2)).then_some(index);
        let mut may_be_done = false;
        loop {
            operation.attempts += 1;
            match self.attempt(&mut operation, born).await {
                Heard::Told(told, index) => {
                    operation.answered = Some(self.desk.now());
                    (operation.outcome, operation.index) = (Outcome::Told(told), index);
                    self.once_more(&mut operation, born).await;
                    return operation;
                }
                Heard::Refused(_) => {}
                Heard::Lost => may_be_done = true,
                Heard::Forgotten => return operation,
            }
            let is_tired = begun.elapsed() > PATIENCE || may_be_done && self.dice.chance(WALKS_AWAY);
            if is_tired {
                if !may_be_done {
                    operation.outcome = Outcome::Refused("by all that were asked".to_owned());
                }
                return operation;
            }
            tokio::time::sleep(Duration::from_millis(self.dice.range(20..=400))).await;
        }
    }

    async fn attempt(&mut self, operation: &mut Operation, born: Option<u64>) -> Heard {
        let (one, other) = (self.node(&operation.wish), self.node(&operation.wish));
        let terms = self.terms(born);
        let first = self.asking.attempt(&self.clients[one], operation, terms);
        if !self.dice.chance(TWICE) || matches!(operation.wish, Wish::Get { .. }) {
            let heard = first.await;
            if matches!(heard, Heard::Lost | Heard::Refused(_)) {
                self.avoids = Some((one, Instant::now() + AVOIDED));
            }
            return heard;
        }
        let (first, second) = tokio::join!(first, self.asking.attempt(&self.clients[other], operation, terms));
        match (first, second) {
            (Heard::Told(told, index), Heard::Told(again, _)) => {
                operation.again = Some(again);
                Heard::Told(told, index)
            }
            (told @ Heard::Told(..), _) | (_, told @ Heard::Told(..)) => told,
            (Heard::Refused(why), Heard::Refused(_)) => Heard::Refused(why),
            _ => Heard::Lost,
        }
    }

    /// Somebody forgot that he was told.
    async fn once_more(&mut self, operation: &mut Operation, born: Option<u64>) {
        if matches!(operation.wish, Wish::Get { .. }) || !self.dice.chance(AGAIN) {
            return;
        }
        let (node, terms) = (self.node(&operation.wish), self.terms(born));
        if let Heard::Told(again, _) = self.asking.attempt(&self.clients[node], operation, terms).await {
            operation.again.get_or_insert(again);
        }
    }

    fn terms(&mut self, born: Option<u64>) -> Terms {
        Terms { born, wait: Duration::from_millis(self.dice.spread(WAITS)) }
    }

    /// Whom to ask: a vote is signed by who is asked.
    fn node(&mut self, wish: &Wish) -> usize {
        match wish {
            Wish::Vote { node, .. } => *node,
            _ => {
                let node = self.dice.below(self.clients.len());
                match self.avoids {
                    Some((avoided, until)) if avoided == node && Instant::now() < until => {
                        (node + 1) % self.clients.len()
                    }
                    _ => node,
                }
            }
        }
    }
}
