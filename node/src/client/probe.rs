//! What monitoring asks, for machines on which there is nothing else to ask with.

use super::{Ask, Client, ClientError, PROBE_TIMEOUT, Problem, whole};
use crate::api::probes::Probe;
use axum::body::Body;

impl Client {
    /// What the first node says at `path` (`/livez`, `/readyz`), good or not, within three seconds. Needs no token, and turns
    /// to no other node: it is this one that is meant.
    pub async fn probe(&self, path: &str) -> Result<Probe, ClientError> {
        let node = self.node();
        let asked = async {
            let response =
                self.send_to(node, &Ask::get(path), Body::empty()).await.map_err(|lost| self.unreachable(lost))?;
            whole(response).await
        };
        let Ok(answer) = tokio::time::timeout(PROBE_TIMEOUT, asked).await else {
            return Err(ClientError::Silent { node: node.to_owned() });
        };
        let bytes = answer?;
        serde_json::from_slice(&bytes).map_err(|error| match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(_) => ClientError::Answer(format!("{error}: is {node} a meshd?")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, http::StatusCode, routing::get};

    fn client(address: impl std::fmt::Display) -> Client {
        Client::new(vec![format!("http://{address}")], String::new())
    }

    #[tokio::test]
    async fn what_a_node_says_of_itself_is_heard_whether_it_is_good_or_not() {
        let bad = Probe { ok: false, reasons: vec!["still starting".into()], warnings: Vec::new() };
        let said = bad.clone();
        let app = Router::new()
            .route("/livez", get(async || Json(Probe { ok: true, reasons: Vec::new(), warnings: Vec::new() })))
            .route("/readyz", get(async move || (StatusCode::SERVICE_UNAVAILABLE, Json(said.clone()))))
            .route("/else", get(async || "hello"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        assert!(client(address).probe("/livez").await.unwrap().ok);
        // By a name, too.
        let named = format!("localhost:{}", address.port());
        assert_eq!(client(named).probe("/readyz").await.unwrap(), bad);
        let other = client(address).probe("/else").await.unwrap_err();
        assert!(matches!(other, ClientError::Answer(_)), "{other}");
        serving.abort();
    }

    #[tokio::test]
    async fn who_is_not_there_and_who_says_nothing_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It takes connections, as the system does that for it, and never reads.
        let silent = client(address).probe("/livez").await.unwrap_err();
        assert!(matches!(silent, ClientError::Silent { .. }), "{silent}");
        drop(listener);
        let gone = client(address).probe("/livez").await.unwrap_err();
        assert!(matches!(gone, ClientError::NoNode { .. }), "{gone}");
    }
}
