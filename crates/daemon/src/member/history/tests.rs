//! What is written is read again, whatever happens to the file.

use std::os::unix::fs::PermissionsExt;

use meshline_identity::KeyPair;
use tempfile::TempDir;

use super::*;
use crate::files::MAX_ASIDE;

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

fn loaded(data_dir: &Path) -> Stored {
    load(data_dir).expect("readable, or damaged")
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
    let stored = loaded(folder.path());
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
    assert_eq!(loaded(copy.path()).messages, [message(1)]);
}

#[test]
fn damaged_files_are_put_aside_by_number_and_the_next_message_makes_a_new_one() {
    let folder = folder();
    let path = file(folder.path());
    for (number, damage) in [b"not a database".to_vec(), vec![0; 5_000]].into_iter().enumerate() {
        std::fs::write(&path, &damage).expect("written");
        assert_eq!(loaded(folder.path()), Stored::default());
        let aside = path.with_extension(format!("redb.damaged-{}", number + 1));
        assert_eq!(std::fs::read(aside).expect("there"), damage);
        sink(folder.path())(vec![write(1)]).expect("written");
        assert_eq!(loaded(folder.path()).messages, [message(1)]);
    }
}

#[test]
fn so_many_damaged_files_are_kept_and_the_last_gives_way() {
    let folder = folder();
    let path = file(folder.path());
    for number in 1..=MAX_ASIDE + 2 {
        std::fs::write(&path, format!("damage {number}")).expect("written");
        assert_eq!(loaded(folder.path()), Stored::default());
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 9);
    let aside = |number: u32| std::fs::read_to_string(path.with_extension(format!("redb.damaged-{number}")));
    assert_eq!(aside(1).expect("there"), "damage 1");
    assert_eq!(aside(MAX_ASIDE).expect("there"), "damage 11");
}

#[test]
fn a_file_that_cannot_be_opened_now_stays_and_the_start_fails_with_its_name() {
    let folder = folder();
    let path = file(folder.path());
    // As with too many open files or a failing disk: nothing is known of what is in it.
    std::fs::create_dir(&path).expect("made");
    let error = load(folder.path()).expect_err("no file");
    assert!(error.to_string().starts_with(&format!("{}: cannot read", path.display())), "{error}");
    assert!(path.is_dir());
}

#[test]
fn only_what_is_wrong_with_the_content_is_damage() {
    let io = |kind: io::ErrorKind| redb::Error::Io(kind.into());
    for damage in [
        redb::Error::Corrupted("a page".to_owned()),
        redb::Error::UpgradeRequired(1),
        redb::Error::TableDoesNotExist("marks".to_owned()),
        io(io::ErrorKind::InvalidData),
        io(io::ErrorKind::UnexpectedEof),
    ] {
        assert!(is_damage(&damage), "{damage}");
    }
    let many_files = redb::Error::Io(io::Error::from_raw_os_error(24));
    for passing in
        [many_files, io(io::ErrorKind::PermissionDenied), redb::Error::DatabaseAlreadyOpen, redb::Error::PreviousIo]
    {
        assert!(!is_damage(&passing), "{passing}");
    }
}

#[test]
fn how_far_a_message_has_come_may_be_told_after_it_gave_way() {
    let folder = folder();
    let delivery = Delivery { state: State::Sent, delivered_to: 1, delivered_of: 2 };
    sink(folder.path())(vec![Write::Delivery { cursor: 9, delivery }]).expect("written");
    assert_eq!(loaded(folder.path()).messages, []);
}
