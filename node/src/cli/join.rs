//! `meshd join`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::Args;
use mesh_proto::limits;
use mesh_proto::role::Role;
use zeroize::Zeroizing;

use super::Failure;
use super::init::Membership;
use super::output::Output;
use super::settings::{Global, now};
use crate::identity::{self, DataDir};

#[derive(Debug, Args)]
pub(super) struct Join {
    /// What `meshd invite` printed, or - to read it from standard input, where other users cannot see it.
    token: String,
    /// Be less than the token allows.
    #[arg(long)]
    role: Option<Role>,
}

impl Join {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let config = global.load(Vec::new())?.config;
        let token = match self.token.as_str() {
            "-" => read(std::io::stdin().lock())?,
            token => Zeroizing::new(token.to_owned()),
        };
        let dir = DataDir::lock(&config.node.data_dir)?;
        let identity = identity::join(&dir, &token, self.role, now())?;
        Ok(output.put(&Membership::of(&identity, dir.path()), Membership::text)?)
    }
}

/// Makes the node of `dir` a member by the token in `file`, unless it is one already: then the file is not even looked for.
pub(super) fn join_once(dir: &Path, file: &Path) -> Result<(), Failure> {
    if identity::genesis(dir)?.is_some() {
        return Ok(());
    }
    let token = File::open(file).and_then(read).map_err(|error| {
        Failure::Usage(format!("cannot read the invitation {}: {error}; `meshd invite` makes one", file.display()))
    })?;
    let identity = identity::join(&DataDir::lock(dir)?, &token, None, now())?;
    tracing::info!(network = %identity.genesis.name, role = identity.credential.role().as_str(), "joined by invitation");
    Ok(())
}

fn read(from: impl Read) -> std::io::Result<Zeroizing<String>> {
    // One allocation, so that no copies are left behind; spaces and line breaks of a paste come on top of the token's own
    // length.
    let limit = 4 * limits::TOKEN_TEXT_BYTES;
    let mut token = Zeroizing::new(String::with_capacity(limit));
    from.take(limit as u64).read_to_string(&mut token)?;
    Ok(token)
}
