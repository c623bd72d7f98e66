//! Which of the announced addresses are listed.

use meshline_identity::RecordError;

use super::*;

/// The addresses listed of member `n`.
fn listed(registry: &mut Registry, n: u16) -> Vec<String> {
    let nodes = list(registry, NOW).nodes;
    let node = nodes.iter().find(|node| node.id == Some(id(n))).expect("listed");
    node.addresses.iter().map(ToString::to_string).collect()
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

#[test]
fn an_address_is_listed_if_its_host_is_the_observed_one() {
    let mut registry = registry(ROOMY);
    let text = at(1, &["192.0.2.1:6001", "192.0.2.2:6001", "[2001:db8::1]:6001", "example.org:6001", "192.0.2.1:0"]);
    let granted = announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("welcome");
    assert_eq!(listed(&mut registry, 1), ["192.0.2.1:6001"]);
    assert_eq!(granted.unproved.len(), 4);
}

#[test]
fn ipv6_forms_of_one_address_are_equal() {
    for (observed, announced) in [
        ("2001:db8::1", "[2001:db8:0:0::1]:6001"),
        ("::ffff:192.0.2.1", "192.0.2.1:6001"),
        ("192.0.2.1", "[::ffff:192.0.2.1]:6001"),
    ] {
        let mut registry = registry(ROOMY);
        announce_from(&mut registry, 1, &at(1, &[announced]), (observed, NOW)).expect("welcome");
        assert_eq!(listed(&mut registry, 1), [announced]);
    }
}

#[test]
fn on_loopback_all_its_names_are_equal_and_nothing_else_is() {
    let mut registry = registry(ROOMY);
    let names = ["127.0.0.1:6001", "[::1]:6001", "localhost:6001", "127.0.0.2:6001"];
    let text = at(1, &[&names[..], &["192.168.0.1:6001", "10.0.0.1:6001"]].concat());
    announce_from(&mut registry, 1, &text, ("::1", NOW)).expect("welcome");
    assert_eq!(listed(&mut registry, 1), names);
}

#[test]
fn loopback_announced_from_elsewhere_is_not_listed() {
    let mut registry = registry(ROOMY);
    let text = at(1, &["127.0.0.1:6001", "localhost:6001"]);
    announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("welcome");
    assert!(listed(&mut registry, 1).is_empty());
}

#[test]
fn an_unspecified_host_means_where_the_member_was_seen() {
    for (observed, announced, wanted) in [
        ("192.0.2.1", "0.0.0.0:6001", "192.0.2.1:6001"),
        ("192.0.2.1", "[::]:6001", "192.0.2.1:6001"),
        ("2001:db8::1", "[::]:6001", "[2001:db8::1]:6001"),
        ("127.0.0.1", "0.0.0.0:6001", "127.0.0.1:6001"),
    ] {
        let mut registry = registry(ROOMY);
        announce_from(&mut registry, 1, &at(1, &[announced]), (observed, NOW)).expect("welcome");
        assert_eq!(listed(&mut registry, 1), [wanted]);
    }
}

#[test]
fn a_record_repeated_from_elsewhere_proves_nothing_and_changes_nothing() {
    let mut registry = registry(ROOMY);
    let text = at(1, &["0.0.0.0:6001", "192.0.2.3:6001"]);
    announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("welcome");
    announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("a refresh");
    for elsewhere in ["192.0.2.2", "192.0.2.3"] {
        let refused = announce_from(&mut registry, 1, &text, (elsewhere, NOW)).expect_err("neither list nor secret");
        assert_eq!(refused, Refusal::Record(RecordError::Outdated));
        assert_eq!(listed(&mut registry, 1), ["192.0.2.1:6001"]);
    }
}

#[test]
fn an_address_that_answered_is_listed_until_it_does_not() {
    let mut registry = registry(ROOMY);
    let text = at(1, &["192.0.2.1:6001", "198.51.100.1:6001"]);
    let granted = announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("welcome");
    let other = address("198.51.100.1:6001");
    assert_eq!(granted.unproved, std::slice::from_ref(&other));
    registry.settle(id(1), &open(), NOW, (&other, true));
    assert_eq!(listed(&mut registry, 1), ["192.0.2.1:6001", "198.51.100.1:6001"]);
    registry.settle(id(1), &open(), NOW, (&other, false));
    assert_eq!(listed(&mut registry, 1), ["192.0.2.1:6001"]);
}

#[test]
fn a_dial_back_cannot_take_away_where_the_member_was_seen_nor_prove_what_was_not_announced() {
    let mut registry = registry(ROOMY);
    announce_from(&mut registry, 1, &at(1, &["192.0.2.1:6001"]), ("192.0.2.1", NOW)).expect("welcome");
    registry.settle(id(1), &open(), NOW, (&address("192.0.2.1:6001"), false));
    registry.settle(id(1), &open(), NOW, (&address("198.51.100.1:6001"), true));
    registry.settle(id(2), &open(), NOW, (&address("192.0.2.1:6001"), true));
    assert_eq!(listed(&mut registry, 1), ["192.0.2.1:6001"]);
}

#[test]
fn what_answered_stays_listed_over_a_newer_announcement_and_is_asked_again() {
    let mut registry = registry(ROOMY);
    let (kept, dropped) = (address("198.51.100.1:6001"), address("198.51.100.2:6001"));
    let text = at(1, &[kept.as_str(), dropped.as_str()]);
    announce_from(&mut registry, 1, &text, ("192.0.2.1", NOW)).expect("welcome");
    registry.settle(id(1), &open(), NOW, (&kept, true));
    registry.settle(id(1), &open(), NOW, (&dropped, true));
    let newer = Announcement { seq: NOW.offset(1), ..at(1, &[kept.as_str()]) };
    let granted = announce_from(&mut registry, 1, &newer, ("192.0.2.1", NOW)).expect("newer");
    assert_eq!(listed(&mut registry, 1), [kept.to_string()]);
    assert_eq!(granted.unproved, std::slice::from_ref(&kept));
    registry.settle(id(1), &open(), NOW, (&kept, false));
    assert_eq!(listed(&mut registry, 1), [kept.to_string()], "an answer about the older announcement comes too late");
    registry.settle(id(1), &open(), NOW.offset(1), (&kept, false));
    assert!(listed(&mut registry, 1).is_empty());
}
