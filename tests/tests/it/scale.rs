//! Larger meshes than the others, in which nothing goes wrong but that a tenth of the nodes dies while all work:
//! everything ends, and what a task costs hardly grows with the number of nodes. `sim scale` does a thousand.

use mesh_tests::sim::{
    Report,
    count::Count,
    scale::{self, Part, Plan, Purpose},
};

/// So many tasks for each node, and a tenth of the nodes dies.
fn mesh(nodes: usize) -> (Plan, Report) {
    let plan = Plan { nodes, tasks: 33 * nodes as u64, deaths: nodes as u64 / 10 };
    let report = scale::run(plan, 7);
    assert_eq!(report.violation.as_ref().map(ToString::to_string), None, "{nodes} nodes");
    let all = [Count::Destroyed, Count::AnswerEnded].map(|count| report.counts.of(count));
    assert!(all[0] == plan.deaths && all[1] >= plan.tasks && report.tasks == plan.tasks, "{nodes} nodes: {all:?}");
    (plan, report)
}

#[test]
fn all_ends_though_a_tenth_dies_and_placing_a_task_does_not_cost_more_the_more_nodes_there_are() {
    let meshes = [mesh(20), mesh(80)];
    let messages = |of: &dyn Fn(Purpose) -> bool| {
        meshes.each_ref().map(|(plan, report)| {
            let purposes = Purpose::ALL.into_iter().filter(|purpose| of(*purpose));
            purposes.map(|purpose| purpose.messages(&report.counts)).sum::<u64>() as f64 / plan.tasks as f64
        })
    };
    // Three holders are asked, answer and are told, and whoever dies or is not known yet makes for some more. A node
    // that is its own gateway's holder, as one in so many is, needs none.
    let birth = messages(&|purpose| purpose == Purpose::Birth);
    assert!(birth.iter().all(|messages| (7.0..12.0).contains(messages)), "{birth:?}");
    assert!(birth[1] < birth[0] * 1.25, "{birth:?}");
    // One in four is auctioned, among 64 at most, however many there are: three messages for each bidder.
    let auction = messages(&|purpose| purpose == Purpose::Auction);
    for ((plan, _), messages) in meshes.iter().zip(auction) {
        assert!(messages * 4.0 <= 3.0 * plan.nodes.min(64) as f64 * 1.1, "{auction:?}");
    }
    let rest = messages(&|purpose| !matches!(purpose, Purpose::Birth | Purpose::Auction));
    assert!(rest.iter().all(|messages| *messages < 14.0) && rest[1] < rest[0] * 1.25, "{rest:?}");
}

/// That is a heartbeat to each other node every three seconds, and some comparisons of tables.
#[test]
fn who_rests_says_little() {
    let plan = Plan { nodes: 30, tasks: 0, deaths: 0 };
    let report = scale::run(plan, 8);
    assert_eq!(report.violation, None);
    let [_, Part { control, tasks }, _] = report.meter.map(|meter| meter.parts).unwrap_or_default();
    let beats = 30 * 29 * 12 / 3;
    assert!((beats..beats * 11 / 10).contains(&control.messages), "{control:?}");
    assert_eq!(tasks.messages, 0);
}
