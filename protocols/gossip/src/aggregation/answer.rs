use std::time::Duration;

/// What came of an aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One number, or one of each component; none where no member that was reached has such a value, and of a histogram.
    pub values: Vec<f64>,
    /// How far each of these, or each count of a histogram, may be from the truth about the members that are covered: as far
    /// as what was heard from others of late is from it. That is seen, not proven.
    pub error: f64,
    pub histogram: Vec<Bucket>,
    /// Members whose values are in it, and how far that may be from the truth.
    pub covers: u64,
    pub covers_error: f64,
    /// Members that took part, whether or not they have such a value.
    pub reached: u64,
    pub rounds: u32,
    pub elapsed: Duration,
    /// Within the tolerance that was asked for; else it was time.
    pub settled: bool,
}

/// So many values lie from here to there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub from: f64,
    pub to: f64,
    pub count: u64,
}
