use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::api::node::NodeStatus;
use crate::client::{Ask, Client, ClientError, piece};

/// How long a node may take to say how it is. One that is frozen takes connections and says nothing.
const ANSWER: Duration = Duration::from_secs(5);

/// A line of `/v1/config`.
#[derive(Deserialize)]
struct Setting {
    key: String,
    value: serde_json::Value,
}

/// A client for each of some nodes, to turn from one to the next.
pub struct Gateways {
    clients: Vec<Client>,
    current: usize,
}

impl Gateways {
    /// # Panics
    /// If `nodes` is empty.
    pub fn new(nodes: &[String], token: &str) -> Self {
        assert!(!nodes.is_empty(), "a client needs a node");
        let clients = nodes.iter().map(|node| Client::new(vec![node.clone()], token.to_owned())).collect();
        Self { clients, current: 0 }
    }

    /// The client of the node that is turned to now.
    pub fn client(&self) -> &Client {
        &self.clients[self.current]
    }

    /// Turns to the next node.
    pub fn turn(&mut self) {
        self.current = (self.current + 1) % self.clients.len();
    }

    /// Turns to the next node that is alive and not frozen, the present one if it is.
    pub async fn find_alive(&mut self) -> Result<(), ClientError> {
        let mut last = ClientError::Broken("no node was asked".into());
        for _ in 0..self.clients.len() {
            match tokio::time::timeout(ANSWER, self.client().find_alive()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => last = error,
                Err(_) => last = ClientError::Broken(format!("{} does not answer", self.client().node())),
            }
            self.turn();
        }
        Err(last)
    }

    /// What the node at place `at` says of itself.
    pub async fn status(&self, at: usize) -> Result<NodeStatus, ClientError> {
        match tokio::time::timeout(ANSWER, self.clients[at].ask(&Ask::get("/v1/status"))).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Broken(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// The configuration in force at the node at place `at`, by key.
    pub async fn settings(&self, at: usize) -> Result<BTreeMap<String, serde_json::Value>, ClientError> {
        let settings: Vec<Setting> = self.clients[at].ask(&Ask::get("/v1/config")).await?;
        Ok(settings.into_iter().map(|Setting { key, value }| (key, value)).collect())
    }

    /// The samples without labels on the `/metrics` of the node at place `at`.
    pub async fn metrics(&self, at: usize) -> Result<BTreeMap<String, f64>, ClientError> {
        let mut response = self.clients[at].send(&Ask::get("/metrics")).await?;
        let mut text = Vec::new();
        while let Some(bytes) = piece(&mut response).await? {
            text.extend_from_slice(&bytes);
        }
        let text = String::from_utf8_lossy(&text);
        let samples = text.lines().filter_map(|line| line.split_once(' '));
        Ok(samples.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect())
    }
}
