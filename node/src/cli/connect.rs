//! Finding a node to ask, and the token to show it.

use std::future::Future;
use std::path::Path;

use hyper::Uri;

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
        let given = self.apis();
        let nodes = match given.is_empty() {
            false => given.iter().map(|url| address(url)).collect::<Result<_, _>>()?,
            true => vec![written(dir)?.unwrap_or_else(|| with_scheme(&config.api.listen.to_string()))],
        };
        let file = self.token_file().unwrap_or_else(|| dir.join(API_TOKEN));
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
}
