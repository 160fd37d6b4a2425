//! Sees to it that the committee grows with the mesh and that who fails is replaced, as DESIGN section 5 has it: each
//! member looks for itself, and asks for what it would have with its own signature. Where one signature does not carry a
//! change, the others come to the same and sign it too.

mod plan;
mod presence;

use crate::{
    api::{
        Api, Code, Problem,
        brain::BrainGone,
        committee::change::{Changed, Wish, carry_out},
        order::{Asker, Errand, look},
    },
    config::sections,
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    agreement::Standing,
    genesis::Engine,
    id::NodeId,
    ledger::{Committee, Query, Row},
};
use plan::{Patience, Step};
use presence::{Presence, Seen};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Between two looks, in any case.
const LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// How long one change may take: a newcomer has a state to fetch first.
const WITHIN: Duration = Duration::from_secs(120);

/// Until the node stops.
pub async fn run(api: Api, config: sections::Committee) {
    let (stay, gone_after) = (config.stay.get(), config.gone_after.get());
    let patience = Patience { stay, gone_after, engine: Engine::Pbft };
    let period = (patience.stay.min(patience.gone_after) / 4).clamp(LOOK.0, LOOK.1);
    let mut steward =
        Steward { api, patience, period, presence: Presence::default(), wanted: None, passed_over: BTreeMap::new() };
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = steward.api.closing.cancelled() => return,
        }
        match steward.turn().await {
            Ok(()) => {}
            // Nobody to ask, for a while.
            Err(problem) => tracing::debug!(%problem, "the committee cannot be looked after now"),
        }
    }
}

struct Steward {
    api: Api,
    patience: Patience,
    period: Duration,
    presence: Presence,
    /// What was called for at the last look, and in how many looks on end.
    wanted: Option<(Step, usize)>,
    /// Who could not be taken in, and when that was found: somebody else is, if there is.
    passed_over: BTreeMap<NodeId, Instant>,
}

impl Steward {
    async fn turn(&mut self) -> Result<(), Problem> {
        let Some((rank, engine)) = self.rank() else { return Ok(()) };
        self.patience.engine = engine;
        let (committee, serial) = self.committee().await?;
        let nodes = self.nodes(&committee).await?;
        let Some(step) = plan::next(&committee, &nodes, self.patience) else {
            self.wanted = None;
            return Ok(());
        };
        let looks = self.wanted.filter(|(wanted, _)| *wanted == step).map_or(1, |(_, looks)| looks + 1);
        self.wanted = Some((step, looks));
        // One after the other: where one signature carries a change the others find it made.
        if looks <= rank {
            return Ok(());
        }
        self.take(step, serial).await;
        Ok(())
    }

    /// Which of the committee this node is, if it is, and how they agree.
    fn rank(&self) -> Option<(usize, Engine)> {
        let me = self.api.ports.signer.node();
        let view = (self.api.ports.last_status)()?.agreement?;
        Some((view.epoch.members.iter().position(|member| *member == me)?, view.engine))
    }

    async fn nodes(&mut self, committee: &Committee) -> Result<BTreeMap<NodeId, Seen>, Problem> {
        let Some(Answer::Members(members)) = self.api.ports.brain.ask(Command::Members).await?.one().await else {
            return Err(BrainGone.into());
        };
        let idle = self.idle().await?;
        let now = Instant::now();
        // A change may have been waited for since the last look.
        let mut nodes = self.presence.look(now, self.period * 4 + WITHIN, &members, &committee.seats, &idle);
        let again_after = self.patience.stay;
        self.passed_over.retain(|_, at| now.saturating_duration_since(*at) < again_after);
        for node in self.passed_over.keys() {
            if let Some(seen) = nodes.get_mut(node) {
                seen.is_full = false;
            }
        }
        Ok(nodes)
    }

    /// Members that answer, and say that they do not vote: their disk was lost, or they have stopped for good. One that is
    /// silent says nothing.
    async fn idle(&self) -> Result<BTreeSet<NodeId>, Problem> {
        let Some(Answer::Agreement(view)) = self.api.ports.brain.ask(Command::Agreement).await?.one().await else {
            return Err(BrainGone.into());
        };
        let votes = |standing: &Standing| standing.replica.is_some_and(|replica| replica.voting && !replica.halted);
        let standings = view.members.iter().filter_map(|(node, standing)| Some((node, standing.as_ref()?)));
        Ok(standings.filter(|(_, standing)| !votes(standing)).map(|(node, _)| *node).collect())
    }

    /// And behind how many motions it is so.
    async fn committee(&self) -> Result<(Committee, u64), Problem> {
        let rows = look(&self.api, Query::Committee).await?.rows;
        let found = rows.into_iter().find_map(|row| match row {
            Row::Committee { committee, serial, .. } => Some((committee, serial)),
            _ => None,
        });
        found.ok_or_else(Problem::unforeseen)
    }

    /// Signed for the point that it was planned at: where the ledger has moved since, the next look plans anew.
    async fn take(&mut self, step: Step, serial: u64) {
        let wish = match step {
            Step::Add(node) => Wish::Add(node),
            Step::Remove(node) => Wish::Remove(node),
        };
        let errand = Asker::of_the_node().and_then(|asker| Errand::new(&self.api, asker, None, WITHIN));
        let made = match errand {
            Ok(errand) => carry_out(&errand, wish, Some(serial)).await,
            Err(problem) => Err(problem),
        };
        match (made, step) {
            (Ok(Changed { state, committee, .. }), _) => {
                tracing::info!(?step, state, members = committee.members.len(), "the committee is changed");
            }
            // Others have yet to come to the same, or came first with something else.
            (Err(problem), _) if matches!(problem.code, Code::Already | Code::Overtaken | Code::Pending) => {
                tracing::debug!(?step, %problem, "the committee is looked at again");
            }
            (Err(problem), Step::Add(node)) if plan::is_its_fault(problem.code) => {
                tracing::info!(%node, %problem, "not taken into the committee");
                self.passed_over.insert(node, Instant::now());
            }
            (Err(problem), _) => tracing::info!(?step, %problem, "the committee is not changed"),
        }
        self.wanted = None;
    }
}
