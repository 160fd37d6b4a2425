//! Members that fall silent, by what the others find of them.

use crate::{
    tables::{Few, entry, id},
    world::{World, node},
};
use mesh_coordinator::{Answer, Command, Input, MemberView};
use mesh_membership::{Finding, Standpoint};
use mesh_proto::id::NodeId;

fn view(answers: &[Answer], of: NodeId) -> MemberView {
    let [Answer::Members(members), Answer::Finished] = answers else { panic!("{answers:?}") };
    members.iter().find(|member| member.node == of).expect("a member").clone()
}

#[test]
fn a_member_that_died_is_confirmed_by_all_and_each_tells_who_found_it_first() {
    let mut world = World::new(5);
    world.run(1_000);
    world.kill(4);
    // The grace, and what a probe may take.
    world.run(300 + 3_200);
    for at in 0..4 {
        world.ask(at, 10, Command::Members);
        world.run(2);
        let view = view(&world.answers(at, 10), node(4));
        assert_eq!((view.state.as_str(), view.standpoint), ("silent", Some(Standpoint::Confirmed)));
        let found = |what| view.history.iter().filter(|line| line.what == what).count();
        assert_eq!(view.history[0].what, Finding::Suspected);
        assert_eq!(
            (found(Finding::Suspected), found(Finding::Confirmed)),
            (4, 1),
            "by each of four: {:?}",
            view.history
        );
        assert!(found(Finding::Silent) >= 2 && found(Finding::Answers) == 0, "{:?}", view.history);
    }
    world.restart(4);
    world.run(10);
    world.ask(0, 11, Command::Members);
    world.run(2);
    let view = view(&world.answers(0, 11), node(4));
    assert_eq!((view.standpoint, view.history.last().map(|line| line.what)), (None, Some(Finding::Back)));
}

/// The others reach it, and one does not.
#[test]
fn a_member_that_one_other_lost_refutes_by_a_later_word() {
    let mut few = Few::new(5);
    for a in 0..5 {
        for b in 0..a {
            few.connect(a, b);
        }
    }
    few.run(3_100);
    for (at, other) in [(0, 1), (1, 0)] {
        few.connected.remove(&(at, other));
        few.inboxes[at].push(Input::Down { node: id(other) });
    }
    few.asked_to_speak.clear();
    few.run(1_000);
    // Both doubt the other; who is probed for that knows as of which word.
    let asked: Vec<usize> = few.asked_to_speak.iter().map(|(at, _)| *at).collect();
    assert!(asked.contains(&1) && few.asked_to_speak.iter().all(|(_, above)| *above == 1), "{:?}", few.asked_to_speak);
    let members = few.ask(0, 1, Command::Members);
    let suspect = view(&members, id(1));
    assert_eq!(suspect.standpoint, Some(Standpoint::Suspected), "three of three find it there: {:?}", suspect.history);
    assert_eq!(suspect.history.iter().filter(|line| line.what == Finding::Answers).count(), 3);

    few.inboxes[1].push(Input::Me(entry(1, 2)));
    few.inboxes[0].push(Input::Announced(entry(1, 2)));
    few.run(3);
    let suspect = view(&few.ask(0, 2, Command::Members), id(1));
    let last = suspect.history.last().map(|line| (line.by, line.what));
    assert_eq!((suspect.standpoint, last), (None, Some((id(1), Finding::Refuted { incarnation: 2 }))));
    let Some(Answer::Status(status)) = few.ask(0, 3, Command::Status).into_iter().next() else { panic!("no status") };
    assert_eq!((status.liveness.suspicions, status.liveness.confirmations, status.liveness.refutations), (1, 0, 1));
}
