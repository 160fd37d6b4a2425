//! Messages of `/mesh/control/1` survive their encoding, and no damage to it goes further than an error.

use crate::draw::{any_digits, any_held, any_member, any_node, any_task, any_wall};
use mesh_coordinator::{ControlMessage, Heartbeat, ListFilter, Marks, Query, QueryReply, StoryLine, TaskSummary};
use mesh_membership::Mark;
use mesh_proto::{
    codec::{DecodeError, decode, encode},
    control::Lack,
    domain::Epoch,
    id::JobId,
    outlook::{Candidate, Outlook},
    time::Wall,
};
use proptest::{collection::vec, option, prelude::*};

const LIMIT: usize = 1 << 20;

fn any_job() -> impl Strategy<Value = JobId> {
    any::<[u8; 32]>().prop_map(JobId::from_bytes)
}

fn any_query() -> impl Strategy<Value = Query> {
    let filter = (
        option::of(any_job()),
        any::<bool>(),
        option::of(any_digits()),
        option::of(any_node()),
        option::of(any_task()),
        any::<u32>(),
    );
    let filter = filter.prop_map(|(job, jobs_only, state, executor, after, limit)| ListFilter {
        job,
        jobs_only,
        state,
        executor,
        after,
        limit,
    });
    prop_oneof![
        any_task().prop_map(Query::Task),
        filter.prop_map(Query::List),
        vec(any_task(), 0..4).prop_map(Query::Rows),
        any_digits().prop_map(Query::Prefix),
    ]
}

fn any_summary() -> impl Strategy<Value = TaskSummary> {
    let names = (any_digits(), any_digits());
    let numbers = (option::of((any_job(), any::<u64>())), option::of(any::<u64>()), any::<u32>());
    (any_task(), names, any_wall(), numbers, option::of(any_node())).prop_map(
        |(task, (state, program), placed, (job, count, attempts), executor)| TaskSummary {
            task,
            state,
            program,
            placed,
            job,
            count,
            executor,
            attempts,
        },
    )
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (any_node(), any::<bool>(), numbers).prop_map(|(node, reached, (slots, busy, tried, c, p, w))| Candidate {
        node,
        reached,
        slots,
        busy,
        tried,
        capability_ppm: c,
        performance_ppm: p,
        worth_ppm: w,
        lacked: vec!["gpu>=1".parse().expect("a lawful requirement")],
    })
}

fn any_reply() -> impl Strategy<Value = QueryReply> {
    let line = (any_wall(), any_node(), ".{0,40}").prop_map(|(at, node, what)| StoryLine { at, node, what });
    let requirement = "[a-z]{1,9}(>=[0-9]|)".prop_map(|text| text.parse().expect("a lawful requirement"));
    let lack = (any::<u32>(), any::<u32>(), vec((requirement, any::<u32>()), 0..4));
    let lack = option::of(lack.prop_map(|(members, away, lacked)| Lack { members, away, lacked }));
    let outlook = option::of(
        (option::of(any::<u64>()), vec(any_candidate(), 0..4), any::<u32>())
            .prop_map(|(again_ms, candidates, more)| Outlook { again_ms, candidates, more }),
    );
    let (held, driving) = (option::of(any_held()), option::of(vec(any_node(), 0..4)));
    let told = (held, driving, any::<bool>(), vec(line, 0..4), lack, outlook, vec(any_task(), 0..4));
    prop_oneof![
        told.prop_map(|(held, driving, running, story, lack, outlook, awaits)| QueryReply::Task {
            held,
            driving,
            running,
            story,
            lack,
            outlook: outlook.map(Box::new),
            awaits
        }),
        vec(any_summary(), 0..4).prop_map(QueryReply::List),
        vec(any_task(), 0..4).prop_map(QueryReply::Prefix),
    ]
}

fn any_marks() -> impl Strategy<Value = Marks> {
    let mark = (any_node(), any::<u64>(), any::<u64>(), any::<u64>())
        .prop_map(|(node, dated, incarnation, hash)| Mark { node, dated: Wall(dated), incarnation, hash });
    (vec(any::<u8>(), 0..64), vec(mark, 0..8), any::<(bool, bool)>()).prop_map(|(parts, marks, (last, answer))| Marks {
        parts,
        marks,
        last,
        answer,
    })
}

fn any_message() -> impl Strategy<Value = ControlMessage> {
    let heartbeat = any::<(u32, u32, u32, u64, u64)>().prop_map(|(slots, running, queued, epoch, serial)| Heartbeat {
        slots,
        running,
        queued,
        epoch: Epoch(epoch),
        serial,
    });
    prop_oneof![
        heartbeat.prop_map(ControlMessage::Heartbeat),
        vec(any_member(), 0..4).prop_map(ControlMessage::Members),
        vec(any::<u64>(), 0..65).prop_map(ControlMessage::Digests),
        any_marks().prop_map(ControlMessage::Marks),
        any::<bool>().prop_map(|introduced| ControlMessage::Told { introduced }),
        (any::<u64>(), any_query()).prop_map(|(id, query)| ControlMessage::Query { id, query }),
        (any::<u64>(), any_reply()).prop_map(|(id, reply)| ControlMessage::Reply { id, reply }),
    ]
}

proptest! {
    #[test]
    fn a_message_survives_its_encoding(message in any_message(), cut in any::<prop::sample::Index>(),
                                       flip in any::<(prop::sample::Index, u8)>()) {
        let bytes = encode(&message);
        let decoded = decode::<ControlMessage>(&bytes, LIMIT);
        prop_assert_eq!(decoded.as_ref(), Ok(&message));
        let cut = decode::<ControlMessage>(&bytes[..cut.index(bytes.len())], LIMIT);
        prop_assert!(matches!(cut, Err(DecodeError::Malformed(_))), "{:?}", cut);
        // Another value, or none: never a panic.
        let mut flipped = bytes.clone();
        flipped[flip.0.index(bytes.len())] ^= flip.1;
        if let Ok(other) = decode::<ControlMessage>(&flipped, LIMIT) {
            let again = decode::<ControlMessage>(&encode(&other), LIMIT);
            prop_assert_eq!(again.as_ref(), Ok(&other));
        }
    }
}
