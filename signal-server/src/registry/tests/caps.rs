//! How many entries there may be; each cap at its limit and one beyond.

use super::*;

const TIGHT: Caps = Caps { per_key: 2, per_address: 2, total: 4 };

/// Announces member `n` in the named open network from an address.
fn enter(registry: &mut Registry, n: u16, network: &str, from: &str) -> Result<(), Refusal> {
    let text = Announcement { network: network.parse().expect("a name"), ..text(n) };
    announce_from(registry, n, &text, (from, NOW)).map(|_| ())
}

#[test]
fn one_key_may_be_in_so_many_networks() {
    let mut registry = registry(TIGHT);
    enter(&mut registry, 1, "a", "192.0.2.1").expect("first");
    enter(&mut registry, 1, "b", "192.0.2.2").expect("at the limit");
    assert_eq!(enter(&mut registry, 1, "c", "192.0.2.3"), Err(Refusal::TooManyPerKey));
    enter(&mut registry, 1, "b", "192.0.2.2").expect("one that is there already");
    enter(&mut registry, 2, "c", "192.0.2.3").expect("another key");
    assert_consistent(&registry);
}

#[test]
fn one_address_may_have_so_many_entries() {
    let mut registry = registry(TIGHT);
    enter(&mut registry, 1, "a", "192.0.2.1").expect("first");
    enter(&mut registry, 2, "a", "192.0.2.1").expect("at the limit");
    assert_eq!(enter(&mut registry, 3, "a", "192.0.2.1"), Err(Refusal::TooManyPerAddress));
    enter(&mut registry, 3, "a", "192.0.2.2").expect("another address");
}

#[test]
fn ipv6_addresses_of_one_subscriber_count_as_one_and_a_mapped_one_as_ipv4() {
    let mut registry = registry(TIGHT);
    enter(&mut registry, 1, "a", "2001:db8::1").expect("first");
    enter(&mut registry, 2, "a", "2001:db8::ffff:2").expect("at the limit");
    assert_eq!(enter(&mut registry, 3, "a", "2001:db8::3"), Err(Refusal::TooManyPerAddress));
    enter(&mut registry, 3, "a", "192.0.2.1").expect("another");
    enter(&mut registry, 4, "a", "::ffff:192.0.2.1").expect("at the limit");
    assert_eq!(registry.counts.admit(ip("192.0.2.1"), &TIGHT), Err(Refusal::TooManyPerAddress));
}

#[test]
fn loopback_is_not_counted_but_the_total_is() {
    let mut registry = registry(TIGHT);
    for (n, from) in [(1, "127.0.0.1"), (2, "127.0.0.1"), (3, "127.1.2.3"), (4, "::1")] {
        enter(&mut registry, n, "a", from).expect("up to the total");
    }
    assert_eq!(enter(&mut registry, 5, "a", "127.0.0.1"), Err(Refusal::ServerFull));
    enter(&mut registry, 4, "a", "::1").expect("who is there may stay");
}

#[test]
fn room_is_free_again_when_an_entry_departs_or_ends() {
    let mut registry = registry(Caps { total: 1, ..TIGHT });
    announce(&mut registry, 1, &text(1)).expect("first");
    assert_eq!(announce(&mut registry, 2, &text(2)).expect_err("full"), Refusal::ServerFull);
    depart(&mut registry, 1, NOW.offset(1), NOW).expect("its own");
    announce(&mut registry, 2, &text(2)).expect("departed");
    announce_from(&mut registry, 3, &text(3), ("127.0.0.1", NOW.offset(TTL))).expect("ended");
    assert_consistent(&registry);
}

#[test]
fn who_moves_takes_the_count_along_and_needs_room_where_it_goes() {
    let mut registry = registry(TIGHT);
    enter(&mut registry, 1, "a", "192.0.2.1").expect("first");
    enter(&mut registry, 2, "a", "192.0.2.2").expect("first");
    enter(&mut registry, 3, "a", "192.0.2.2").expect("at the limit");
    let moved = |seq: i64| Announcement { network: "a".parse().expect("a name"), seq: NOW.offset(seq), ..text(1) };
    let outcome = announce_from(&mut registry, 1, &moved(1), ("192.0.2.2", NOW));
    assert_eq!(outcome.expect_err("no room there"), Refusal::TooManyPerAddress);
    announce_from(&mut registry, 1, &moved(2), ("192.0.2.3", NOW)).expect("room here");
    enter(&mut registry, 4, "a", "192.0.2.3").expect("at the limit");
    assert_eq!(enter(&mut registry, 5, "b", "192.0.2.3"), Err(Refusal::ServerFull));
    assert_eq!(registry.counts.admit(ip("192.0.2.1"), &TIGHT), Ok(()));
    assert_consistent(&registry);
}

#[test]
fn a_server_for_certain_networks_serves_no_others() {
    let rules = Rules { ttl_micros: TTL, caps: ROOMY, networks: [open()].into() };
    let mut registry = Registry::new(rules, secret_key(), 1);
    announce(&mut registry, 1, &text(1)).expect("named");
    assert_eq!(enter(&mut registry, 1, "other", "127.0.0.1"), Err(Refusal::NetworkNotServed));
    let other = "other".parse().expect("a name");
    assert_eq!(registry.may_list(&other, None, NOW), Err(Refusal::NetworkNotServed));
    assert_eq!(registry.may_list(&open(), None, NOW), Ok(()));
}
