use std::path::Path;

use mesh_ledger::{Audit, AuditError, audit::Step};
use mesh_proto::codec::DecodeError;
use mesh_proto::id::NetworkId;
use mesh_proto::ledger::{Bundle, ProposalId};

use super::file;
use crate::cli::Failure;
use crate::cli::exit::FAILED;
use crate::cli::ordering::Route;
use crate::cli::settings::Global;
use crate::client::{Ask, Client};
use crate::identity;

/// A bundle, and what it proves.
pub(super) struct Proved {
    pub(super) bundle: Bundle,
    pub(super) audit: Audit,
}

/// Why it proves nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refuted {
    #[error("these bytes are no bundle: {0}")]
    Bundle(#[from] DecodeError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("there is none in it: `meshd proposal show PROPOSAL --proof FILE` makes a file with one")]
    NoDecision,
    #[error("it is about another proposal")]
    Another,
}

impl Refuted {
    /// The check that failed.
    pub(super) fn step(&self) -> &'static str {
        match self {
            Self::Bundle(_) => "bundle",
            Self::Audit(error) => error.step().name(),
            Self::NoDecision | Self::Another => Step::Decision.name(),
        }
    }
}

/// Checks all of it against the id, and nothing else.
pub(super) fn judge(bytes: &[u8], network: &NetworkId, needs_decision: bool) -> Result<Proved, Refuted> {
    let bundle = Bundle::decode(bytes)?;
    let audit = Audit::of(&bundle, network)?;
    match audit.decision.is_none() && needs_decision {
        true => Err(Refuted::NoDecision),
        false => Ok(Proved { bundle, audit }),
    }
}

/// The network that is meant, which is all that is trusted: what was said, else that of the data directory. Never what
/// a bundle says of itself: a forger has a network of its own.
pub(super) fn network(global: &Global, given: Option<NetworkId>) -> Result<NetworkId, Failure> {
    if let Some(network) = given {
        return Ok(network);
    }
    let dir = global.load(Vec::new())?.config.node.data_dir;
    let genesis = identity::genesis(&dir)?.ok_or_else(|| {
        Failure::Usage(format!(
            "{} is of no network: say with --network ID whose ledger it is; `meshd status` on a node of it prints the id",
            dir.display()
        ))
    })?;
    Ok(genesis.network_id())
}

/// As the node has it.
pub(super) async fn fetch(client: &Client, route: Route) -> Result<Vec<u8>, Failure> {
    Ok(client.ask_bytes(&Ask::get(route)).await?)
}

/// The proof of a decision, for whoever was not there. What does not prove itself, or something else, is not written; that
/// it is of the right network, its reader checks, who has the id from elsewhere.
pub(in crate::cli) async fn save_proof(client: &Client, proposal: &str, path: &Path) -> Result<(), Failure> {
    let bytes = fetch(client, Route::new("/v1/ledger/bundle").and("proposal", proposal)).await?;
    let bundle = Bundle::decode(&bytes).map_err(|error| refused(&error.into()))?;
    let network = bundle.genesis.network_id();
    let proved = judge(&bytes, &network, true).map_err(|why| refused(&why))?;
    let is_it = |id: &ProposalId| id.to_string().starts_with(&proposal.to_ascii_lowercase());
    if !proved.audit.decision.as_ref().is_some_and(|(id, _)| is_it(id)) {
        return Err(refused(&Refuted::Another));
    }
    file::write(path, &bytes)?;
    let file = path.display();
    eprintln!(
        "meshd: the proof is in {file}; whoever knows the network's id checks it with `meshd ledger verify --proof {file} --network ID`"
    );
    Ok(())
}

fn refused(why: &Refuted) -> Failure {
    eprintln!(
        "meshd: what the node gave proves nothing, and was not saved: {}: {why}; ask another with --api",
        why.step()
    );
    Failure::Ended(FAILED)
}
