use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).expect("readable").count()
}

#[test]
fn a_written_file_has_its_content_and_mode_and_leaves_no_draft() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, access, bits) in
        [("a", Access::Private, 0o600), ("b", Access::Public, 0o644), ("c", Access::Program, 0o755)]
    {
        let path = folder.path().join(name);
        write(&path, b"old", access).expect("writable");
        write(&path, b"new", access).expect("writable");
        assert_eq!(read(&path).expect("readable"), "new");
        assert_eq!(mode(&path), bits);
    }
    assert_eq!(entries(folder.path()), 3);
}

#[test]
fn a_new_file_never_replaces_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    write_new(&path, b"first", Access::Public).expect("writable");
    let error = write_new(&path, b"second", Access::Public).expect_err("is there");
    assert!(error.is_present());
    assert_eq!(read(&path).expect("readable"), "first");
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn a_key_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/node.key");
    let made = read_or_make_key(&path).expect("made");
    assert_eq!(read_or_make_key(&path).expect("read").id(), made.id());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(too_open(&path), None);
}

#[test]
fn an_open_key_file_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    write(&path, b"x", Access::Public).expect("writable");
    assert_eq!(too_open(&path), Some(0o644));
}

#[test]
fn a_file_that_is_no_key_is_refused_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    write(&path, b"not a key", Access::Private).expect("writable");
    let message = read_or_make_key(&path).expect_err("no key").to_string();
    assert!(message.contains("/key: not an ed25519 private key"), "{message}");
}

#[test]
fn a_file_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let mut content = vec![b'a'; usize::try_from(MAX_FILE).expect("fits")];
    write(&path, &content, Access::Public).expect("writable");
    assert!(read(&path).is_ok());
    content.push(b'a');
    write(&path, &content, Access::Public).expect("writable");
    assert!(matches!(read(&path), Err(FileError::TooLarge(_))));
}

#[test]
fn a_missing_file_says_so() {
    let error = read(Path::new("/nonexistent/file")).expect_err("not there");
    assert!(error.is_missing());
    assert!(error.to_string().starts_with("/nonexistent/file: cannot read"));
}

#[test]
fn a_data_folder_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = lock_folder(folder.path()).expect("free");
    let error = lock_folder(folder.path()).expect_err("taken");
    assert!(error.to_string().ends_with("another process runs with this data folder"), "{error}");
    drop(held);
    assert!(lock_folder(folder.path()).is_ok());
}
