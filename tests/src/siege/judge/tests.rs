//! A history that can have happened, and what is wrong with it when one thing is otherwise. Each goes through its file.

use super::Judgement;
use crate::check::Rule;
use crate::siege::{
    history::History,
    judge,
    line::{Found, Line, Operation, Outcome, Proof, Proposal, Siege, Standing, Told, Wish},
};

fn operation(number: u32, wish: Wish, (asked, answered): (u64, u64), index: u64, told: Told) -> Line {
    let (answered, index, outcome) = (Some(answered), Some(index), Outcome::Told(told));
    Line::Operation(Operation { number, user: 0, wish, asked, answered, index, attempts: 1, outcome, again: None })
}

fn unknown(number: u32, wish: Wish, asked: u64) -> Line {
    let (answered, index, outcome) = (None, None, Outcome::Unknown);
    Line::Operation(Operation { number, user: 1, wish, asked, answered, index, attempts: 3, outcome, again: None })
}

fn key(key: &str) -> String {
    key.to_owned()
}

fn swap(name: &str, expect: Option<u64>, count: u64) -> Wish {
    Wish::Swap { key: key(name), expect, writes: true, count }
}

fn vote(node: usize, approve: bool) -> Wish {
    Wish::Vote { proposal: key("p"), node, approve }
}

fn written(version: u64) -> Told {
    Told::Written { version }
}

fn granted(fence: u64, expires_ms: u64) -> Told {
    Told::Granted { fence, expires_ms }
}

fn voted(state: &str) -> Told {
    Told::Voted { state: key(state) }
}

fn found(name: &str, version: u64, write: u32, count: u64) -> Line {
    Line::Found(Found { key: key(name), version, write, count })
}

fn standing(node: usize) -> Standing {
    Standing { node, view: 3, executed: 130, checkpoint: Some(128), digest: Some(key("d")), halted: None }
}

/// Where in [`sound`] the operations are that are made otherwise.
const SECOND_PUT: usize = 2;
const GET: usize = 3;
const COUNTED: usize = 5;
const SECOND_LOCK: usize = 8;
const LAST_VOTE: usize = 13;

fn sound() -> Vec<Line> {
    let lock = |lease_ms| Wish::Lock { lock: 1, lease_ms };
    vec![
        Line::Siege(Siege { nodes: 2, ..Siege::default() }),
        operation(0, Wish::Put { key: key("hot-0-0") }, (10, 20), 1, written(100)),
        operation(1, Wish::Put { key: key("hot-0-0") }, (30, 40), 2, written(200)),
        operation(2, Wish::Get { key: key("hot-0-0") }, (50, 60), 3, Told::Value { version: 200, write: 1, count: 0 }),
        operation(3, swap("count-4-0", None, 1), (70, 80), 4, written(400)),
        operation(4, swap("count-4-0", Some(400), 2), (90, 100), 5, written(500)),
        unknown(5, swap("count-4-0", Some(500), 3), 105),
        operation(6, lock(1_000), (110, 120), 6, granted(1, 5_000)),
        operation(7, lock(2_000), (130, 140), 7, granted(2, 7_000)),
        operation(8, Wish::Propose, (150, 160), 8, Told::Proposed { proposal: key("p") }),
        operation(9, vote(0, true), (170, 180), 9, voted("open")),
        operation(10, vote(1, false), (190, 200), 10, voted("open")),
        operation(11, vote(2, true), (210, 220), 11, voted("open")),
        operation(12, vote(3, true), (230, 240), 12, voted("accepted")),
        found("count-4-0", 500, 4, 2),
        found("hot-0-0", 200, 1, 0),
        Line::Read { asked: 300, answered: 310 },
        Line::Proposal(Proposal {
            proposal: key("p"),
            title: key("8"),
            state: key("accepted"),
            approve: 3,
            reject: 1,
            electors: 4,
        }),
        Line::Proof(Proof { proposal: key("p"), state: Some(key("accepted")), why: None }),
        Line::Standing(standing(0)),
        Line::Standing(standing(1)),
        Line::End { at: 320 },
    ]
}

fn judged(lines: &[Line]) -> Judgement {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.ndjson");
    let mut history = History::create(&path).unwrap();
    lines.iter().for_each(|line| history.write(line).unwrap());
    history.flush().unwrap();
    judge(&path).unwrap()
}

fn rules(lines: &[Line]) -> Vec<Rule> {
    judged(lines).violations.into_iter().map(|violation| violation.rule).collect()
}

fn with(change: impl FnOnce(&mut Vec<Line>)) -> Vec<Line> {
    let mut lines = sound();
    change(&mut lines);
    lines
}

fn at(lines: &mut [Line], place: usize) -> &mut Operation {
    match &mut lines[place] {
        Line::Operation(operation) => operation,
        other => panic!("{other:?} is no operation"),
    }
}

fn place(lines: &[Line], is_it: impl Fn(&Line) -> bool) -> usize {
    lines.iter().position(is_it).expect("it is there")
}

#[test]
fn a_history_that_can_have_happened_is_not_held_against_the_mesh() {
    let judgement = judged(&sound());
    assert_eq!(judgement.violations, []);
    assert_eq!((judgement.keys, judgement.too_long, judgement.grants, judgement.proofs), (2, 0, 2, 1));
    // What nobody knows of may have happened, once.
    let lines = with(|lines| {
        let place = place(lines, |line| matches!(line, Line::Found(found) if found.key == "count-4-0"));
        lines[place] = found("count-4-0", 600, 5, 3);
    });
    assert_eq!(rules(&lines), []);
}

#[test]
fn memory_that_cannot_have_been_so_is_found() {
    // Acknowledged, and not there in the end.
    let lost = with(|lines| lines.retain(|line| !matches!(line, Line::Found(found) if found.key == "hot-0-0")));
    assert_eq!(rules(&lost), [Rule::Linearizable]);
    // What was written before, behind what was written since.
    let stale = with(|lines| at(lines, GET).outcome = Outcome::Told(Told::Value { version: 100, write: 0, count: 0 }));
    assert_eq!(rules(&stale), [Rule::Linearizable]);
    // One write, two versions.
    let twice = with(|lines| {
        let place = place(lines, |line| matches!(line, Line::Found(found) if found.key == "hot-0-0"));
        lines[place] = found("hot-0-0", 201, 1, 0);
    });
    assert_eq!(rules(&twice), [Rule::ExactlyOnce]);
    // Of nobody who wrote it, or of who was refused.
    let strange = with(|lines| lines.push(found("hot-1-0", 300, 77, 0)));
    assert_eq!(rules(&strange), [Rule::Linearizable]);
    let refused = with(|lines| {
        let operation = at(lines, SECOND_PUT);
        (operation.outcome, operation.answered) = (Outcome::Refused(key("busy")), None);
    });
    assert!(rules(&refused).contains(&Rule::Linearizable));
    // One swap, two steps.
    let steps = with(|lines| {
        let place = place(lines, |line| matches!(line, Line::Found(found) if found.key == "count-4-0"));
        lines[place] = found("count-4-0", 500, 4, 4);
    });
    assert_eq!(rules(&steps), [Rule::ExactlyOnce]);
    // Both had seen what only one can have found.
    let both = with(|lines| {
        let Wish::Swap { expect, .. } = &mut at(lines, COUNTED).wish else { panic!("a swap") };
        *expect = None;
    });
    assert!(rules(&both).contains(&Rule::Linearizable));
    // Later, and below.
    let below = with(|lines| at(lines, SECOND_PUT).outcome = Outcome::Told(written(99)));
    assert!(rules(&below).contains(&Rule::Linearizable));
}

#[test]
fn answers_that_do_not_fit_are_found() {
    let again = with(|lines| at(lines, COUNTED).again = Some(written(501)));
    assert_eq!(rules(&again), [Rule::ExactlyOnce]);
    let voted_twice =
        with(|lines| at(lines, LAST_VOTE).outcome = Outcome::Told(Told::Rejected { code: key("already_voted") }));
    assert!(rules(&voted_twice).contains(&Rule::ExactlyOnce));
    // In a batch of before it was asked, though it is about something else.
    let early = with(|lines| at(lines, GET).index = Some(2));
    assert_eq!(rules(&early), [Rule::Linearizable]);
}

#[test]
fn locks_that_two_held_are_found() {
    let overlap = with(|lines| at(lines, SECOND_LOCK).outcome = Outcome::Told(granted(2, 6_999)));
    assert_eq!(rules(&overlap), [Rule::OneHolder]);
    let same = with(|lines| at(lines, SECOND_LOCK).outcome = Outcome::Told(granted(1, 7_000)));
    assert_eq!(rules(&same), [Rule::OneHolder]);
    let lower = with(|lines| {
        at(lines, SECOND_LOCK).outcome = Outcome::Told(granted(1, 7_000));
        at(lines, SECOND_LOCK - 1).outcome = Outcome::Told(granted(2, 5_000));
    });
    assert_eq!(rules(&lower), [Rule::OneHolder]);
    // It was wanted back before, and may have been given back.
    let released = with(|lines| {
        at(lines, SECOND_LOCK).outcome = Outcome::Told(granted(2, 6_999));
        lines.push(unknown(20, Wish::Unlock { lock: 1, fence: 1 }, 125));
    });
    assert_eq!(rules(&released), []);
    let renewed = with(|lines| {
        let renew = Wish::Renew { lock: 1, fence: 1, lease_ms: 2_000 };
        lines.push(operation(20, renew, (121, 128), 6, granted(1, 6_500)));
    });
    assert!(rules(&renewed).contains(&Rule::OneHolder));
}

#[test]
fn votes_that_are_lost_or_doubled_are_found() {
    let proposal = |lines: &mut Vec<Line>, change: &dyn Fn(&mut Proposal)| {
        let place = place(lines, |line| matches!(line, Line::Proposal(_)));
        let Line::Proposal(proposal) = &mut lines[place] else { panic!("a proposal") };
        change(proposal);
    };
    let gone = with(|lines| lines.retain(|line| !matches!(line, Line::Proposal(_))));
    assert!(rules(&gone).iter().all(|rule| *rule == Rule::Decisions) && !rules(&gone).is_empty());
    for change in [
        &(|proposal: &mut Proposal| proposal.reject = 0) as &dyn Fn(&mut Proposal),
        &|proposal| proposal.approve = 4,
        &|proposal| proposal.state = key("expired"),
        &|proposal| proposal.electors = 5,
        &|proposal| proposal.title = key("9"),
    ] {
        let lines = with(|lines| proposal(lines, change));
        assert!(rules(&lines).contains(&Rule::Decisions), "{:?}", judged(&lines));
    }
    let twice = with(|lines| {
        let place = place(lines, |line| matches!(line, Line::Proposal(_)));
        let Line::Proposal(other) = lines[place].clone() else { panic!("a proposal") };
        let (proposal, state) = (key("q"), key("open"));
        lines.push(Line::Proposal(Proposal { proposal, state, approve: 0, reject: 0, ..other }));
    });
    assert_eq!(rules(&twice), [Rule::ExactlyOnce]);
    let proof = |state: Option<&str>| {
        with(|lines| {
            let place = place(lines, |line| matches!(line, Line::Proof(_)));
            lines[place] = Line::Proof(Proof { proposal: key("p"), state: state.map(key), why: None });
        })
    };
    assert_eq!(rules(&proof(None)), [Rule::Decisions]);
    assert_eq!(rules(&proof(Some("rejected"))), [Rule::Decisions]);
}

#[test]
fn what_is_wrong_in_the_end_is_found() {
    let second = |change: &dyn Fn(&mut Standing)| {
        with(|lines| {
            let place = place(lines, |line| matches!(line, Line::Standing(standing) if standing.node == 1));
            let mut other = standing(1);
            change(&mut other);
            lines[place] = Line::Standing(other);
        })
    };
    assert_eq!(rules(&second(&|standing| standing.digest = Some(key("e")))), [Rule::OneOrder]);
    assert_eq!(rules(&second(&|standing| standing.checkpoint = None)), [Rule::Outcomes]);
    assert_eq!(rules(&second(&|standing| standing.halted = Some(key("why")))), [Rule::Halts]);
    let away = with(|lines| lines.retain(|line| !matches!(line, Line::Standing(standing) if standing.node == 1)));
    assert_eq!(rules(&away), [Rule::Outcomes]);
    assert_eq!(rules(&with(|lines| lines.push(Line::Stuck { at: 1, ms: 90_000 }))), [Rule::Outcomes]);
    let died = Line::Died { at: 1, node: 1, status: key("signal 6"), log: key("panicked") };
    assert_eq!(rules(&with(|lines| lines.push(died))), [Rule::NoPanic]);
    let broken = with(|lines| lines.retain(|line| !matches!(line, Line::End { .. })));
    assert_eq!(rules(&broken), [Rule::Outcomes]);
}

#[test]
fn what_is_no_history_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.ndjson");
    std::fs::write(&path, "{\"line\":\"end\",\"at\":1}\n{\"line\":\"en").unwrap();
    let error = judge(&path).unwrap_err().to_string();
    assert!(error.contains("line 2 of"), "{error}");
}
