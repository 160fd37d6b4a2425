//! Finding a node to ask, and the token to show it.

use std::future::Future;
use std::path::Path;

use hyper::Uri;

use super::Failure;
use super::exit::quoted;
use super::settings::Global;
use crate::api::access::read_token;
use crate::client::{Client, ClientError};
use crate::config::Config;
use crate::run::API_ADDRESS;

/// Where a node keeps the token of its API.
const API_TOKEN: &str = "api-token";
/// What makes a directory that of a member.
const CREDENTIAL: &str = "credential";

/// Runs what waits for a node.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // Who leaves by Ctrl-C does not wait for a read of a pipe or terminal that may never come back.
    runtime.shutdown_background();
    done
}

impl Global {
    /// A client of the node that the flags name, or of the one of the data directory.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let config = self.load(Vec::new())?.config;
        let dir = &config.node.data_dir;
        let nodes = self.nodes(&config)?;
        let named = self.token_file();
        let file = named.clone().unwrap_or_else(|| dir.join(API_TOKEN));
        // The first run writes it: there was none yet.
        if self.apis().is_empty() && named.is_none() && is_missing(&file) {
            return Err(never_ran(dir));
        }
        let token = read_token(&file).map_err(|error| {
            let advice = "a node writes it when it first runs; name its directory with --data-dir, or the file with --token-file";
            Failure::Usage(format!("{error}: {advice}"))
        })?;
        Ok(Client::new(nodes, token))
    }

    /// A client for what needs no token.
    pub(super) fn prober(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.nodes(&self.load(Vec::new())?.config)?, String::new()))
    }

    /// Where the node is that the flags name, or the one of the data directory.
    fn nodes(&self, config: &Config) -> Result<Vec<String>, Failure> {
        match self.apis() {
            given if !given.is_empty() => given.iter().map(|url| address(url)).collect(),
            _ => {
                let own = written(&config.node.data_dir)?;
                Ok(vec![own.unwrap_or_else(|| with_scheme(&config.api.listen.to_string()))])
            }
        }
    }

    /// Of a node that does not answer: which command starts it, where it is that of the data directory.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let Failure::Client(ClientError::NoNode { nodes, why }) = &failure else { return failure };
        if !self.apis().is_empty() {
            return failure;
        }
        // What is wrong with the configuration was said before anybody was asked.
        let Ok(loaded) = self.load(Vec::new()) else { return failure };
        let dir = loaded.config.node.data_dir;
        match written(&dir) {
            // Of a mesh that a verb made for itself the node is another.
            Ok(Some(own)) if own.trim_end_matches('/') != *nodes => failure,
            Ok(_) | Err(_) => Failure::NotRunning { why: format!("no node answers at {nodes} ({why})"), dir },
        }
    }
}

fn is_missing(path: &Path) -> bool {
    matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Of a directory in which no node has run.
fn never_ran(dir: &Path) -> Failure {
    if is_missing(&dir.join(CREDENTIAL)) {
        let quoted = quoted(dir);
        return Failure::Usage(format!(
            "there is no node in {}: `meshd init --data-dir {quoted}` or `meshd join --data-dir {quoted} TOKEN` makes one, \
             and `meshd run --data-dir {quoted}` starts it; --data-dir or --api names another",
            dir.display()
        ));
    }
    Failure::NotRunning { dir: dir.to_owned(), why: format!("the node in {} has not run yet", dir.display()) }
}

fn written(dir: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(dir.join(API_ADDRESS)) {
        Ok(text) => Ok(Some(with_scheme(text.trim()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file("read", &dir.join(API_ADDRESS))(error)),
    }
}

/// Where an API is, as users write it. What no request can go to is found here: later it would look like a lost node.
fn address(given: &str) -> Result<String, Failure> {
    let url = with_scheme(given.trim());
    let refuse = |why: &str| Err(Failure::Usage(format!("`{given}` is no API's address: {why}")));
    let parsed: Uri = match url.parse() {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&format!("{error}; write http://HOST:PORT")),
    };
    // What else may stand there, such as a port that is no number, is let through by the parser.
    let host = parsed.host().unwrap_or_default();
    let plain = parsed.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let is_plain = !host.is_empty() && parsed.authority().is_some_and(|authority| authority.as_str() == plain);
    match parsed.scheme_str() {
        Some("http") if is_plain => Ok(url),
        Some("https") => refuse("meshd speaks no TLS; on the same machine write http://, from another use a tunnel"),
        _ => refuse("write http://HOST:PORT"),
    }
}

fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_string(),
        false => format!("http://{url}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nothing_can_be_sent_to_is_refused() {
        for (given, url) in [
            ("http://127.0.0.1:7441", "http://127.0.0.1:7441"),
            ("127.0.0.1:7441", "http://127.0.0.1:7441"),
            ("[::1]:7441", "http://[::1]:7441"),
            (" http://host/below ", "http://host/below"),
        ] {
            assert_eq!(address(given).unwrap(), url);
        }
        for (given, said) in [
            ("https://host:7441", "no TLS"),
            ("http://ho st:7441", "http://HOST:PORT"),
            ("http://", "http://HOST:PORT"),
            ("http://:7441", "http://HOST:PORT"),
            ("http://host:port", "http://HOST:PORT"),
            ("http://host:99999", "http://HOST:PORT"),
            ("ftp://host", "http://HOST:PORT"),
            ("", "http://HOST:PORT"),
        ] {
            let error = address(given).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.contains(said)), "{given}: {error}");
        }
    }

    /// As the command line would be with this directory and nothing else.
    fn global(dir: &Path) -> Global {
        use clap::Parser as _;
        let words = ["meshd", "status", "--data-dir", dir.to_str().unwrap()];
        crate::cli::Cli::try_parse_from(words).unwrap().global
    }

    fn refusal(dir: &Path) -> Failure {
        global(dir).client().map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_node_that_does_not_run_is_said_with_the_command_that_starts_it() {
        let here = tempfile::tempdir().unwrap();
        let dir = here.path().join("a node");
        std::fs::create_dir(&dir).unwrap();
        let run = format!("`meshd run --data-dir '{}'`", dir.display());
        let none = refusal(&dir);
        assert!(matches!(&none, Failure::Usage(said) if said.contains("meshd init") && said.contains(&run)), "{none}");
        std::fs::write(dir.join(CREDENTIAL), "").unwrap();
        let never = refusal(&dir);
        assert!(matches!(never, Failure::NotRunning { .. }) && never.to_string().contains(&run), "{never}");

        std::fs::write(dir.join(API_ADDRESS), "http://127.0.0.1:1\n").unwrap();
        let lost = |nodes: &str| {
            Failure::Client(ClientError::NoNode { nodes: nodes.into(), why: "connection refused".into() })
        };
        let stopped = global(&dir).explain(lost("http://127.0.0.1:1"));
        assert!(matches!(stopped, Failure::NotRunning { .. }), "{stopped}");
        let said = stopped.to_string();
        assert!(said.contains(&run) && said.contains("connection refused"), "{said}");
        // Of a bench's own mesh nothing is known here.
        assert!(matches!(global(&dir).explain(lost("http://127.0.0.1:2")), Failure::Client(_)));
    }
}
