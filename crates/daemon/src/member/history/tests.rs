//! What is written is read again, whatever happens to the file.

use std::os::unix::fs::PermissionsExt;

use meshline_identity::KeyPair;
use tempfile::TempDir;

use super::*;

fn message(cursor: u64) -> StoredMessage {
    let author = KeyPair::from_secret([7; 32]).id();
    let signed = SignedText {
        by: author,
        seq: UnixMicros::new(1_800_000_000_000_000 + cursor),
        sig: "c2ln".to_owned(),
        body: format!("{{\"text\":\"{cursor}\"}}").into_bytes().into(),
    };
    StoredMessage {
        cursor,
        signed: Arc::new(signed),
        name: "bobby~abcd".to_owned(),
        delivery: Delivery { state: State::Queued, delivered_to: 0, delivered_of: 0 },
        path: vec![author],
    }
}

fn write(cursor: u64) -> Write {
    Write::Message(Box::new(message(cursor)))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn everything_written_is_found_at_the_next_start() {
    let folder = folder();
    let record = SignedRecord { signed: "{}".to_owned(), by: message(1).signed.by, sig: "c2ln".to_owned() };
    let delivery = Delivery { state: State::Delivered, delivered_to: 4, delivered_of: 4 };
    let all = Some(Key { seq: message(1).signed.seq, author: record.by });
    let floors = Floors { all, authors: BTreeMap::from([(record.by, message(1).signed.seq)]) };
    let mut keep = sink(folder.path());
    keep(vec![Write::Author(Box::new(record.clone())), write(1), write(2), write(3)]).expect("written");
    keep(vec![Write::Forget { cursors: vec![1], floors: floors.clone(), authors: Vec::new() }]).expect("written");
    keep(vec![Write::Delivery { cursor: 2, delivery }, write(4)]).expect("written");
    drop(keep);
    let stored = load(folder.path());
    assert_eq!(stored.messages, [StoredMessage { delivery, ..message(2) }, message(3), message(4)]);
    assert_eq!((stored.authors, stored.floors, stored.last_cursor), (vec![record], floors, 4));
}

#[test]
fn nothing_is_made_before_the_first_message_and_only_the_owner_may_read_it() {
    let folder = folder();
    let mut keep = sink(folder.path());
    assert!(!file(folder.path()).exists());
    keep(vec![write(1)]).expect("written");
    let mode = std::fs::metadata(file(folder.path())).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_process_that_ends_without_closing_the_file_loses_nothing() {
    let folder = folder();
    let mut keep = sink(folder.path());
    keep(vec![write(1)]).expect("written");
    // The file as a kill would leave it.
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::copy(file(folder.path()), file(copy.path())).expect("copied");
    drop(keep);
    assert_eq!(load(copy.path()).messages, [message(1)]);
}

#[test]
fn a_damaged_file_is_put_aside_and_the_next_message_makes_a_new_one() {
    let folder = folder();
    let path = file(folder.path());
    for damage in [b"not a database".to_vec(), vec![0; 5_000]] {
        std::fs::write(&path, damage).expect("written");
        assert_eq!(load(folder.path()), Stored::default());
        assert!(path.with_extension("redb.damaged").exists());
        sink(folder.path())(vec![write(1)]).expect("written");
        assert_eq!(load(folder.path()).messages, [message(1)]);
    }
}

#[test]
fn how_far_a_message_has_come_may_be_told_after_it_gave_way() {
    let folder = folder();
    let delivery = Delivery { state: State::Sent, delivered_to: 1, delivered_of: 2 };
    sink(folder.path())(vec![Write::Delivery { cursor: 9, delivery }]).expect("written");
    assert_eq!(load(folder.path()).messages, []);
}
