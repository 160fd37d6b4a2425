use super::{
    judge::Judgement,
    plan::Plan,
    tally::{Ends, Tally},
};
use meshd::testnet::length;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What a siege came to.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub seed: u64,
    pub engine: String,
    pub nodes: usize,
    pub clients: usize,
    pub seconds: f64,
    pub operations: BTreeMap<&'static str, Ends>,
    pub all: Ends,
    pub per_second: f64,
    pub faults: BTreeMap<&'static str, Outage>,
    pub views: u64,
    pub longest_without_answer_ms: u64,
    pub keys: u64,
    /// Keys of which too much was asked at once to look at all orders.
    pub too_long: u64,
    pub grants: u64,
    pub proposals: u64,
    pub proofs: u64,
    pub violations: Vec<String>,
}

/// Faults of one kind, and how long it took until something was answered that was asked since.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outage {
    pub count: u64,
    pub p50_ms: Option<u64>,
    pub max_ms: Option<u64>,
}

impl Figures {
    pub(super) fn new(plan: &Plan, took: Duration, views: u64, tally: &Tally, judgement: Judgement) -> Self {
        let all = tally.all();
        let outage = |(blow, outages): (&super::line::Blow, &super::tally::Outages)| {
            let (p50_ms, max_ms) = outages.spread().unzip();
            (blow.name(), Outage { count: outages.count, p50_ms, max_ms })
        };
        Self {
            seed: plan.seed,
            engine: plan.engine.to_string(),
            nodes: plan.nodes,
            clients: plan.clients,
            seconds: round(took.as_secs_f64()),
            operations: tally.kinds.clone(),
            all,
            per_second: round((all.ok + all.rejected) as f64 / took.as_secs_f64()),
            faults: tally.blows.iter().map(outage).collect(),
            views,
            longest_without_answer_ms: u64::try_from(tally.longest.as_millis()).unwrap_or(u64::MAX),
            keys: judgement.keys,
            too_long: judgement.too_long,
            grants: judgement.grants,
            proposals: judgement.proposals,
            proofs: judgement.proofs,
            violations: judgement.violations.iter().map(ToString::to_string).collect(),
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, engine, nodes, clients, seconds, .. } = self;
        writeln!(f, "{nodes} nodes ({engine}), {clients} clients, {seconds} s, seed {seed}\n")?;
        let heads = ["", "ok", "rejected", "refused", "unknown", "attempts", "told twice"];
        writeln!(
            f,
            "{:<9}{:>9}{:>10}{:>9}{:>9}{:>10}{:>12}",
            heads[0], heads[1], heads[2], heads[3], heads[4], heads[5], heads[6]
        )?;
        for (kind, ends) in self.operations.iter().map(|(kind, ends)| (*kind, ends)).chain([("all", &self.all)]) {
            let Ends { ok, rejected, refused, unknown, attempts, again } = ends;
            writeln!(f, "{kind:<9}{ok:>9}{rejected:>10}{refused:>9}{unknown:>9}{attempts:>10}{again:>12}")?;
        }
        writeln!(f, "{} operations a second\n", self.per_second)?;
        let ms = |ms: Option<u64>| ms.map_or_else(|| "never".to_owned(), |ms| length(Duration::from_millis(ms)));
        for (name, Outage { count, p50_ms, max_ms }) in &self.faults {
            writeln!(
                f,
                "{name:<24}{count:>5} times; answered again after {} (median), {} (longest)",
                ms(*p50_ms),
                ms(*max_ms)
            )?;
        }
        writeln!(
            f,
            "{} views; longest time without an answer {}",
            self.views,
            ms(Some(self.longest_without_answer_ms))
        )?;
        let Self { keys, too_long, grants, proposals, proofs, .. } = self;
        writeln!(
            f,
            "judged: {keys} keys ({too_long} left open), {grants} grants, {proposals} proposals, {proofs} proofs"
        )?;
        match self.violations.is_empty() {
            true => write!(f, "nothing is wrong with what was told"),
            false => self.violations.iter().try_for_each(|violation| writeln!(f, "WRONG {violation}")),
        }
    }
}
