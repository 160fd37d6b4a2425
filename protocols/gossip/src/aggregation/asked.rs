use super::config::Config;
use mesh_proto::{
    aggregate::{Fold, Subject},
    limits,
};
use std::time::Duration;

/// What of all values is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// How many members have such a value.
    Count,
    Sum,
    Mean,
    Min,
    Max,
    /// The value that this share of the values does not exceed, from 0 to 1.
    Quantile(f64),
    /// How the values are spread, in so many buckets.
    Histogram(usize),
}

/// A question to all members.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub operation: Operation,
    /// Each member finds its value by it.
    pub name: String,
    /// Numbers in a value: 1 but for vectors, of which sums, means, least and most are of each component. A count takes any.
    pub length: u16,
    /// How far from the truth the answer may be, relative to the mean size of the values.
    pub tolerance: f64,
    /// When it is answered all the same, with the accuracy that there is.
    pub timeout: Duration,
}

/// Why it is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this node takes part in as many aggregations as it may; try again in {retry_ms} ms")]
    Busy { retry_ms: u32 },
    #[error("not an aggregation: {0}")]
    Malformed(&'static str),
}

/// When another may have ended: most take one or two seconds.
const RETRY_MS: u32 = 1_000;

impl Refusal {
    pub(super) const BUSY: Self = Self::Busy { retry_ms: RETRY_MS };
}

impl Operation {
    pub(super) fn fold(self) -> Fold {
        match self {
            Self::Count | Self::Sum | Self::Mean => Fold::Sum,
            Self::Min => Fold::Least,
            Self::Max => Fold::Most,
            Self::Quantile(_) | Self::Histogram(_) => Fold::Buckets,
        }
    }
}

impl Asked {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let wrong = Err;
        if self.name.is_empty() || self.name.len() > limits::AGGREGATE_NAME_BYTES {
            return wrong(Refusal::Malformed("a name has 1 to 256 bytes"));
        }
        if !is_lawful(&self.subject()) {
            return wrong(Refusal::Malformed("a vector has 1 to 4,096 numbers, and neither quantiles nor a histogram"));
        }
        if !(self.tolerance > 0.0 && self.tolerance <= 1.0) {
            return wrong(Refusal::Malformed("a tolerance is above 0 and at most 1"));
        }
        match self.operation {
            Operation::Quantile(share) if !(0.0..=1.0).contains(&share) => {
                wrong(Refusal::Malformed("a quantile is from 0 to 1"))
            }
            Operation::Histogram(0) => wrong(Refusal::Malformed("a histogram has a bucket at least")),
            _ => Ok(()),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        let length = if self.operation == Operation::Count { 0 } else { self.length };
        Subject { fold: self.operation.fold(), name: self.name.clone(), length }
    }

    pub(super) fn timeout(&self, config: &Config) -> Duration {
        self.timeout.min(config.longest)
    }
}

/// What a peer says may be anything.
pub fn is_lawful(subject: &Subject) -> bool {
    let lengths = match subject.fold {
        Fold::Buckets => 1..=1,
        Fold::Sum => 0..=limits::AGGREGATE_LENGTH,
        Fold::Least | Fold::Most => 1..=limits::AGGREGATE_LENGTH,
    };
    lengths.contains(&usize::from(subject.length))
}
