use super::world::{World, a_lock, a_task, award, delete, lock, node, put, put_for};
use mesh_proto::{
    ledger::{Answer, Choice, Claim, MemoryKey, ProposalState, Query, Row},
    limits,
};
use proptest::{collection::btree_set, prelude::*};

fn list(world: &World, prefix: Option<&str>, after: Option<MemoryKey>, limit: u16) -> Answer {
    let prefix = prefix.map(|prefix| prefix.parse().unwrap());
    world.ledger.answer(&Query::List { namespace: "swarm".parse().unwrap(), prefix, after, limit })
}

fn search(world: &World, pattern: &str, after: Option<MemoryKey>, limit: u16) -> Answer {
    let (namespace, pattern) = ("swarm".parse().unwrap(), pattern.parse().unwrap());
    world.ledger.answer(&Query::Search { namespace, pattern, after, limit })
}

fn keys(answer: &Answer) -> Vec<String> {
    let keys = answer.rows.iter().filter_map(|row| match row {
        Row::Memory { key, .. } => Some(key.to_string()),
        _ => None,
    });
    keys.collect()
}

fn filled(entries: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (key, value) in entries {
        world.run(put(key, value));
    }
    world
}

#[test]
fn a_list_goes_on_behind_its_last_row() {
    let mut world = filled(&[("b/1", "x"), ("a", "y"), ("b/2", "z"), ("b", "w"), ("c", "v")]);
    world.run(put_for("b/3", "gone", Some(10)));
    world.pass(10).tick();
    let all = list(&world, None, None, 100);
    assert_eq!((keys(&all), all.more), (["a", "b", "b/1", "b/2", "c"].map(String::from).to_vec(), false));
    let first = list(&world, Some("b"), None, 2);
    assert_eq!((keys(&first), first.more), (["b", "b/1"].map(String::from).to_vec(), true));
    let after = Some("b/1".parse().unwrap());
    let rest = list(&world, Some("b"), after, 2);
    assert_eq!((keys(&rest), rest.more), (["b/2"].map(String::from).to_vec(), false));
    assert_eq!(list(&world, Some("x"), None, 2).rows, vec![]);
    assert_eq!((all.index, all.time), (world.ledger.index(), world.now));
    // A key behind all with the prefix, or before.
    assert_eq!(keys(&list(&world, Some("b"), Some("zz".parse().unwrap()), 9)), Vec::<String>::new());
    assert_eq!(keys(&list(&world, Some("b"), Some("a".parse().unwrap()), 1)), ["b"]);
}

#[test]
fn namespaces_are_apart() {
    let mut world = filled(&[("a", "1")]);
    let mut other = put("a", "2");
    if let mesh_proto::ledger::Body::MemoryPut { namespace, .. } = &mut other {
        *namespace = "swarm2".parse().unwrap();
    }
    world.run(other);
    world.run(delete("b"));
    assert_eq!(keys(&list(&world, None, None, 10)), ["a"]);
    let theirs = Query::List { namespace: "swarm2".parse().unwrap(), prefix: None, after: None, limit: 10 };
    assert_eq!(world.ledger.answer(&theirs).rows.len(), 1);
}

#[test]
fn a_search_looks_at_keys_and_values() {
    let world = filled(&[("plan/1", "build failed"), ("plan/2", "ok"), ("note", "the plan"), ("x", "y")]);
    for (pattern, found) in [
        ("plan", vec!["note", "plan/1", "plan/2"]),
        ("plan/*", vec!["plan/1", "plan/2"]),
        ("b*ld f*d", vec!["plan/1"]),
        ("failed*build", vec![]),
        ("*", vec!["note", "plan/1", "plan/2", "x"]),
        ("PLAN", vec![]),
    ] {
        assert_eq!(keys(&search(&world, pattern, None, 100)), found, "{pattern}");
    }
    let first = search(&world, "plan", None, 1);
    assert_eq!((keys(&first), first.more), (vec!["note".to_string()], true));
    let rest = search(&world, "plan", Some("note".parse().unwrap()), 10);
    assert_eq!((keys(&rest), rest.more), (["plan/1", "plan/2"].map(String::from).to_vec(), false));
}

#[test]
fn a_search_that_finds_nothing_says_where_it_stopped() {
    let mut world = World::new();
    let many = limits::SEARCHED_ROWS + 5;
    for from in (0..many).step_by(5000) {
        let to = many.min(from + 5000);
        let commands = (from..to).map(|n| world.command("ada", put(&format!("k{n:06}"), "v"))).collect();
        world.batch(commands);
    }
    world.run(put("k999999", "here"));
    let first = search(&world, "here", None, 10);
    let stopped: MemoryKey = format!("k{:06}", limits::SEARCHED_ROWS - 1).parse().unwrap();
    assert_eq!((&first.rows, first.more), (&vec![Row::Looked(stopped.clone())], true));
    let rest = search(&world, "here", Some(stopped), 10);
    assert_eq!((keys(&rest), rest.more), (vec!["k999999".to_string()], false));
}

#[test]
fn an_answer_is_bounded_in_bytes() {
    let mut world = World::new();
    let large = "x".repeat(60_000);
    for n in 0..20 {
        world.run(put(&format!("k{n:02}"), &large));
    }
    let answer = list(&world, None, None, 1000);
    assert!(answer.more && answer.rows.len() < 12, "{}", answer.rows.len());
    let bytes = mesh_proto::codec::encode(&answer);
    assert_eq!(Answer::decode(&bytes), Ok(answer));
}

#[test]
fn all_else_that_is_asked() {
    let mut world = World::of(4);
    let id = world.propose(|_| {});
    world.vote(2, id, Choice::Approve);
    world.run(lock("deploy", 1000));
    world.run(award(1, 2, 1000));
    let ask = |query| world.ledger.answer(&query).rows;
    let Row::Proposal { id: shown, proposal, standing } = ask(Query::Proposal(id)).remove(0) else { panic!() };
    assert_eq!((shown, proposal.size(), standing.state), (id, 4, ProposalState::Open));
    assert_eq!(ask(Query::Proposals { after: None, limit: 9 }).len(), 1);
    assert_eq!(ask(Query::Proposals { after: Some(id), limit: 9 }).len(), 0);
    let Row::Vote(vote) = ask(Query::Votes(id)).remove(0) else { panic!() };
    assert_eq!(vote.voter, node(2));
    for claim in [a_lock("deploy"), Claim::Task(a_task(1))] {
        let Row::Claim { claim: shown, held } = ask(Query::Claim(claim.clone())).remove(0) else { panic!() };
        assert_eq!((shown, held.owner.as_str()), (claim, "ada"));
    }
    assert_eq!(ask(Query::Claim(a_lock("other"))), vec![]);
    assert_eq!(ask(Query::Locks { after: None, limit: 9 }).len(), 1);
    assert_eq!(ask(Query::Locks { after: Some("deploy".parse().unwrap()), limit: 9 }).len(), 0);
    assert_eq!(ask(Query::Awards { after: None, limit: 9 }).len(), 1);
    assert_eq!(ask(Query::Awards { after: Some(a_task(1)), limit: 9 }).len(), 0);
    let Row::Committee { committee, version, serial } = ask(Query::Committee).remove(0) else { panic!() };
    assert_eq!((&committee, version, serial), (world.ledger.committee(), 1, 0));
    assert_eq!(ask(Query::Members { after: None, limit: 2 }).len(), 2);
    let of_all = ask(Query::Members { after: None, limit: 9 });
    for row in &of_all {
        let Row::Member { node, .. } = row else { panic!("{row:?}") };
        assert_eq!(ask(Query::Member(*node)), vec![row.clone()]);
    }
    assert_eq!(ask(Query::Member(node(99))), vec![]);
    let maker = Row::Inviter { key: world.genesis.maker, uses: None, until: None, governs: true };
    assert_eq!(ask(Query::Inviters { after: None, limit: 9 }), vec![maker]);
    assert_eq!(ask(Query::Inviters { after: Some(world.genesis.maker), limit: 9 }), vec![]);
    assert_eq!(ask(Query::Evidence(node(1))), vec![]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pages_of_a_list_are_the_list(names in btree_set("[a-c/]{1,4}", 0..40), prefix in "[a-c]{0,2}", limit in 1..7u16) {
        let mut world = World::new();
        let commands = names.iter().map(|name| world.command("ada", put(name, "v"))).collect();
        world.batch(commands);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let answer = list(&world, Some(&prefix).filter(|prefix| !prefix.is_empty()).map(String::as_str), after, limit);
            prop_assert!(answer.rows.len() <= usize::from(limit));
            seen.extend(keys(&answer));
            if !answer.more {
                break;
            }
            after = seen.last().map(|last| last.parse().unwrap());
        }
        let expected: Vec<String> = names.into_iter().filter(|name| name.starts_with(&prefix)).collect();
        prop_assert_eq!(seen, expected);
    }
}
