//! `meshd bench gateway`: the process of a gateway, which `bench consensus` starts.

use std::time::Duration;

use crate::bench::consensus::{Orders, serve};
use crate::cli::Failure;
use crate::cli::run::{body, start_log};
use crate::cli::settings::Global;
use crate::run::{Node, Options};

/// An ordinary node, until standard input ends.
pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let loaded = global.load(Vec::new())?;
    start_log(&loaded);
    let runtime = body()?;
    let node = runtime.block_on(async {
        let orders = Orders::read().map_err(|_| not_by_hand())?;
        let node = Node::start(Options { loaded }).await?;
        serve(orders, node.brain()).await?;
        Ok::<_, Failure>(node)
    })?;
    node.stop();
    // What reads standard input does not hear of the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn not_by_hand() -> Failure {
    Failure::Usage("`meshd bench consensus` starts this itself, and says through a pipe what to do".to_owned())
}
