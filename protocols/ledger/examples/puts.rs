//! A million writes to distinct keys, as the bench of the consensus offers them: 512 bytes each, a thousand a batch, a
//! checkpoint with its root every 128 batches, the last snapshot kept. Run it under `time` in a release build.

use mesh_ledger::{Ledger, Rules};
use mesh_proto::{
    genesis::{Engine, Founders, Genesis},
    id::NodeId,
    ledger::{Body, Checked, Command, CommandId, Index, Principal},
    task::Octets,
    time::Wall,
};

const BATCHES: u64 = 1000;
const COMMANDS: u64 = 1000;

fn main() {
    let maker = NodeId::from_bytes([1; 32]);
    let genesis = Genesis {
        name: "puts".parse().expect("a lawful name"),
        nonce: [0; 32],
        maker,
        engine: Engine::Pbft,
        open: false,
        created: Wall(0),
        committee: Founders::alone(maker),
    };
    let mut ledger = Ledger::genesis(&genesis, Rules::default());
    let mut kept = ledger.snapshot();
    for index in (1..=BATCHES).map(Index) {
        let batch: Vec<Checked> = (0..COMMANDS).map(|n| put(index, n)).collect();
        let applied = ledger.apply(index, Wall(index.0), &batch).expect("batches in order");
        assert_eq!(applied.outcomes.len(), batch.len());
        if index.0.is_multiple_of(ledger.rules().checkpoint_interval) {
            kept = ledger.snapshot();
            println!("{index}: {}", kept.root());
        }
    }
    println!("{} entries, {} bytes at the last checkpoint", kept.len(), kept.weight());
}

/// Keys are spread as users' are: the worst case for a map of pages.
fn put(index: Index, n: u64) -> Checked {
    let number = index.0 * COMMANDS + n;
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let principal: Principal = "bench".parse().expect("a lawful name");
    let body = Body::MemoryPut {
        namespace: "bench".parse().expect("a lawful name"),
        key: format!("key-{spread:016x}").parse().expect("a lawful key"),
        value: Octets::from(vec![number as u8; 512]),
        ttl_ms: None,
    };
    let id = CommandId { principal, key: Octets::from(&number.to_le_bytes()[..]), born: Index(index.0 - 1) };
    Checked::committed(Command { id, body })
}
