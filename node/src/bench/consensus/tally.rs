use std::time::{Duration, Instant};

use super::latencies::Latencies;
use super::operations::End;
use super::wire::Report;

/// The time that what was due is told apart by. Short beside what an outage lasts.
pub const SLICE: Duration = Duration::from_millis(5);
/// Of the longest run.
const SLICES: usize = 4_000_000;

/// What comes of a load.
#[derive(Debug)]
pub struct Tally {
    begin: Instant,
    /// What is due from here to there is measured.
    from: Instant,
    to: Instant,
    latencies: Latencies,
    report: Report,
}

impl Tally {
    pub fn new(begin: Instant, from: Instant, to: Instant) -> Self {
        Self { begin, from, to, latencies: Latencies::default(), report: Report::default() }
    }

    pub fn offered(&mut self, due: &[Instant]) {
        self.report.due += due.iter().filter(|due| self.is_measured(**due)).count() as u64;
    }

    /// Due, and not even offered: the load's own fault, and no reason to leave it out.
    pub fn missed(&mut self, count: u64) {
        if count > 0 {
            self.report.due += count;
            self.report.refused += count;
            self.trouble("the gateway did not offer it in time".to_owned());
        }
    }

    pub fn ended(&mut self, due: Instant, now: Instant, end: End) {
        match end {
            End::Well => self.well(due, now),
            End::Rejected(why) => {
                self.report.rejected += 1;
                self.trouble(why);
            }
            End::Wrong(why) => self.wrong(why),
        }
    }

    pub fn refused(&mut self, why: String) {
        self.report.refused += 1;
        self.trouble(why);
    }

    pub fn wrong(&mut self, why: String) {
        self.report.wrong += 1;
        self.trouble(why);
    }

    pub fn read_back(&mut self) {
        self.report.read_back += 1;
    }

    pub fn report(self, unanswered: usize) -> Report {
        Report { unanswered: unanswered as u64, latencies: self.latencies.counts(), ..self.report }
    }

    fn well(&mut self, due: Instant, now: Instant) {
        if self.is_measured(due) {
            self.latencies.note(now.saturating_duration_since(due));
        }
        if self.is_measured(now) {
            self.report.count += 1;
        }
        let from_begin = |time: Instant| time.saturating_duration_since(self.begin).as_micros();
        let slice = usize::try_from(from_begin(due) / SLICE.as_micros()).unwrap_or(usize::MAX).min(SLICES);
        let end = u64::try_from(from_begin(now)).unwrap_or(u64::MAX);
        let firsts = &mut self.report.firsts;
        if firsts.len() <= slice {
            firsts.resize(slice + 1, None);
        }
        firsts[slice] = Some(firsts[slice].map_or(end, |first| first.min(end)));
    }

    fn is_measured(&self, time: Instant) -> bool {
        (self.from..self.to).contains(&time)
    }

    fn trouble(&mut self, why: String) {
        self.report.first_trouble.get_or_insert(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_of_what_was_due_and_throughput_of_what_ended_in_the_time() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut tally = Tally::new(begin, at(100), at(200));
        tally.offered(&[at(50), at(150), at(199), at(200)]);
        // Due before, ended within; due and ended within; due within, ended late; due late.
        for (due, end) in [(50, 110), (150, 160), (199, 260), (200, 261)] {
            tally.ended(at(due), at(end), End::Well);
        }
        tally.ended(at(150), at(160), End::Rejected("full".to_owned()));
        tally.refused("busy".to_owned());
        tally.wrong("odd".to_owned());
        let report = tally.report(1);
        assert_eq!((report.due, report.count, report.unanswered), (2, 2, 1));
        assert_eq!(report.latencies.iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert_eq!((report.rejected, report.refused, report.wrong), (1, 1, 1));
        assert_eq!(report.first_trouble.as_deref(), Some("full"));
        let firsts: Vec<_> = report.firsts.iter().enumerate().filter_map(|(at, first)| Some((at, (*first)?))).collect();
        assert_eq!(firsts, [(10, 110_000), (30, 160_000), (39, 260_000), (40, 261_000)]);
    }
}
