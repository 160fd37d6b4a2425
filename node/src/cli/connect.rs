//! Finding a node to ask, and the token to show it.

use std::future::Future;
use std::path::Path;

use super::Failure;
use super::settings::Global;
use crate::api::access::read_token;
use crate::client::Client;
use crate::run::API_ADDRESS;

/// Where a node keeps the token of its API.
const API_TOKEN: &str = "api-token";

/// Runs what waits for a node.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

impl Global {
    /// A client of the node that the flags name, or of the one of the data directory.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let config = self.load(Vec::new())?.config;
        let dir = &config.node.data_dir;
        let nodes = match self.api.is_empty() {
            false => self.api.iter().map(|url| with_scheme(url)).collect(),
            true => vec![written(dir)?.unwrap_or_else(|| with_scheme(&config.api.listen.to_string()))],
        };
        let file = self.token_file.clone().unwrap_or_else(|| dir.join(API_TOKEN));
        let token = read_token(&file).map_err(|error| {
            let advice = "a node writes it when it first runs; name its directory with --data-dir, or the file with --token-file";
            Failure::Usage(format!("{error}: {advice}"))
        })?;
        Ok(Client::new(nodes, token))
    }
}

fn written(dir: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(dir.join(API_ADDRESS)) {
        Ok(text) => Ok(Some(with_scheme(text.trim()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Stream(error)),
    }
}

fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_string(),
        false => format!("http://{url}"),
    }
}
