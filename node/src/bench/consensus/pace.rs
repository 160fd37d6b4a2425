use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How operations are offered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// So many a second by all gateways together, on a schedule that waits for nobody.
    Rate(f64),
    /// As many as are taken, each gateway with at most so many under way.
    Max { under_way: usize },
    /// One at a time, by one gateway.
    One,
}

/// What the user says of it: `--rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    PerSecond(f64),
    Max,
    One,
}

/// Rates that a schedule can keep the times of.
const RATES: std::ops::RangeInclusive<f64> = 0.01..=1e7;

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<f64>()) {
            ("max", _) => Ok(Self::Max),
            ("one", _) => Ok(Self::One),
            (_, Ok(rate)) if RATES.contains(&rate) => Ok(Self::PerSecond(rate)),
            _ => {
                Err("write a number of operations a second, 0.01 to 10000000, `max`, or `one` for one at a time"
                    .to_owned())
            }
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}"),
            Self::Max => f.write_str("max"),
            Self::One => f.write_str("one"),
        }
    }
}

/// Operations of one order to the brain, at most.
const ORDER: usize = 1024;

/// When the operations of one gateway are due.
#[derive(Debug)]
pub struct Schedule {
    pub begin: Instant,
    /// Nothing is due from here on.
    pub end: Instant,
    pace: Pace,
    gateway: usize,
    gateways: usize,
    /// How many were due so far.
    number: u64,
}

impl Schedule {
    pub fn new(pace: Pace, gateway: usize, gateways: usize, begin: Instant, end: Instant) -> Self {
        Self { begin, end, pace, gateway, gateways, number: 0 }
    }

    /// What is to be offered now, while so many are under way: when each was due.
    pub fn due(&mut self, now: Instant, under_way: usize) -> Vec<Instant> {
        if now < self.begin || now >= self.end {
            return Vec::new();
        }
        let most = match self.pace {
            Pace::Rate(_) => {
                let due: Vec<Instant> = (0..ORDER as u64)
                    .map_while(|ahead| self.time_of(self.number + ahead).filter(|time| *time <= now))
                    .collect();
                self.number += due.len() as u64;
                return due;
            }
            Pace::Max { under_way } => under_way,
            Pace::One if self.gateway == 0 => 1,
            Pace::One => 0,
        };
        let room = most.saturating_sub(under_way).min(ORDER);
        self.number += room as u64;
        vec![now; room]
    }

    /// When something is due because time has passed.
    pub fn next(&self) -> Instant {
        self.time_of(self.number).unwrap_or(self.end).min(self.end)
    }

    /// Whether things are due because time has passed, and for no other reason.
    pub fn is_by_clock(&self) -> bool {
        matches!(self.pace, Pace::Rate(_))
    }

    /// What was due and never asked for: whoever asks was too slow.
    pub fn missed(&self) -> u64 {
        let Pace::Rate(rate) = self.pace else { return 0 };
        let all = rate * self.end.saturating_duration_since(self.begin).as_secs_f64();
        let own = (all - self.gateway as f64) / self.gateways as f64;
        // Of a number that is none, or below zero: nothing.
        (own.ceil() as u64).saturating_sub(self.number)
    }

    /// The schedules of the gateways lie between each other.
    fn time_of(&self, number: u64) -> Option<Instant> {
        let Pace::Rate(rate) = self.pace else { return None };
        let place = number as f64 * self.gateways as f64 + self.gateway as f64;
        Some(self.begin + Duration::from_secs_f64(place / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_is_spread_over_the_gateways_and_waits_for_nobody() {
        let begin = Instant::now();
        const EXPECTED: [usize; 4] = [13, 13, 13, 12];
        let mut all = 0;
        for (gateway, expected) in EXPECTED.into_iter().enumerate() {
            let mut schedule = Schedule::new(Pace::Rate(100.0), gateway, 4, begin, begin + SECOND);
            assert_eq!(schedule.due(begin + Duration::from_millis(500), 1_000_000).len(), expected);
            assert!(schedule.next() > begin + Duration::from_millis(500));
            assert_eq!(schedule.missed() as usize, 25 - expected);
            all += expected + schedule.due(begin + Duration::from_millis(999), 0).len();
            assert_eq!((schedule.missed(), schedule.due(begin + SECOND, 0).len()), (0, 0), "over");
        }
        assert_eq!(all, 100);
    }

    #[test]
    fn without_a_rate_so_many_are_under_way() {
        let begin = Instant::now();
        let pace = Pace::Max { under_way: 10 };
        let mut schedule = Schedule::new(pace, 0, 1, begin, begin + SECOND);
        assert_eq!(schedule.due(begin, 0).len(), 10);
        assert_eq!(schedule.due(begin, 7).len(), 3);
        assert_eq!(schedule.due(begin, 10).len(), 0);
        assert_eq!(schedule.next(), begin + SECOND);
        let one = |gateway| Schedule::new(Pace::One, gateway, 4, begin, begin + SECOND).due(begin, 0).len();
        assert_eq!((one(0), one(1)), (1, 0));
    }

    #[test]
    fn a_rate_is_a_number_or_a_word() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("one".parse(), Ok(Rate::One));
        assert_eq!("2.5".parse(), Ok(Rate::PerSecond(2.5)));
        assert_eq!("10000000".parse(), Ok(Rate::PerSecond(1e7)));
        for text in ["0", "-1", "inf", "NaN", "fast", "", "1e-20", "1e12"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
