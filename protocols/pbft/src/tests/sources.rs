//! Whom a transfer asks.

use super::{
    bench::seq,
    checkpoints::{begin_transfer, give_piece, questions},
};
use crate::Input;
use mesh_proto::pbft::{Message, Roots, Summary};
use std::{sync::Arc, time::Duration};

/// Checklist item 35: a member that keeps its pieces to itself is waited for once, and not in each transfer: others would have
/// a later checkpoint by then, every time.
#[test]
fn who_let_a_question_pass_is_asked_last_in_the_next_transfer_too() {
    let (mut bench, far, asked) = begin_transfer();
    let silent = asked[0].0;
    for piece in asked.into_iter().filter(|(of, ..)| *of != silent) {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    bench.take();
    bench.wait(Duration::from_millis(600));
    let again = questions(&bench);
    assert!(!again.is_empty() && again.iter().all(|(of, ..)| *of != silent), "{again:?}");
    for piece in again {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    let later = bench.certificate(&Summary { sequence: seq(48), ..far.certificate.summary.clone() });
    bench.give(silent, Message::Stable(Arc::new(later))).unwrap();
    bench.take();
    bench.input(Input::Installed { sequence: seq(40), state: Roots::EMPTY }).unwrap();
    let next = questions(&bench);
    assert_eq!(next.len(), 3);
    assert!(next.iter().all(|(of, ..)| *of != silent), "{next:?}");
}
