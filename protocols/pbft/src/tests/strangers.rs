//! Whom a primary brings in of whom nothing was heard.

use super::bench::*;
use crate::{Config, Input};
use mesh_proto::pbft::{Message, Request};
use std::{sync::Arc, time::Duration};

const MOST: u32 = 2;

fn bench() -> Bench {
    Bench::with(3, epoch(4), Config { strangers: MOST, ..Config::default() }, Vec::new(), false)
}

fn prepares(bench: &Bench) -> usize {
    bench.broadcasts().iter().filter(|message| matches!(message, Message::Prepare(_))).count()
}

/// The primary of view 0 proposes them and serves their bodies.
fn propose(bench: &mut Bench, sequence: u64, requests: &[Arc<Request>]) {
    bench.give(0, bench.pre_prepare((view(0), seq(sequence)), &batch(requests))).unwrap();
    // Whoever asks for nothing has it.
    drop(bench.give(0, Message::Requests(requests.to_vec())));
}

/// Checklist item 22: a few are borne with; more of them wait until enough have asked here, or the view is left for them.
#[test]
fn a_primary_brings_in_few_strangers() {
    let mut bench = bench();
    propose(&mut bench, 1, &[request_of(110, 1), request_of(111, 1)]);
    assert_eq!(prepares(&bench), 1);
    propose(&mut bench, 2, &[request_of(112, 1)]);
    assert_eq!(prepares(&bench), 1, "one more than is borne with");
    // Who asks here is no stranger, whatever it asks for.
    let mut heard = bench;
    heard.ask(&request_of(112, 2)).unwrap();
    heard.wait(Duration::from_millis(1));
    assert_eq!(prepares(&heard), 2);
    propose(&mut heard, 3, &[request_of(112, 3), request_of(113, 1)]);
    assert_eq!(prepares(&heard), 2);
    heard.wait(Duration::from_secs(1));
    assert_eq!(heard.view(), view(1), "what is made up is heard of from nobody");
}

/// Checklist item 22: a gateway that asks the primary alone is borne with where the caller knows it, whenever that is told.
#[test]
fn whom_the_caller_knows_is_no_stranger() {
    let mut bench = bench();
    let known: Vec<_> = (110..120).map(|gateway| request_of(gateway, 1)).collect();
    for (number, requests) in (1..).zip(known.chunks(4)) {
        requests.iter().for_each(|request| bench.input(Input::Known(request.gateway)).unwrap());
        propose(&mut bench, number, requests);
    }
    assert_eq!(prepares(&bench), 3, "ten, where two strangers are borne with");
    propose(&mut bench, 4, &[request_of(120, 1), request_of(121, 1), request_of(122, 1)]);
    assert_eq!(prepares(&bench), 3);
    bench.input(Input::Known(gateway_key(122).node_id())).unwrap();
    bench.wait(Duration::from_millis(1));
    assert_eq!(prepares(&bench), 4, "it waited for that");
    // Whom the caller knows besides is no matter.
    propose(&mut bench, 5, &[request_of(123, 1)]);
    bench.wait(Duration::from_secs(1));
    assert_eq!((prepares(&bench), bench.view()), (4, view(1)));
}

/// Checklist item 22: who has a place in the table pushes nobody out; and what is decided is executed.
#[test]
fn who_has_a_place_is_no_stranger() {
    let mut bench = bench();
    let requests = [request_of(110, 1), request_of(111, 1), request_of(112, 1)];
    propose(&mut bench, 1, &requests);
    assert_eq!(prepares(&bench), 0);
    propose(&mut bench, 2, &[request_of(111, 2), request_of(112, 2), request_of(110, 2)]);
    assert_eq!(prepares(&bench), 0);
    let decided = batch(&requests);
    for replica in [0, 1, 2] {
        bench.give(replica, bench.commit(replica, (view(0), seq(1)), decided.digest())).unwrap();
    }
    bench.serve();
    assert_eq!(bench.executions().len(), 1);
    bench.wait(Duration::from_millis(1));
    assert_eq!(prepares(&bench), 2, "both: others may lack a vote for what is decided here");
}

/// Checklist item 30: what a new view proposes again has been judged before.
#[test]
fn strangers_that_a_new_view_proposes_again_are_prepared() {
    let mut bench = bench();
    let strangers = [request_of(110, 1), request_of(111, 1), request_of(112, 1)];
    propose(&mut bench, 1, &strangers);
    assert_eq!(prepares(&bench), 0);
    let known = [bench.prepared((view(0), seq(1)), batch(&strangers).digest())];
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(1), known.to_vec())).into();
    for (replica, change) in changes.iter().enumerate() {
        drop(bench.give(replica as u8, Message::ViewChange(Arc::clone(change))));
    }
    bench.give(1, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    drop(bench.give(1, Message::Batch(Arc::new(batch(&strangers)))));
    drop(bench.give(1, Message::Requests(strangers.to_vec())));
    assert_eq!(prepares(&bench), 1);
}

/// Checklist item 22: another while, another few.
#[test]
fn strangers_are_counted_anew_after_a_while() {
    let mut bench = bench();
    for (sequence, gateway) in [(1, 110), (2, 111)] {
        let requests = [request_of(gateway, 1)];
        propose(&mut bench, sequence, &requests);
        for replica in [0, 1, 2] {
            let digest = batch(&requests).digest();
            bench.give(replica, bench.commit(replica, (view(0), seq(sequence)), digest)).unwrap();
        }
        bench.serve();
    }
    assert_eq!(prepares(&bench), 2);
    bench.wait(Config::default().timeout * 4 * MOST);
    propose(&mut bench, 3, &[request_of(112, 1)]);
    assert_eq!(prepares(&bench), 3);
}
