//! `meshd peer list`.

use std::time::Duration;

use clap::Subcommand;

use super::Failure;
use super::output::Output;
use super::settings::Global;
use crate::api::members::PeerView;
use crate::client::Ask;
use crate::testnet::length;

#[derive(Debug, Subcommand)]
pub(super) enum Peer {
    /// List the connections of this node.
    #[command(visible_alias = "ls")]
    List,
}

impl Peer {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let Self::List = self;
        let peers: Vec<PeerView> = global.client()?.ask(&Ask::get("/v1/peers")).await?;
        Ok(output.rows(["node", "address", "transport", "direction", "rtt"], &peers, |peer| {
            let direction = if peer.outbound { "out" } else { "in" };
            let rtt = peer.rtt_us.map_or(String::new(), |us| length(Duration::from_micros(us)));
            [peer.node.clone(), peer.address.clone(), peer.transport.clone(), direction.to_string(), rtt]
        })?)
    }
}
