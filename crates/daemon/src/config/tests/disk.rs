//! What is found out about the key and the membership on disk.

use std::path::Path;

use meshline_identity::{KeyPair, sign};
use meshline_protocol::message::{Membership, RecordText, Role};
use meshline_protocol::{Bounded, NetworkId};

use super::NOW;
use crate::config::{ConfigError, Document, Effective, Input, NodeConfig, check_files, evaluate, read_identity};
use crate::files::{self, Access};

const DAY: i64 = 24 * 3_600 * 1_000_000;

fn key(n: u8) -> KeyPair {
    KeyPair::from_secret([n; 32])
}

fn membership() -> Membership {
    Membership {
        kind: Membership::TYPE.to_owned(),
        network: NetworkId::Closed(key(9).id()),
        seq: NOW,
        expires: NOW.offset(365 * DAY),
        node: key(1).id(),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first([Role::Node]),
    }
}

/// A folder with a key and this membership, signed by key 9, and a configuration of bobby.
fn folder(membership: &Membership, name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    files::write_key(&folder.path().join("a.key"), &key(1)).expect("writable");
    let record = sign(membership, &key(9)).expect("plain data");
    files::write_record(&folder.path().join("m.json"), &record).expect("writable");
    let text =
        format!(r#"{{"name": "{name}", "network": "{}", "key_file": "a.key", "membership": "m.json"}}"#, key(9).id());
    files::write(&folder.path().join("node.json"), text.as_bytes(), Access::Public).expect("writable");
    folder
}

fn checked(folder: &Path) -> Result<Effective<NodeConfig>, ConfigError> {
    let file = Document::read(&folder.join("node.json")).expect("JSON");
    let input = Input { file: Some(file), ..Input::default() };
    check_files(evaluate(&input, NOW)?, &input, NOW)
}

#[track_caller]
fn fault(folder: &Path, expected: &str) {
    let error = checked(folder).expect_err("wrong").to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_key_and_its_membership_are_accepted_and_read() {
    let folder = folder(&membership(), "bobby");
    let effective = checked(folder.path()).expect("valid");
    assert_eq!(effective.warnings, []);
    let identity = read_identity(&effective.config).expect("readable");
    assert_eq!(identity.key.id(), key(1).id());
    assert!(identity.membership.is_some());
}

#[test]
fn a_membership_of_another_key_name_role_or_network_is_refused() {
    let folder_1 = folder(&Membership { node: key(2).id(), ..membership() }, "bobby");
    fault(folder_1.path(), "/membership: found the membership of ");
    let folder_2 = folder(&membership(), "donald");
    fault(folder_2.path(), "/name: found \"donald\", expected the name in the membership, \"bobby\"");
    let folder_3 = folder(&Membership { roles: Bounded::from_first([Role::View]), ..membership() }, "bobby");
    fault(folder_3.path(), "/membership: found the roles view, expected node among them: is this the file of a view?");
    let folder_4 = folder(&Membership { network: NetworkId::Closed(key(8).id()), ..membership() }, "bobby");
    fault(folder_4.path(), "/membership: the record belongs to another network");
}

#[test]
fn a_membership_that_ended_or_ends_soon_is_told_and_left_to_the_members_clocks() {
    let ended = folder(&Membership { expires: NOW.offset(-3 * DAY), ..membership() }, "bobby");
    let warnings = checked(ended.path()).expect("the clock may be wrong").warnings;
    assert!(warnings[0].to_string().contains("warning: /membership: ended 3 days ago, unless"), "{warnings:?}");
    let soon = folder(&Membership { expires: NOW.offset(29 * DAY + 1), ..membership() }, "bobby");
    let warnings = checked(soon.path()).expect("valid still").warnings;
    assert!(warnings[0].to_string().contains("warning: /membership: ends in 29 days"), "{warnings:?}");
    let later = folder(&Membership { expires: NOW.offset(30 * DAY), ..membership() }, "bobby");
    assert_eq!(checked(later.path()).expect("valid").warnings, []);
}

#[test]
fn missing_or_broken_files_are_faults_at_their_keys() {
    let folder = folder(&membership(), "bobby");
    files::write(&folder.path().join("m.json"), b"{}", Access::Public).expect("writable");
    std::fs::remove_file(folder.path().join("a.key")).expect("there");
    let error = checked(folder.path()).expect_err("wrong").to_string();
    assert!(error.contains("/key_file: ") && error.contains("a.key: cannot read"), "{error}");
    assert!(error.contains("/membership: ") && error.contains("m.json: not a signed record"), "{error}");
    assert!(error.contains("node.json:1:"), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_told() {
    let folder = folder(&membership(), "bobby");
    let pem = files::read(&folder.path().join("a.key")).expect("readable");
    files::write(&folder.path().join("a.key"), pem.as_bytes(), Access::Public).expect("writable");
    let warnings = checked(folder.path()).expect("valid").warnings;
    assert!(warnings[0].to_string().contains("can be read by others (mode 644), expected 600"), "{warnings:?}");
}
