use crate::api::{
    Code, Problem,
    blobs::predecessor,
    extract::{check_prefix, only_one},
    order::Errand,
};
use mesh_proto::{
    id::Digest,
    ledger::{Proposal, ProposalId, Query, Row, Standing},
};

/// A proposal as the ledger has it.
pub struct Found {
    pub id: ProposalId,
    pub proposal: Box<Proposal>,
    pub standing: Standing,
}

impl Found {
    /// If that is what the row is.
    pub fn of(row: Row) -> Option<Self> {
        match row {
            Row::Proposal { id, proposal, standing } => Some(Self { id, proposal, standing }),
            _ => None,
        }
    }
}

/// The proposal of that id, or the only one whose id begins so.
pub async fn find(errand: &Errand<'_>, text: &str, stale: Option<bool>) -> Result<Found, Problem> {
    let text = &*text.to_ascii_lowercase();
    if let Ok(id) = text.parse() {
        let answer = errand.read(Query::Proposal(id), stale).await?;
        let found = answer.rows.into_iter().find_map(Found::of);
        return found.ok_or_else(|| Problem::new(Code::NotFound, format!("the ledger knows no proposal {id}")));
    }
    check_prefix(text)?;
    // Ids are in order: those that begin so follow the prefix filled up with zeros.
    let lowest: Digest = format!("{text:0<64}").parse().map_err(Problem::malformed)?;
    let after = predecessor(*lowest.as_bytes()).map(|bytes| ProposalId(Digest::from_bytes(bytes)));
    let answer = errand.read(Query::Proposals { after, limit: 2 }, stale).await?;
    let mut found: Vec<Found> = answer.rows.into_iter().filter_map(Found::of).collect();
    found.retain(|found| found.id.to_string().starts_with(text));
    let ids: Vec<ProposalId> = found.iter().map(|found| found.id).collect();
    let id = only_one(text, &ids, "proposal")?;
    found.into_iter().find(|found| found.id == id).ok_or_else(Problem::unforeseen)
}

/// The id alone, which a whole one is without asking.
pub async fn resolve(errand: &Errand<'_>, text: &str) -> Result<ProposalId, Problem> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(errand, text, None).await?.id),
    }
}
