use super::*;
use mesh_proto::{
    ledger::{FetchNodes, FetchedNode, FetchedNodes, InclusionError, NodeError, NodePath},
    limits,
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

/// Keys that share prefixes and end inside of others, as those of the state do; values that make pages of few and of
/// many entries.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0), Just(0xff)], 1..6),
        2 => (0..400u32).prop_map(|n| format!("key/{n:05}").into_bytes()),
        1 => vec(any::<u8>(), 1..4),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => (0..9000usize).prop_map(|n| vec![7; n])]
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Step::Put(key, value)),
        1 => key().prop_map(Step::Remove),
    ];
    vec(step, 0..300)
}

fn run(map: &mut Map, model: &mut BTreeMap<Vec<u8>, Vec<u8>>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put(key, value) => {
                map.put(key, &[value]);
                model.insert(key.clone(), value.clone());
            }
            Step::Remove(key) => assert_eq!(map.remove(key), model.remove(key).is_some()),
        }
    }
}

fn of(model: &BTreeMap<Vec<u8>, Vec<u8>>) -> Map {
    Map::from_entries(model.iter().map(|(key, value)| Entry::new(key, &[value])).collect())
}

fn content(map: &Map) -> BTreeMap<Vec<u8>, Vec<u8>> {
    map.below(b"", usize::MAX).into_iter().map(|entry| (entry.key().to_vec(), entry.value().to_vec())).collect()
}

/// Fetches all of `from` over what `base` has; how many nodes were sent.
fn transfer(from: &Map, base: &Map) -> (Map, usize) {
    let mut import = Import::new(from.root(), base, u64::MAX);
    let mut sent = 0;
    while !import.is_complete() {
        // Two peers, one of them asked for what the other may have been, too.
        for turn in [0, 1] {
            let fetched = from.fetched(&import.wanted(3, turn));
            sent += import.take_all(&fetched).unwrap();
        }
    }
    (import.finish().unwrap(), sent)
}

proptest! {
    #[test]
    fn it_is_a_map_whose_shape_and_root_follow_from_its_content(steps in steps()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &steps);
        map.root.check();
        prop_assert_eq!(content(&map), model.clone());
        prop_assert_eq!(map.root(), of(&model).root());
        for (key, value) in &model {
            prop_assert_eq!(map.get(key), Some(value.as_slice()));
        }
    }

    #[test]
    fn a_scan_begins_where_it_is_told(steps in steps(), from in key()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &steps);
        let mut seen = Vec::new();
        map.scan(&from, |entry| {
            seen.push(entry.key().to_vec());
            ControlFlow::Continue(())
        });
        prop_assert_eq!(seen, model.range(from.clone()..).map(|(key, _)| key.clone()).collect::<Vec<_>>());
        let first = model.keys().find(|key| key.starts_with(&from)).map(Vec::as_slice);
        prop_assert_eq!(map.first(&from).map(Entry::key), first);
    }

    #[test]
    fn a_clone_stays_as_it_was(before in steps(), after in steps()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &before);
        let (kept, root, was) = (map.clone(), map.root(), model.clone());
        run(&mut map, &mut model, &after);
        prop_assert_eq!(kept.root(), root);
        prop_assert_eq!(content(&kept), was);
        prop_assert_eq!(content(&map), model);
    }

    #[test]
    fn another_content_has_another_root(steps in steps(), key in key(), value in value()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &steps);
        let root = map.root();
        map.put(&key, &[&value]);
        prop_assert_eq!(map.root() == root, model.get(&key) == Some(&value));
    }

    #[test]
    fn changes_make_one_store_the_other(before in steps(), after in steps()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &before);
        let old = map.clone();
        run(&mut map, &mut model, &after);
        let mut store = old.changes_since(&Map::new()).added;
        let changes = map.changes_since(&old);
        for digest in &changes.removed {
            prop_assert!(store.remove(digest).is_some());
        }
        for (digest, page) in changes.added {
            prop_assert!(store.insert(digest, page).is_none());
        }
        prop_assert_eq!(&store, &map.changes_since(&Map::new()).added);
        let again = Map::from_pages(store.iter().map(|(digest, page)| (digest, page.as_slice()))).unwrap();
        prop_assert_eq!(again.root(), map.root());
    }

    #[test]
    fn an_import_makes_the_same_and_fetches_what_is_not_there(before in steps(), after in steps()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &before);
        let base = map.clone();
        let (copy, all) = transfer(&map, &Map::new());
        prop_assert_eq!(content(&copy), model.clone());
        prop_assert_eq!(transfer(&map, &base).1, 0);
        run(&mut map, &mut model, &after);
        let (copy, some) = transfer(&map, &base);
        prop_assert_eq!(copy.root(), map.root());
        prop_assert_eq!(content(&copy), model);
        let (_, afresh) = transfer(&map, &Map::new());
        prop_assert!(some <= afresh, "{some} of {afresh}, and {all} before");
    }

    #[test]
    fn a_path_proves_what_is_there_and_what_is_not(steps in steps(), key in key()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        run(&mut map, &mut model, &steps);
        let (root, proof) = (map.root(), map.inclusion(&key));
        prop_assert_eq!(proof.value(&root, &key).unwrap(), model.get(&key).cloned());
        map.put(&key, &[b"other"]);
        let other = map.root();
        if root != other {
            let digest = matches!(proof.value(&other, &key), Err(InclusionError::Node(NodeError::Digest { .. })));
            prop_assert!(digest);
        }
    }
}

#[test]
fn any_changed_byte_of_any_node_is_refused() {
    let mut map = Map::new();
    for n in 0..120u32 {
        map.put(format!("key/{n:05}").as_bytes(), &[&n.to_le_bytes()]);
    }
    let mut import = Import::new(map.root(), &Map::new(), u64::MAX);
    let (mut nodes, mut tried) = (0, 0);
    while !import.is_complete() {
        for path in import.wanted(usize::MAX, 0).paths {
            let good = map.node(&path.0).unwrap();
            for at in 0..good.len() {
                for flip in [1, 0x80] {
                    let mut bad = good.clone();
                    bad[at] ^= flip;
                    assert!(matches!(import.take(&path, &bad), Err(ImportError::Node(_))), "byte {at}");
                    tried += 1;
                }
            }
            for cut in 0..good.len() {
                assert!(import.take(&path, &good[..cut]).is_err());
            }
            import.take(&path, &good).unwrap();
            assert_eq!(import.take(&path, &good), Err(ImportError::NotWanted));
            nodes += 1;
        }
    }
    assert!(nodes > 10 && tried > 4000, "{nodes} nodes, {tried} bytes");
    assert_eq!(import.finish().unwrap().root(), map.root());
}

#[test]
fn a_state_above_the_limit_is_refused_at_its_root() {
    let mut map = Map::new();
    for n in 0..120u32 {
        map.put(format!("key/{n:05}").as_bytes(), &[&[0; 100]]);
    }
    let limit = map.weight() - 1;
    let mut import = Import::new(map.root(), &Map::new(), limit);
    let refused = import.take(&NodePath::default(), &map.node(&[]).unwrap());
    assert_eq!(refused, Err(ImportError::TooLarge { bytes: map.weight(), limit }));
    assert_eq!(import.finish().map(|_| ()), Err(ImportError::Unfinished));
}

#[test]
fn a_longest_comb_is_walked() {
    // Each key parts from the longest at another nibble: as deep as the state can be made.
    let mut map = Map::new();
    let long = vec![0x11; mesh_proto::limits::ENTRY_KEY_BYTES];
    for at in 0..long.len() {
        let mut key = long.clone();
        key[at] = 0x22;
        map.put(&key, &[&[1; 2000]]);
        key[at] = 0x12;
        map.put(&key, &[&[1; 2000]]);
    }
    map.root.check();
    let proof = map.inclusion(&long);
    assert_eq!(proof.value(&map.root(), &long), Ok(None));
    let (copy, _) = transfer(&map, &Map::new());
    assert_eq!(copy.root(), map.root());
}

#[test]
fn an_answer_is_bounded_and_of_the_state_that_was_asked_for() {
    let mut map = Map::new();
    for n in 0..64u32 {
        map.put(format!("key/{n:05}").as_bytes(), &[&[0; 60_000]]);
    }
    let mut import = Import::new(map.root(), &Map::new(), u64::MAX);
    let mut answers = 0;
    while !import.is_complete() {
        let fetched = map.fetched(&import.wanted(usize::MAX, 0));
        let bytes = mesh_proto::codec::encode(&fetched);
        assert_eq!(mesh_proto::ledger::FetchedNodes::decode(&bytes).as_ref(), Ok(&fetched));
        import.take_all(&fetched).unwrap();
        answers += 1;
    }
    assert!(answers >= 4, "{answers} answers for 4 MB");
    let import = Import::new(map.root(), &Map::new(), u64::MAX);
    assert_eq!(Map::new().fetched(&import.wanted(9, 0)).nodes, vec![]);
}

#[test]
fn one_bad_node_of_an_answer_is_refused_and_the_others_taken() {
    let mut map = Map::new();
    for n in 0..500u32 {
        map.put(format!("key/{n:05}").as_bytes(), &[&n.to_le_bytes()]);
    }
    let alone = |question| FetchNodes { levels: 0, ..question };
    let mut import = Import::new(map.root(), &Map::new(), u64::MAX);
    import.take_all(&map.fetched(&alone(import.wanted(1, 0)))).unwrap();
    let wanted = alone(import.wanted(9, 0));
    let mut fetched = map.fetched(&wanted);
    assert!(fetched.nodes.len() > 2);
    fetched.nodes[1].bytes = fetched.nodes[0].bytes.clone();
    assert!(matches!(import.take_all(&fetched), Err(ImportError::Node(NodeError::Digest { .. }))));
    let missing = import.wanted(100, 0).paths;
    assert!(!missing.contains(&wanted.paths[0]) && missing.contains(&wanted.paths[1]));
}

/// A branch that is certified and lies about its children would let them be larger than the limit.
#[test]
fn a_child_that_is_not_as_its_branch_says_is_refused() {
    use mesh_proto::ledger::{Branch, Child, Node as Encoded};
    let pages = [b"a", b"q"].map(|key| Encoded::Page(vec![Entry::new(key, &[b"value"])]));
    let child = |slot, page: &Encoded, more| {
        let (entries, bytes) = page.size();
        Child { slot, digest: page.digest(), entries, bytes: bytes + more }
    };
    let branch = |more| {
        let children = vec![child(7, &pages[0], more), child(8, &pages[1], 0)];
        Encoded::Branch(Branch { depth: 0, children })
    };
    for (more, lawful) in [(0, true), (1, false)] {
        let root = branch(more);
        let mut import = Import::new(root.digest(), &Map::new(), u64::MAX);
        import.take(&NodePath::default(), &mesh_proto::codec::encode(&root)).unwrap();
        let first = import.wanted(1, 0).paths.remove(0);
        let taken = import.take(&first, &mesh_proto::codec::encode(&pages[0]));
        assert_eq!(taken.is_ok(), lawful);
        assert!(lawful || matches!(taken, Err(ImportError::Size { .. })));
    }
    // All as certified, and yet no tree that a map makes: these two fit one page.
    let root = branch(0);
    let mut import = Import::new(root.digest(), &Map::new(), u64::MAX);
    import.take(&NodePath::default(), &mesh_proto::codec::encode(&root)).unwrap();
    for (path, page) in import.wanted(2, 0).paths.iter().zip(&pages) {
        import.take(path, &mesh_proto::codec::encode(page)).unwrap();
    }
    assert_eq!(import.finish().map(|_| ()), Err(ImportError::OtherRoot));
}

/// Scattered over the whole of it, as keys of users are.
fn scattered(n: u32) -> [u8; 8] {
    u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

/// 20,000 entries; and as many, of which a few are others, some more and some less.
fn before_and_after() -> (Map, Map) {
    let before = Map::from_entries((0..20_000).map(|n| Entry::new(&scattered(n), &[&[7; 100]])).collect());
    let mut after = before.clone();
    for n in 0..20 {
        after.put(&scattered(n * 997), &[&[8; 100]]);
        after.put(&scattered(20_000 + n), &[&[8; 100]]);
        assert!(after.remove(&scattered(n * 31 + 1)));
    }
    (before, after)
}

/// Asks until all is there: how many questions, and how many nodes came.
fn ask_for(map: &Map, base: &Map) -> (usize, usize) {
    let mut import = Import::new(map.root(), base, u64::MAX);
    let (mut questions, mut came) = (0, 0);
    while !import.is_complete() {
        let question = import.wanted(limits::FETCHED_NODES, 0);
        let fetched = map.fetched(&question);
        came += fetched.nodes.len();
        assert_eq!(import.take_all(&fetched), Ok(fetched.nodes.len()), "nothing comes that is not missing");
        questions += 1;
    }
    assert_eq!(import.finish().unwrap().root(), map.root());
    (questions, came)
}

/// Checklist item 35.
#[test]
fn what_differs_comes_with_one_answer() {
    let (before, after) = before_and_after();
    let (questions, came) = ask_for(&after, &before);
    // Of 60 entries that differ, and of branches above.
    assert!(questions == 1 && came < 60 * 4, "{questions} questions, {came} nodes");
    let (questions, came) = ask_for(&after, &Map::new());
    assert!(questions <= came.div_ceil(limits::FETCHED_NODES) + 1, "{questions} questions, {came} nodes");
}

/// Checklist item 35: a branch above, or one that is gone, is in another depth than what was in its place.
#[test]
fn what_moved_in_the_tree_is_known_all_the_same() {
    let (one, _) = before_and_after();
    let mut other = one.clone();
    (0..40u32).for_each(|n| other.put(&[&[0xff; 40][..], &scattered(n)].concat(), &[&[8; 100]]));
    other.put(b"\0\0\0\0\0", &[b"a key that parts at once"]);
    for (before, after) in [(&one, &other), (&other, &one)] {
        let (questions, came) = ask_for(after, before);
        assert!(questions <= 2 && came < 40, "{questions} questions, {came} nodes");
    }
}

/// Where its nodes are in memory is the allocator's, and another in each run.
#[test]
fn a_question_depends_on_what_is_in_the_base_alone() {
    let entries = |n: u32| Entry::new(&scattered(n), &[&[7; 200]]);
    let one = Map::from_entries((0..4000).map(entries).collect());
    let mut other = one.clone();
    // Each node is copied, the last of a level first.
    let mut keys: Vec<[u8; 8]> = (0..4000).map(scattered).collect();
    keys.sort_unstable();
    keys.iter().rev().for_each(|key| other.put(key, &[&[7; 200]]));
    assert_eq!(one.root(), other.root());
    let mut after = one.clone();
    after.put(&scattered(4001), &[&[8; 200]]);
    let question = |base| Import::new(after.root(), base, u64::MAX).wanted(1, 0);
    let asked = question(&one);
    assert!(asked.levels == u8::MAX && asked.known.len() > 1000, "all levels are named");
    assert_eq!(asked, question(&other));
}

/// Checklist item 35: what a base of more nodes than a question can name has, is not sent either: then fewer levels are asked for
/// at once.
#[test]
fn a_large_base_is_named_level_by_level() {
    let entries = (0..200_000).map(|n| Entry::new(&scattered(n), &[&[7; 200]]));
    let before = Map::from_entries(entries.collect());
    let mut after = before.clone();
    (0..20).for_each(|n| after.put(&scattered(n * 9_973), &[&[8; 200]]));
    let first = Import::new(after.root(), &before, u64::MAX).wanted(1, 0);
    assert!(first.levels < u8::MAX, "{} nodes named", first.known.len() / limits::FETCH_KNOWN_BYTES);
    let (questions, came) = ask_for(&after, &before);
    assert!(questions <= 3 && came < 20 * 8, "{questions} questions, {came} nodes");
}

/// Checklist item 35: whatever a question says, an answer has no more than it may.
#[test]
fn an_answer_with_all_that_is_below_is_bounded_too() {
    let (map, _) = before_and_after();
    let paths = vec![NodePath::default(); limits::FETCHED_NODES];
    let known = vec![0xa5; limits::FETCH_KNOWN * limits::FETCH_KNOWN_BYTES + 3].into();
    let mut fetch = FetchNodes { root: map.root(), paths, levels: u8::MAX, known };
    assert_eq!(map.fetched(&fetch).nodes.len(), limits::FETCHED_NODES);
    fetch.paths.truncate(1);
    let fetched = map.fetched(&fetch);
    assert_eq!(fetched.nodes.len(), limits::FETCHED_NODES);
    let is_behind_its_parent = |(at, node): (usize, &FetchedNode)| {
        let path = &node.path.0;
        path.is_empty() || fetched.nodes[..at].iter().any(|before| *before.path.0 == path[..path.len() - 1])
    };
    assert!(fetched.nodes.iter().enumerate().all(is_behind_its_parent));
    fetch.levels = 0;
    assert_eq!(map.fetched(&fetch).nodes.len(), 1);
}

/// What a full answer would have had, and what nobody promised.
#[test]
fn what_an_answer_keeps_back_is_seen() {
    let (before, after) = before_and_after();
    let fresh = || Import::new(after.root(), &before, u64::MAX);
    let question = fresh().wanted(1, 0);
    let fetched = after.fetched(&question);
    let lacks = |upto: usize| {
        let mut import = fresh();
        let part = FetchedNodes { root: fetched.root, nodes: fetched.nodes[..upto].to_vec() };
        import.take_all(&part).unwrap();
        import.lacks(&question, &part)
    };
    assert!((0..fetched.nodes.len()).all(lacks));
    assert!(!lacks(fetched.nodes.len()));
    // Levels that were not asked for are nobody's fault.
    let mut import = fresh();
    let shallow = FetchNodes { levels: 0, ..question };
    let fetched = after.fetched(&shallow);
    import.take_all(&fetched).unwrap();
    assert!(!import.lacks(&shallow, &fetched) && !import.is_complete());
}
