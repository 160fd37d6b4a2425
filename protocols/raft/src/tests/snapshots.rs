use crate::{
    snapshot::{Reader, Snapshots},
    types::{Member, Meta},
};
use openraft::{CommittedLeaderId, LogId};
use std::fs::{self, File};

fn meta(index: u64) -> Meta {
    let last_log_id = Some(LogId::new(CommittedLeaderId::new(1, Member::from(1)), index));
    Meta { last_log_id, snapshot_id: index.to_string(), ..Meta::default() }
}

fn pieces() -> Vec<Vec<u8>> {
    (1..5u8).map(|number| vec![number; 1000 * usize::from(number)]).collect()
}

#[test]
fn a_snapshot_is_read_as_it_was_written_and_an_earlier_one_does_not_take_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(dir.path().to_owned()).unwrap();
    assert!(snapshots.current().is_none());
    snapshots.write(meta(7), pieces().into_iter()).unwrap();
    snapshots.write(meta(5), std::iter::empty()).unwrap();
    let again = Snapshots::open(dir.path().to_owned()).unwrap();
    assert_eq!(again.current(), Some(meta(7)));
    let reader = Reader::new(File::open(again.path()).unwrap()).unwrap();
    assert_eq!((reader.meta.clone(), reader.pieces().unwrap()), (meta(7), pieces()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "what is not wanted is gone");
}

#[test]
fn a_snapshot_that_is_cut_or_changed_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(dir.path().to_owned()).unwrap();
    snapshots.write(meta(7), pieces().into_iter()).unwrap();
    let whole = fs::read(snapshots.path()).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(snapshots.path(), bytes).unwrap();
        Reader::new(File::open(snapshots.path()).unwrap()).and_then(Reader::pieces)
    };
    for length in (0..whole.len()).step_by(97) {
        assert!(read(&whole[..length]).is_err(), "cut at {length}");
    }
    for place in (0..whole.len() - 4).step_by(61) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert!(read(&changed).is_err(), "changed at {place}");
    }
    assert_eq!(read(&whole).unwrap(), pieces());
}
