//! What the bench and its gateways say to each other: a line of JSON each, orders on the gateway's standard input, one
//! word for each on its standard output. The end of the input ends the gateway.

use serde::{Deserialize, Serialize};

use super::pace::Pace;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Go on when the committee has so many members and so many of them answer this node.
    Reach { members: usize, answering: usize },
    /// Offer this load, and wait for its last answers.
    Offer(Load),
    /// Write until a checkpoint holds all that was answered before; under Raft, until that is executed.
    Settle,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// This gateway's number, and how many there are.
    pub gateway: usize,
    pub gateways: usize,
    /// Bytes of each value.
    pub payload: usize,
    pub pace: Pace,
    /// When the first operation is due, in microseconds since 1970: the same for all gateways.
    pub begin_us: u64,
    /// What is due before this is not counted.
    pub warm_up_ms: u64,
    pub measured_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Word {
    Reached,
    Offered(Box<Report>),
    /// This batch is behind it all, and under pBFT that of a checkpoint.
    Settled {
        index: u64,
    },
    Failed {
        why: String,
    },
}

/// What one gateway measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Operations that were due while it was measured.
    pub due: u64,
    /// Operations that ended well while it was measured.
    pub count: u64,
    /// Of those that were due: microseconds from then to the answer, and how often.
    pub latencies: Vec<(u64, u64)>,
    /// Not taken: the gateway had too much waiting.
    pub refused: u64,
    /// Ordered, and rejected by the ledger.
    pub rejected: u64,
    /// Answered with what is no answer to them, or read back otherwise than written.
    pub wrong: u64,
    /// Without an answer in the end.
    pub unanswered: u64,
    /// Keys that were read back.
    pub read_back: u64,
    /// What was first said to one that did not end well.
    pub first_trouble: Option<String>,
    /// Of what was due in each slice of time from the beginning on, when the first ended well: microseconds from there.
    /// Nothing where nothing did.
    pub firsts: Vec<Option<u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_line() {
        let load = Load {
            gateway: 1,
            gateways: 4,
            payload: 128,
            pace: Pace::Max { under_way: 7 },
            begin_us: 5,
            warm_up_ms: 6,
            measured_ms: 8,
        };
        for order in [Order::Settle, Order::Reach { members: 4, answering: 3 }, Order::Offer(load)] {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
    }
}
