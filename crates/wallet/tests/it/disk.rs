//! The file on disk: for its owner alone, whole or not there, for one process at a time.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use meshline_wallet::file::{MAX_FILE, Place, PlaceError};

use crate::support::Home;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_its_owners_alone_and_nothing_is_left_beside_it() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    place.create(b"one").unwrap();
    assert_eq!((mode(&home.path()), place.read().unwrap()), (0o600, b"one".to_vec()));
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o644)).unwrap();
    place.replace(b"two").unwrap();
    assert_eq!((mode(&home.path()), place.read().unwrap()), (0o600, b"two".to_vec()));
    let mut names: Vec<String> =
        fs::read_dir(home.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".wallet.lock", "wallet"]);
}

#[test]
fn a_file_that_is_there_is_never_created_over() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    place.create(b"one").unwrap();
    assert!(matches!(place.create(b"two"), Err(PlaceError::Present(_))));
    assert_eq!(place.read().unwrap(), b"one");
}

#[test]
fn what_a_crash_left_half_written_is_not_read_and_gives_way() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    place.create(b"old").unwrap();
    fs::write(home.folder().join(".wallet.draft"), b"ne").unwrap();
    assert_eq!(place.read().unwrap(), b"old");
    place.replace(b"new").unwrap();
    assert_eq!(place.read().unwrap(), b"new");
    assert!(!home.folder().join(".wallet.draft").exists());
}

#[test]
fn a_link_in_the_place_of_the_draft_is_not_followed() {
    let home = Home::new();
    let victim = home.folder().join("victim");
    fs::write(&victim, b"mine").unwrap();
    symlink(&victim, home.folder().join(".wallet.draft")).unwrap();
    Place::take(&home.path()).unwrap().create(b"keys").unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn where_it_cannot_be_written_the_old_file_stays() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    place.create(b"old").unwrap();
    // A folder in the place of the draft: neither removed as a file nor written.
    fs::create_dir(home.folder().join(".wallet.draft")).unwrap();
    assert!(matches!(place.replace(b"new"), Err(PlaceError::Io { verb: "write", .. })));
    assert_eq!(place.read().unwrap(), b"old");
}

#[test]
fn one_at_a_time_has_it() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    assert!(matches!(Place::take(&home.path()), Err(PlaceError::Busy(_))));
    drop(place);
    assert!(Place::take(&home.path()).is_ok());
}

#[test]
fn what_is_missing_or_too_large_is_said() {
    let home = Home::new();
    let place = Place::take(&home.path()).unwrap();
    let error = place.read().unwrap_err();
    assert!(error.to_string().ends_with("there is no wallet yet; `wallet new` makes one"), "{error}");
    fs::write(home.path(), vec![0; MAX_FILE as usize]).unwrap();
    assert_eq!(place.read().unwrap().len(), MAX_FILE as usize);
    fs::write(home.path(), vec![0; MAX_FILE as usize + 1]).unwrap();
    assert!(matches!(place.read(), Err(PlaceError::TooLarge(_))));
    assert!(matches!(Place::take(&home.folder().join("none/wallet")), Err(PlaceError::Io { .. })));
}
