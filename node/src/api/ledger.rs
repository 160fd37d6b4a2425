//! `/v1/ledger/bundle`: what the committee certified last, for whoever trusts no node and checks it.

use super::{
    Api, Code, Problem,
    brain::BrainGone,
    extract::Params,
    order::{Asker, Errand, PATIENCE},
    proposals::lookup,
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use mesh_coordinator::{Answer, Command};
use mesh_ledger::{Audit, AuditError, Rules};
use mesh_proto::genesis::Engine;
use mesh_proto::id::NodeId;
use mesh_proto::ledger::{Bundle, Index, ProposalId, ProposalState, Query};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// With the proof of the decision on this proposal: its id, or a unique prefix of at least 8 digits.
    proposal: Option<String>,
    /// How long a checkpoint that holds it is waited for. Default 30s.
    wait: Option<String>,
}

/// What the mesh agreed on up to its last checkpoint, with all that proves it to whoever has the network's id: the
/// genesis, the ends of the epochs, the checkpoint and the root of the state, in CBOR (`ledger-bundle`).
#[utoipa::path(
    get, path = "/v1/ledger/bundle", tag = "committee", params(Wanted),
    responses(
        (status = 200, content_type = "application/octet-stream"), (status = 404, description = "No such proposal", body = Problem),
        (status = 409, description = "Not decided yet", body = Problem),
        (status = 501, description = "No committee, or one that certifies nothing", body = Problem),
        (status = 503, description = "No checkpoint holds it yet, and too few members are there for another", body = Problem)
    )
)]
pub async fn bundle(State(api): State<Api>, asker: Asker, Params(wanted): Params<Wanted>) -> Result<Response, Problem> {
    let errand = Errand::new(&api, asker, wanted.wait.as_deref(), PATIENCE)?;
    let engine = (api.ports.last_status)().and_then(|status| status.agreement).map(|view| view.engine);
    if engine == Some(Engine::Raft) {
        return Err(Problem::new(Code::NotCertified, AuditError::Engine.to_string()));
    }
    let subject = match &wanted.proposal {
        Some(text) => Subject::decision(&errand, text).await?,
        None => Subject::STATE,
    };
    let bundle = subject.certified(&errand).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bundle.encode()).into_response())
}

/// What is to be in the state that is certified.
struct Subject {
    proposal: Option<ProposalId>,
    /// The batch that brought it there.
    since: Index,
}

/// Between two looks, while members sign a checkpoint.
const PERIOD: Duration = Duration::from_millis(100);

impl Subject {
    /// Whatever was certified last.
    const STATE: Self = Self { proposal: None, since: Index(1) };

    async fn decision(errand: &Errand<'_>, text: &str) -> Result<Self, Problem> {
        let found = lookup::find(errand, text, None).await?;
        match found.standing.state {
            ProposalState::Decided { index, .. } => Ok(Self { proposal: Some(found.id), since: index }),
            ProposalState::Open => {
                let id = found.id;
                let detail = format!(
                    "proposal {id} is not decided, so nothing proves it: wait with `meshd proposal watch {id}`"
                );
                Err(Problem::new(Code::NotEnded, detail))
            }
        }
    }

    /// A bundle that proves itself. A mesh that is left alone makes no checkpoint, so one is brought about.
    async fn certified(&self, errand: &Errand<'_>) -> Result<Box<Bundle>, Problem> {
        let boundary = boundary(self.since);
        let (mut doubt, mut but) = (String::new(), BTreeSet::new());
        loop {
            if let Some((from, bundle)) = self.ask(errand.api, &but).await? {
                match self.audited(errand.api, bundle).await? {
                    Ok(bundle) => return Ok(bundle),
                    // A member lies, or is of another build: another is asked.
                    Err(why) => {
                        doubt = format!("; what {from} showed does not prove it: {why}");
                        but.insert(from);
                        continue;
                    }
                }
            }
            if errand.api.executed.known() < boundary {
                advance(errand, boundary).await?;
            } else if !errand.pause(PERIOD).await? {
                let detail =
                    format!("no member in reach holds a certified checkpoint at or behind batch {boundary}{doubt}");
                return Err(Problem::new(Code::Unavailable, detail).retry_after_ms(1_000));
            }
        }
    }

    async fn ask(&self, api: &Api, but: &BTreeSet<NodeId>) -> Result<Option<(NodeId, Box<Bundle>)>, Problem> {
        let (behind, proposal, but) = (self.since, self.proposal, but.clone());
        match api.ports.brain.ask(Command::Certified { behind, proposal, but }).await?.one().await {
            Some(Answer::Certified(bundle)) => Ok(bundle),
            Some(Answer::Refused { why, .. }) => Err((&why).into()),
            _ => Err(BrainGone.into()),
        }
    }

    /// What a node passes on it has checked, off the threads that answer: a thousand votes take 40 ms.
    async fn audited(&self, api: &Api, bundle: Box<Bundle>) -> Result<Result<Box<Bundle>, String>, Problem> {
        let (network, since, proposal) = (api.network, self.since, self.proposal);
        let audit = move || match Audit::of(&bundle, &network) {
            Ok(audit) if audit.index < since => {
                Err(format!("it is of batch {}, and {since} was asked for", audit.index))
            }
            Ok(audit) if audit.decision.as_ref().map(|(id, _)| *id) != proposal => {
                Err("it is about another decision than the one that was asked for, or none".to_owned())
            }
            Ok(_) => Ok(bundle),
            Err(error) => Err(format!("{}: {error}", error.step().name())),
        };
        tokio::task::spawn_blocking(audit).await.map_err(|_| BrainGone.into())
    }
}

/// Where the first checkpoint is that holds a batch.
fn boundary(since: Index) -> Index {
    let interval = Rules::default().checkpoint_interval;
    Index(since.0.div_ceil(interval).saturating_mul(interval))
}

/// Questions that are ordered, each a batch without an effect, until the log is there: what others order meanwhile
/// counts too. At most one checkpoint's worth of them.
async fn advance(errand: &Errand<'_>, boundary: Index) -> Result<(), Problem> {
    while errand.api.executed.known() < boundary {
        errand.query(Query::Committee).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_held_by_the_checkpoint_at_or_behind_it() {
        for (batch, checkpoint) in [(1, 128), (127, 128), (128, 128), (129, 256)] {
            assert_eq!(boundary(Index(batch)), Index(checkpoint));
        }
    }
}
