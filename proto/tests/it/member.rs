use crate::sample::{
    DAY, accepted, ending_credential, forgotten, forgotten_at, invitation_at, invited_credential, key,
    maker_credential, network, present, with_presence,
};
use mesh_proto::{
    fuzz::{NOW, known_genesis},
    id::{NodeId, StoreId},
    limits,
    member::{MemberEntry, MemberError, MemberStatus, merge},
    role::Role,
    time::Wall,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

type Table = BTreeMap<NodeId, MemberEntry>;

fn table(entries: impl IntoIterator<Item = MemberEntry>) -> Table {
    let mut table = Table::new();
    for entry in entries {
        merge(&mut table, entry);
    }
    table
}

/// The one that stays, of two about node 2.
fn of(a: MemberEntry, b: MemberEntry) -> MemberEntry {
    table([a, b]).remove(&key(2).node_id()).expect("both are about node 2")
}

#[test]
fn the_higher_incarnation_stays() {
    assert_eq!(of(present(2, 6), present(2, 5)), present(2, 6));
    let left = with_presence(2, |presence| presence.left = true);
    assert_eq!(left.status(), MemberStatus::Left);
    assert_eq!(of(present(2, 5), left.clone()), left, "at one incarnation, leaving wins");
    assert_eq!(of(left, present(2, 6)), present(2, 6), "who left comes back by a higher one");
}

#[test]
fn nothing_a_forgotten_node_says_brings_it_back() {
    let merged = of(forgotten(2), present(2, u64::MAX));
    assert_eq!(merged.status(), MemberStatus::Forgotten);
    assert!(merged.presence().is_none());
}

#[test]
fn a_later_invitation_brings_a_forgotten_node_back() {
    let later = NOW + Duration::from_millis(1);
    let again = with_presence(2, |presence| presence.credential = accepted(invitation_at(later, None), 2));
    assert_eq!(of(forgotten(2), again.clone()), again);
    assert_eq!(of(again, forgotten_at(2, later)).status(), MemberStatus::Forgotten);
}

#[test]
fn an_entry_is_from_its_signer() {
    let genesis = known_genesis();
    assert_eq!(present(2, 1).verify(&genesis, NOW).unwrap().from(), key(2).node_id());
    assert_eq!(forgotten(2).verify(&genesis, NOW).unwrap().from(), key(1).node_id());

    let presence = present(2, 1).presence().unwrap().clone();
    let forged = MemberEntry::present(&key(3), &network(), presence);
    assert_eq!(forged.verify(&genesis, NOW).unwrap_err(), MemberError::Signature(key(2).node_id()));
    let forged = MemberEntry::forgotten(&key(3), &network(), maker_credential(), key(2).node_id(), NOW);
    assert_eq!(forged.verify(&genesis, NOW).unwrap_err(), MemberError::Signature(key(1).node_id()));
}

#[test]
fn an_entry_outlives_the_invitation_it_came_by() {
    assert!(present(2, 1).verify(&known_genesis(), NOW + DAY * 100).is_ok());
}

#[test]
fn a_tombstone_outlives_the_membership_of_its_maker() {
    let by = ending_credential(3);
    let worker = MemberEntry::forgotten(&key(3), &network(), by, key(2).node_id(), NOW);
    let may_not = MemberError::MayNotForget { by: key(3).node_id(), role: Role::Worker };
    assert_eq!(worker.verify(&known_genesis(), NOW + DAY * 100).unwrap_err(), may_not);
}

#[test]
fn only_full_members_forget_and_not_in_the_future() {
    let by = invited_credential(3);
    let entry = MemberEntry::forgotten(&key(3), &network(), by, key(2).node_id(), NOW);
    let may_not = MemberError::MayNotForget { by: key(3).node_id(), role: Role::Worker };
    assert_eq!(entry.verify(&known_genesis(), NOW).unwrap_err(), may_not);

    let at = NOW + limits::CLOCK_SKEW + Duration::from_millis(1);
    let future = MemberError::FromTheFuture { at, now: NOW };
    assert_eq!(forgotten_at(2, at).verify(&known_genesis(), NOW).unwrap_err(), future);
}

/// Few of each number, so that entries tie often.
fn entry() -> impl Strategy<Value = MemberEntry> {
    let date = (0u64..3).prop_map(|day| Wall(NOW.0 + day));
    let presence = (2u8..4, date.clone(), 0u64..3, any::<bool>(), 0u64..2).prop_map(
        |(node, invited, incarnation, left, store)| {
            with_presence(node, |presence| {
                presence.credential = accepted(invitation_at(invited, None), node);
                presence.incarnation = incarnation;
                presence.left = left;
                presence.store = StoreId(store);
            })
        },
    );
    let tombstone = (2u8..4, date).prop_map(|(node, at)| forgotten_at(node, at));
    prop_oneof![3 => presence, 1 => tombstone]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn tables_merge_in_any_order_and_any_number_of_times(
        (entries, shuffled) in prop::collection::vec(entry(), 0..10)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
    ) {
        let merged = table(entries.clone());
        prop_assert_eq!(&merged, &table(shuffled.clone()));
        prop_assert_eq!(&merged, &table(entries.iter().chain(&shuffled).cloned()));
        let (front, back) = entries.split_at(entries.len() / 2);
        let grouped = table(table(back.to_vec()).into_values().chain(table(front.to_vec()).into_values()));
        prop_assert_eq!(&merged, &grouped);
        prop_assert!(entries.into_iter().all(|entry| !merge(&mut merged.clone(), entry)), "old news changes nothing");
    }
}
