//! The story of a task in the order in which it happened. Nodes tell their parts with dates to the millisecond, in which
//! much happens: what is of one millisecond is put into the order that its causes leave.

use super::task::when;
use crate::api::view::StoryInfo;

/// Sorts by date and then by cause; what neither tells apart stays as it is.
pub(super) fn sort(story: &mut [StoryInfo]) {
    story.sort_by_cached_key(|line| (when(&line.at), place(&line.what)));
}

/// Where in a task's life a line stands: the part of it, the attempt and the step within that. The words are those of
/// `mesh-tasks`, which tells nodes and people alike in text.
fn place(what: &str) -> (Part, u32, u8) {
    let begins = |start: &str| what.starts_with(start);
    if let Some((number, step)) = of_attempt(what) {
        return (Part::Attempts, number, step);
    }
    match () {
        () if begins("submitted") => (Part::Submitted, 0, 0),
        () if begins("record held") => (Part::Held, 0, 0),
        () if begins("placed on") => (Part::Placed, 0, 0),
        // A driver that takes over hears of the attempts only then.
        () if begins("asks for promises") => (Part::Driver, 0, 0),
        () if begins("promised") => (Part::Driver, 0, 1),
        () if begins("took over") => (Part::Driver, 0, 2),
        () if begins("stepped down") => (Part::Driver, 0, 3),
        () if begins("copy on") => (Part::Driver, 0, 4),
        // Its number is forgotten: it was one of those that the node still tells of, or later.
        () if begins("an attempt failed") => (Part::Attempts, u32::MAX, 0),
        () if begins("waits") => (Part::Attempts, 0, 0),
        () if begins("auctioned") => (Part::Held, 0, 1),
        () if begins("cancellation") => (Part::CancelAsked, 0, 0),
        () if begins("result delivered") => (Part::Delivered, 0, 0),
        () if what.ends_with("on a majority of the holders") => (Part::Ended, 0, 0),
        // Of a node that is newer than this: before the end, which it may be about.
        () => (Part::CancelAsked, 0, 1),
    }
}

/// `attempt 2 started`: its number, and how far it has come.
fn of_attempt(what: &str) -> Option<(u32, u8)> {
    let (number, rest) = what.strip_prefix("attempt ")?.split_once(' ')?;
    let steps = ["granted", "queued", "is handed over", "started", "finished", "failed"];
    let step = (0..).zip(steps).find(|(_, step)| rest.starts_with(step)).map_or(u8::MAX, |(at, _)| at);
    Some((number.parse().ok()?, step))
}

/// The parts of a task's life, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Submitted,
    Held,
    Placed,
    Driver,
    Attempts,
    CancelAsked,
    Ended,
    Delivered,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(lines: &[(&str, String)]) -> Vec<String> {
        let line = |(at, what): &(&str, String)| StoryInfo { at: (*at).into(), node: "n".into(), what: what.clone() };
        let mut story: Vec<StoryInfo> = lines.iter().map(line).collect();
        sort(&mut story);
        story.into_iter().map(|line| line.what).collect()
    }

    #[test]
    fn what_is_of_one_millisecond_is_in_the_order_of_its_causes() {
        let lives = [
            "submitted here",
            "record held, from gateway g",
            "placed on 3 holders, acknowledged",
            "asks for promises of ballot (2, d)",
            "promised ballot (2, d)",
            "took over with ballot (2, d)",
            "stepped down for ballot (2, d)",
            "copy on a replaced by one on b",
            "waits: no node in reach has what it requires",
            "attempt 1 granted to e",
            "attempt 1 queued",
            "attempt 1 is handed over to f, who has a free slot",
            "attempt 1 started",
            "attempt 1 finished",
            "attempt 1 failed: exit code 1",
            "attempt 2 granted to e",
            "attempt 2 started",
            "attempt 10 granted to e",
            "an attempt failed",
            "cancellation asked for",
            "what only a newer node says",
            "done, on a majority of the holders",
            "result delivered to its client",
        ];
        let at = "2026-11-26T09:30:00.001Z";
        let mut told: Vec<(&str, String)> = lives.iter().map(|line| (at, (*line).to_owned())).collect();
        // As the node that was asked sorts them: by their text, here.
        told.sort();
        assert_ne!(told[0].1, lives[0]);
        assert_eq!(sorted(&told), lives);
    }

    #[test]
    fn dates_go_over_causes() {
        // As text they differ in how many digits they have.
        let lines = [
            ("2026-11-26T09:30:00.002Z", "submitted here".to_owned()),
            ("2026-11-26T09:30:00Z", "done, on a majority of the holders".to_owned()),
        ];
        assert_eq!(sorted(&lines), ["done, on a majority of the holders", "submitted here"]);
    }
}
