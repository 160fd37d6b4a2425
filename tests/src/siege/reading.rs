//! What is there in the end, when all nodes are up again and nobody wants anything more.

use super::{
    ask::{NAMESPACE, writer},
    desk::Desk,
    line::{Found, Line, Proof, Proposal, Standing},
    watch,
};
use mesh_proto::genesis::Engine;
use meshd::{
    api::{
        memory::{MemoryRow, list::MemoryPage},
        proposals::{ProposalRow, list::ProposalPage},
    },
    client::{Ask, Client, ClientError},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::process::Command;

pub struct Reading {
    pub desk: Rc<Desk>,
    pub clients: Rc<Vec<Client>>,
    pub engine: Engine,
    pub network: String,
    /// The program whose verb checks proofs.
    pub binary: PathBuf,
    /// Where proofs are kept.
    pub dir: PathBuf,
}

/// Decisions that are proved at most.
const PROOFS: usize = 12;
/// How long nodes that are all up have to do what they are asked, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

impl Reading {
    pub async fn run(&self) -> Result<(), ClientError> {
        self.memory().await?;
        let proposals = self.proposals().await?;
        // Under Raft nothing is proved.
        if self.engine == Engine::Pbft {
            self.proofs(&proposals).await?;
        }
        self.standings().await?;
        self.desk.note(&Line::End { at: self.desk.now() });
        Ok(())
    }

    async fn memory(&self) -> Result<(), ClientError> {
        let asked = self.desk.now();
        let mut after = String::new();
        for turn in 0.. {
            let path = format!("/v1/memory/{NAMESPACE}?limit=1000&wait=30s{after}");
            let page: MemoryPage = self.patiently(turn, &Ask::get(path)).await?;
            page.items.iter().for_each(|row| self.desk.note(&Line::Found(found(row))));
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        self.desk.note(&Line::Read { asked, answered: self.desk.now() });
        Ok(())
    }

    async fn proposals(&self) -> Result<Vec<ProposalRow>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        for turn in 0.. {
            let path = format!("/v1/proposals?limit=1000&wait=30s{cursor}");
            let page: ProposalPage = self.patiently(turn, &Ask::get(path)).await?;
            all.extend(page.proposals);
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        for row in &all {
            let ProposalRow { proposal, title, state, approve, reject, electors, .. } = row.clone();
            self.desk.note(&Line::Proposal(Proposal { proposal, title, state, approve, reject, electors }));
        }
        Ok(all)
    }

    /// Of the first and the last decisions, and some between.
    async fn proofs(&self, proposals: &[ProposalRow]) -> Result<(), ClientError> {
        let mut decided: Vec<&ProposalRow> = proposals.iter().filter(|row| row.decided_index.is_some()).collect();
        decided.sort_by_key(|row| row.decided_index);
        let step = decided.len().div_ceil(PROOFS).max(1);
        for (turn, row) in decided.into_iter().rev().step_by(step).enumerate() {
            let path = format!("/v1/ledger/bundle?proposal={}&wait=60s", row.proposal);
            let file = self.dir.join(format!("proof-{}", row.proposal));
            let proved = match self.clients[turn % self.clients.len()].ask_bytes(&Ask::get(path)).await {
                Ok(bundle) => self.verify(&row.proposal, &file, &bundle).await,
                Err(error) => Err(error.to_string()),
            };
            let (state, why) = match proved {
                Ok(state) => (Some(state), None),
                Err(why) => (None, Some(why)),
            };
            self.desk.note(&Line::Proof(Proof { proposal: row.proposal.clone(), state, why }));
        }
        Ok(())
    }

    /// What a bundle proves of a proposal to who asks no node.
    async fn verify(&self, proposal: &str, file: &Path, bundle: &[u8]) -> Result<String, String> {
        std::fs::write(file, bundle).map_err(|error| error.to_string())?;
        let mut verb = Command::new(&self.binary);
        verb.args(["ledger", "verify", "--output", "json", "--network", &self.network, "--proof"]).arg(file);
        let output = verb.stdin(Stdio::null()).output().await.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let proved: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?;
        let decision = &proved["decision"];
        match (output.status.success(), decision["state"].as_str()) {
            (true, Some(state)) if decision["proposal"] == *proposal => Ok(state.to_owned()),
            _ => Err(said),
        }
    }

    /// Waits until all replicas are at one checkpoint, behind all that was answered, and says where they stand then.
    async fn standings(&self) -> Result<(), ClientError> {
        let begun = Instant::now();
        let answered = self.desk.index();
        let standings = loop {
            let all = watch::replicas(&self.clients).await;
            let is_there = |standing: &Standing| standing.checkpoint.is_some_and(|checkpoint| checkpoint >= answered);
            let mut all: Vec<Standing> = all.into_iter().map(|(node, replica)| Standing::new(node, replica)).collect();
            // Under Raft nothing is certified: they are compared by what each has executed.
            if self.engine == Engine::Raft {
                for standing in &mut all {
                    standing.checkpoint = Some(standing.executed);
                }
            }
            let same = |pair: &[Standing]| pair[0].checkpoint == pair[1].checkpoint;
            let is_whole = all.len() == self.clients.len() && all.iter().all(is_there) && all.windows(2).all(same);
            if is_whole || begun.elapsed() > PATIENCE {
                break all;
            }
            // A mesh that is left alone makes no checkpoint: questions, each a batch, bring it about.
            match all.iter().all(is_there) && !all.is_empty() {
                true => tokio::time::sleep(LOOK).await,
                false => self.advance().await?,
            }
        };
        for mut standing in standings {
            if self.engine == Engine::Raft {
                standing.digest = Some(self.digest(standing.node).await?);
            }
            self.desk.note(&Line::Standing(standing));
        }
        Ok(())
    }

    /// Of the memory as a node has it.
    async fn digest(&self, node: usize) -> Result<String, ClientError> {
        let (mut hasher, mut after) = (blake3::Hasher::new(), String::new());
        loop {
            let path = format!("/v1/memory/{NAMESPACE}?limit=1000&stale=true{after}");
            let page: MemoryPage = self.clients[node].ask(&Ask::get(path)).await?;
            for row in &page.items {
                let found = found(row);
                hasher.update(format!("{} {} {} {}\n", found.key, found.version, found.write, found.count).as_bytes());
            }
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(hasher.finalize().to_hex().to_string()),
            }
        }
    }

    async fn advance(&self) -> Result<(), ClientError> {
        for turn in 0..16 {
            self.patiently::<Value>(turn, &Ask::get("/v1/locks?limit=1&wait=30s")).await?;
        }
        Ok(())
    }

    /// Asks one after the other until somebody answers.
    async fn patiently<T: DeserializeOwned>(&self, turn: usize, ask: &Ask) -> Result<T, ClientError> {
        let begun = Instant::now();
        for turn in turn.. {
            match self.clients[turn % self.clients.len()].ask(ask).await {
                Err(error) if error.is_worth_a_retry() && begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
                answer => return answer,
            }
        }
        Err(ClientError::Broken("nobody was asked".to_owned()))
    }
}

fn found(row: &MemoryRow) -> Found {
    let (write, count) = row.value.as_deref().map_or((u32::MAX, 0), writer);
    Found { key: row.key.clone(), version: row.version, write, count }
}

impl Standing {
    fn new(node: usize, replica: meshd::api::consensus::ReplicaStatus) -> Self {
        let meshd::api::consensus::ReplicaStatus { view, executed, checkpoint, digest, halted, .. } = replica;
        Self { node, view, executed, checkpoint, digest, halted }
    }
}
