use super::{
    desk::Desk,
    line::{Blow, Fault, Line},
    watch,
};
use crate::sim::dice::Dice;
use meshd::{
    client::Client,
    testnet::{Testnet, TestnetError},
};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// What is done to the nodes. It holds them: they die with the thread that started them.
pub struct Nemesis<'a> {
    pub net: &'a mut Testnet,
    pub clients: Rc<Vec<Client>>,
    pub desk: Rc<Desk>,
    pub dice: Dice,
    pub every: Duration,
    /// Nothing was struck yet. The first blow is one that deposes a primary: others end sooner than that, by chance.
    pub is_first: bool,
    /// Blows until all are killed at once; it is one of the first, so that short sieges have it.
    pub until_all: u64,
}

/// With all nodes up something is agreed on by then, also on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

impl Nemesis<'_> {
    /// Strikes until the time is over, the users have asked all they may, or nothing is agreed on any more, and lets all
    /// nodes run.
    pub async fn run(&mut self, until: Instant) -> Result<(), TestnetError> {
        let (mut last, mut whole) = (Instant::now(), Instant::now());
        loop {
            if !self.something_is_agreed_on(whole).await {
                return Ok(());
            }
            let next = (last + self.every).max(Instant::now());
            if next > until {
                tokio::time::sleep_until(until.into()).await;
                return Ok(());
            }
            tokio::time::sleep_until(next.into()).await;
            if self.somebody_died() {
                return Ok(());
            }
            last = next;
            self.strike().await?;
            whole = Instant::now();
        }
    }

    async fn strike(&mut self) -> Result<(), TestnetError> {
        let leads = watch::primary(&self.clients).await;
        let primary = leads.as_ref().and_then(|(node, _)| self.net.number_of(node)).unwrap_or_default();
        let backup = (primary + 1 + self.dice.below(self.clients.len() - 1)) % self.clients.len();
        let deposes = leads.map(|(_, view)| view).filter(|_| std::mem::take(&mut self.is_first));
        let blow = if deposes.is_some() { Blow::KillPrimary } else { self.blow() };
        let (blow, nodes) = match blow {
            blow @ (Blow::KillPrimary | Blow::FreezePrimary) => (blow, vec![primary]),
            blow @ (Blow::KillBackup | Blow::FreezeBackup) => (blow, vec![backup]),
            Blow::KillAll => (Blow::KillAll, (0..self.clients.len()).collect()),
        };
        let (at, begun) = (self.desk.now(), Instant::now());
        match blow {
            Blow::KillPrimary | Blow::KillBackup => {
                self.net.kill(nodes[0])?;
                self.desk.struck(blow);
                match deposes {
                    Some(view) => self.another_leads(view).await,
                    None => tokio::time::sleep(Duration::from_millis(self.dice.spread(20..=2_000))).await,
                }
                self.net.start(nodes[0])?;
            }
            Blow::KillAll => {
                self.net.kill_all()?;
                self.desk.struck(blow);
                for node in &nodes {
                    tokio::time::sleep(Duration::from_millis(self.dice.spread(1..=300))).await;
                    self.net.start(*node)?;
                }
            }
            Blow::FreezePrimary | Blow::FreezeBackup => {
                self.net.stop(nodes[0])?;
                self.desk.struck(blow);
                tokio::time::sleep(Duration::from_millis(self.dice.spread(300..=8_000))).await;
                self.net.cont(nodes[0])?;
            }
        }
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.desk.note(&Line::Fault(Fault { at, what: blow, nodes, ms }));
        Ok(())
    }

    /// Waits for a view behind this one, as long as anybody would.
    async fn another_leads(&self, view: u64) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && watch::primary(&self.clients).await.is_none_or(|(_, now)| now <= view) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn blow(&mut self) -> Blow {
        if self.until_all == 0 {
            self.until_all = self.dice.range(8..=20);
            return Blow::KillAll;
        }
        self.until_all -= 1;
        match self.dice.below(100) {
            0..=64 => Blow::KillPrimary,
            65..=79 => Blow::KillBackup,
            80..=89 => Blow::FreezePrimary,
            _ => Blow::FreezeBackup,
        }
    }

    /// Waits until something was agreed on that nobody knew at `since`: all nodes are let run. False where there is nothing
    /// to wait for.
    async fn something_is_agreed_on(&mut self, since: Instant) -> bool {
        let begun = Instant::now();
        while self.desk.last_commit() <= since {
            if begun.elapsed() > PATIENCE {
                let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.desk.note(&Line::Stuck { at: self.desk.now(), ms });
                return false;
            }
            if self.desk.is_spent() || self.somebody_died() {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Whether a node ended by itself.
    fn somebody_died(&mut self) -> bool {
        let mut died = false;
        for node in 0..self.clients.len() {
            if let Some(status) = self.net.exit_of(node) {
                let log = self.net.log_tail(node);
                self.desk.note(&Line::Died { at: self.desk.now(), node, status: status.to_string(), log });
                died = true;
            }
        }
        died
    }
}
