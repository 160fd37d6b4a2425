//! Who may ask: the bearer token, and the `Host` by which this node was called.

use super::{Api, Code, Problem};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::Response,
};
use std::{net::IpAddr, path::Path, sync::Arc};

/// Whose request it is; part of the id of what it submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// The tokens that this node accepts, each with the principal it stands for.
///
/// Only hashes are kept: a core dump shows no token, and comparing two BLAKE3 hashes takes constant time.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Vec<(String, blake3::Hash)>,
}

/// A token file that is not usable.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the API token {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} can be read by others (mode {mode:o}): make it 0600")]
    Exposed { path: String, mode: u32 },
    #[error("{path} holds no token")]
    Empty { path: String },
}

impl Tokens {
    #[must_use]
    pub fn with(mut self, principal: impl Into<String>, token: &str) -> Self {
        self.known.push((principal.into(), blake3::hash(token.as_bytes())));
        self
    }

    /// The principal of that token. Looks at every entry, found or not.
    pub fn principal(&self, token: &str) -> Option<Principal> {
        let presented = blake3::hash(token.as_bytes());
        let mut found = None;
        for (principal, hash) in &self.known {
            if *hash == presented {
                found = Some(Principal(principal.clone()));
            }
        }
        found
    }
}

/// Reads a token file: one line, readable by its owner alone.
pub fn read_token(path: &Path) -> Result<String, TokenError> {
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display().to_string();
    let read = |source| TokenError::Read { path: shown.clone(), source };
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path: shown, mode });
    }
    let token = std::fs::read_to_string(path).map_err(read)?.trim().to_string();
    match token.is_empty() {
        true => Err(TokenError::Empty { path: shown }),
        false => Ok(token),
    }
}

/// The names this node answers to. A web page that points its own name at 127.0.0.1 (DNS rebinding) calls us by that
/// name, and is refused here before its request is looked at.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Besides loopback addresses and `localhost`: what the operator configured and the address listened on.
    names: Vec<String>,
    /// Every address, for a node that listens on all of its own: rebinding needs a name, so no address is one.
    any_address: bool,
}

impl Hosts {
    /// Of a node that listens on `listen` and that its operator also calls by `names`.
    pub fn new(listen: IpAddr, names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).chain([listen.to_string()]).collect();
        Self { names, any_address: listen.is_unspecified() }
    }

    /// Whether `host`, with or without a port, is a name of this node.
    pub fn answers_to(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let address = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || self.any_address);
        address || name == "localhost" || self.names.contains(&name)
    }
}

/// Refuses what comes by another name or without a token; names the principal to the handlers behind.
pub async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Result<Response, Problem> {
    check_host(&api.access.hosts, request.headers(), request.uri())?;
    let principal =
        bearer(request.headers()).and_then(|token| api.access.tokens.principal(token)).ok_or_else(|| {
            Problem::new(
                Code::Unauthorized,
                "send `Authorization: Bearer` with the token from the data directory's api-token",
            )
        })?;
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

/// The check of the name alone, for routes that need no token.
pub async fn guard_host(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Result<Response, Problem> {
    check_host(&hosts, request.headers(), request.uri())?;
    Ok(next.run(request).await)
}

fn check_host(hosts: &Hosts, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
    match host {
        Some(host) if hosts.answers_to(host) => Ok(()),
        Some(host) => {
            let shown: String = host.chars().take(80).collect();
            Err(Problem::new(Code::WrongHost, format!("`{shown}` is no name of this node: add it to api.hosts")))
        }
        None => Err(Problem::new(Code::WrongHost, "the request names no host")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered_to() {
        let hosts = Hosts::new([10, 0, 0, 7].into(), ["Mesh.example.org".to_string()]);
        for good in [
            "127.0.0.1:7441",
            "127.9.9.9",
            "[::1]:7441",
            "localhost:1",
            "LOCALHOST",
            "mesh.example.org",
            "10.0.0.7:7441",
        ] {
            assert!(hosts.answers_to(good), "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.8", "", "a b", "[::2]"] {
            assert!(!hosts.answers_to(bad), "{bad}");
        }
        let everywhere = Hosts::new([0, 0, 0, 0].into(), []);
        assert!(everywhere.answers_to("10.0.0.8:7441") && !everywhere.answers_to("evil.example"));
    }

    #[test]
    fn a_token_stands_for_its_principal_and_nothing_near_it_does() {
        let tokens = Tokens::default().with("default", "secret").with("ci", "other");
        assert_eq!(tokens.principal("secret"), Some(Principal("default".into())));
        assert_eq!(tokens.principal("other"), Some(Principal("ci".into())));
        assert_eq!(tokens.principal("secre"), None);
        assert_eq!(tokens.principal(""), None);
        assert_eq!(Tokens::default().principal(""), None);
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api-token");
        std::fs::write(&path, "abc\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_token(&path), Err(TokenError::Exposed { mode: 0o644, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_token(&path).unwrap(), "abc");
    }
}
