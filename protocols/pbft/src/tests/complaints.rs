//! Nobody leaves a primary alone.

use super::bench::*;
use mesh_proto::pbft::{Batch, Message, Status};
use std::time::Duration;

/// A backup that waits for a request which nobody proposes, and whose peers are content.
fn waiting(members: u8) -> Bench {
    let mut bench = Bench::new(3, members);
    bench.others_complain = false;
    bench.ask(&request(1)).unwrap();
    bench
}

/// What it last said of itself to all.
fn said(bench: &Bench) -> Option<Status> {
    let mut statuses = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::Status(status) => Some(status.clone()),
        _ => None,
    });
    statuses.next_back()
}

/// Checklist item 23: it goes on taking part in the view that it alone would leave, and says so again and again.
#[test]
fn who_suspects_alone_stays_and_votes() {
    let mut bench = waiting(4);
    bench.wait(Duration::from_secs(10));
    assert_eq!((bench.view(), bench.is_active(), bench.counters().left_views), (view(0), true, 0));
    assert!(bench.counters().complaints > 1);
    assert!(said(&bench).unwrap().leaves);
    bench.take();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())).unwrap();
    assert!(bench.broadcasts().iter().any(|message| matches!(message, Message::Prepare(_))), "{:?}", bench.effects);
}

/// Checklist item 23: what was executed is no cause any more.
#[test]
fn who_got_what_it_waited_for_takes_it_back() {
    let mut bench = waiting(4);
    bench.wait(Duration::from_secs(1));
    assert!(said(&bench).unwrap().leaves);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.take();
    bench.wait(Duration::from_secs(5));
    assert!(!said(&bench).unwrap().leaves);
    // Nor does what one other says count twice, or for another view.
    bench.complain(1);
    assert_eq!(bench.view(), view(0));
}

/// Checklist item 23: f + 1 of all members, of which this one may be one, and those that have left count with those that would.
#[test]
fn a_primary_of_which_enough_complain_is_left() {
    let mut four = waiting(4);
    four.wait(Duration::from_secs(1));
    four.complain(1);
    assert_eq!((four.view(), four.is_active()), (view(1), false));

    let mut content = Bench::new(3, 4);
    content.complain(1);
    assert_eq!(content.view(), view(0));
    content.complain(2);
    assert_eq!(content.view(), view(1), "one of two is correct");

    let mut seven = waiting(7);
    seven.wait(Duration::from_secs(1));
    seven.complain(1);
    assert_eq!(seven.view(), view(0), "f = 2");
    let left = seven.view_change(0, view(1), Vec::new());
    seven.give(0, Message::ViewChange(left)).unwrap();
    assert_eq!((seven.view(), seven.is_active()), (view(1), false));
}

/// Checklist item 23: who has died since it complained is none of those that would leave.
#[test]
fn a_complaint_that_is_not_repeated_is_forgotten() {
    let mut bench = Bench::new(3, 4);
    bench.others_complain = false;
    bench.complain(1);
    bench.wait(Duration::from_secs(7));
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_secs(1));
    assert_eq!((bench.view(), bench.is_active()), (view(0), true));
    assert!(said(&bench).unwrap().leaves);
    bench.complain(1);
    assert_eq!(bench.view(), view(1), "and counts when it is said again");
}

/// Checklist item 26: f liars that complain for ever move nobody, and who is no member is not heard.
#[test]
fn complaints_of_f_members_move_nobody() {
    let mut bench = Bench::new(3, 4);
    for round in 0..100 {
        bench.complain(1);
        bench.wait(Duration::from_millis(50));
        assert_eq!((bench.view(), bench.is_active()), (view(0), true), "{round}");
    }
    let mut seven = Bench::new(6, 7);
    seven.complain(2);
    let stranger = seven.keys[7].node_id();
    let status = Status {
        epoch: seven.epoch.epoch,
        view: view(0),
        active: true,
        leaves: true,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    assert!(seven.give_from(stranger, Message::Status(status)).is_ok(), "whoever is behind may ask");
    assert_eq!(seven.view(), view(0));
}
