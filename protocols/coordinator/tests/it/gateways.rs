//! Whose requests the ordering protocol takes from whom: by the table of members.

use crate::council::{Council, key, node};
use mesh_pbft::Config;
use mesh_proto::{
    agreement::{Operation, ReplicaStanding},
    ledger::Query,
    pbft::{Message, Operations, Request, RequestNumber, Sequence, View},
    time::Wall,
};
use std::sync::Arc;

/// What a node asks for as a gateway, who says it to whom.
fn say(council: &mut Council, gateway: usize, from: usize, to: usize) {
    let operation = Operation::encode(&Operation::Query(Query::Evidence(node(0))));
    let operations = Operations::pack([&operation[..]]).unwrap();
    let number = RequestNumber::starting(Wall(1_800_000_000_000));
    let request = Request::sign(&key(gateway), &council.network(), number, operations);
    council.say(from, to, &Message::Request(Arc::new(request)));
}

/// Of the first view.
fn primary(council: &Council) -> usize {
    let primary = council.brain(0).agreement().unwrap().committee()[0];
    (0..4).find(|at| node(*at) == primary).unwrap()
}

fn standing(council: &Council, at: usize) -> ReplicaStanding {
    council.brain(at).agreement().unwrap().standing().replica.unwrap()
}

/// Checklist item 39: keys are free. A member that relays what it signed with many of them takes no lanes with that; what it
/// relays of a node that is known is ordered.
#[test]
fn a_member_relays_for_nodes_of_the_network_alone() {
    let mut council = Council::new(6, 4);
    let primary = primary(&council);
    let (liar, ran) = ((primary + 1) % 4, standing(&council, primary).executed);
    for (gateway, then) in [(77, ran), (5, ran.next())] {
        say(&mut council, gateway, liar, primary);
        council.run(100);
        assert_eq!(standing(&council, primary).executed, then);
    }
}

/// Checklist item 22: many nodes that reach the primary alone are known to the others, who prepare what they ask for. As many
/// that are not of the network have the primary left: it may have made them up.
#[test]
fn a_primary_serves_nodes_of_the_network_that_reach_it_alone() {
    let many = Config::default().strangers as usize + 1;
    let mut council = Council::new(4 + many, 4);
    let primary = primary(&council);
    let reach = |council: &mut Council, gateways: std::ops::Range<usize>| {
        gateways.for_each(|gateway| say(council, gateway, gateway, primary));
        council.run(2_000);
        (0..4).map(|at| standing(council, at).view).max().unwrap()
    };
    assert_eq!(reach(&mut council, 4..4 + many), View::ZERO);
    let ran = standing(&council, primary).executed;
    assert!(ran > Sequence::ZERO && (0..4).all(|at| standing(&council, at).executed == ran), "executed by all");
    assert!(reach(&mut council, 100..100 + many) > View::ZERO);
}

/// Checklist item 22: an entry may come later than what its node asks for.
#[test]
fn whose_entry_comes_later_than_its_request_is_no_stranger() {
    let many = Config::default().strangers as usize + 1;
    let gateways = 100..100 + many;
    let mut council = Council::new(4, 4);
    let primary = primary(&council);
    gateways.clone().for_each(|gateway| say(&mut council, gateway, gateway, primary));
    council.run(100);
    let ran = |council: &Council| (0..4).map(|at| standing(council, at).executed).min().unwrap();
    let before = ran(&council);
    gateways.for_each(|gateway| council.introduce(gateway));
    council.run(2_000);
    assert!((0..4).all(|at| standing(&council, at).view == View::ZERO));
    assert!(ran(&council) > before, "the last of them waited for that");
}
