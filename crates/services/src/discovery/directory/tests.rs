//! What is kept, found and let go.

use meshline_protocol::ServiceText;
use meshline_protocol::message::Health;

use super::*;

fn id(number: u16) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    bytes[31] = u8::try_from(number % 251).expect("small");
    NodeId::from_bytes(bytes)
}

fn service(name: &str, kind: &str) -> OfferedService {
    let (name, kind) = (name.parse().expect("a name"), kind.parse().expect("a kind"));
    OfferedService { name, kind, port: 80, text: ServiceText::default(), health: Health::Unknown }
}

fn list(owner: u16, seq: u64, services: &[OfferedService]) -> List {
    let body = bytes::Bytes::from(vec![b'x'; 100]);
    let signed = SignedText { by: id(owner), seq: UnixMicros::new(seq), sig: String::new(), body };
    let services = services.iter().map(|service| (service.name.clone(), service.clone())).collect();
    List { signed: Arc::new(signed), until: Mono(1_000 + seq), services }
}

/// 200 members with 50 services each, of four kinds.
fn large() -> Directory {
    let mut directory = Directory::default();
    for owner in 0..200 {
        let kinds = ["_http._tcp", "_ssh._tcp", "_ipp._tcp", "_coap._udp"];
        let services: Vec<_> =
            (0..50).map(|n| service(&format!("s{n}-{}", owner % 100), kinds[n % kinds.len()])).collect();
        directory.put(list(owner, 1, &services));
    }
    directory
}

#[test]
fn ten_thousand_services_are_found_by_name_and_by_kind_without_looking_through_them() {
    let directory = large();
    assert_eq!(directory.services(), 10_000);
    let (name, kind) = ("s7-42".parse().expect("a name"), "_coap._udp".parse().expect("a kind"));
    let found: Vec<NodeId> = directory.find(Some(&name), None).map(|(list, _)| list.signed.by).collect();
    assert_eq!(found, [id(42), id(142)]);
    assert_eq!(directory.find(Some(&name), Some(&kind)).count(), 2);
    assert_eq!(directory.find(None, Some(&kind)).count(), 2_400);
    assert_eq!(directory.find(None, None).count(), 10_000);
    let other = "_http._tcp".parse().expect("a kind");
    assert_eq!(directory.find(Some(&name), Some(&other)).count(), 0);
}

#[test]
fn a_new_list_tells_what_it_changes_and_leaves_nothing_of_the_old_one() {
    let mut directory = Directory::default();
    let (web, ssh) = (service("web", "_http._tcp"), service("ssh", "_ssh._tcp"));
    assert_eq!(directory.put(list(1, 1, &[web.clone(), ssh.clone()])).len(), 2);
    assert!(directory.put(list(1, 2, &[web.clone(), ssh.clone()])).is_empty(), "a renewal is no change");
    let moved = OfferedService { port: 81, ..web.clone() };
    let changes = directory.put(list(1, 3, std::slice::from_ref(&moved)));
    let changed = Change::Changed { owner: id(1), before: web, after: moved };
    assert_eq!(changes, [changed, Change::Removed(id(1), ssh.clone(), Mono(1_002))]);
    assert_eq!(directory.find(Some(&ssh.name), None).count(), 0);
    assert_eq!(directory.find(None, Some(&ssh.kind)).count(), 0);
    assert_eq!((directory.services(), directory.lists(), directory.bytes()), (1, 1, 100));
}

#[test]
fn what_ends_goes_in_its_time_and_what_left_is_remembered_until_then() {
    let mut directory = large();
    assert_eq!(directory.withdraw(&id(7)).len(), 50);
    assert_eq!((directory.services(), directory.owners(), directory.lists()), (9_950, 199, 200));
    assert_eq!(directory.seq_of(&id(7)), Some(UnixMicros::new(1)), "an older one does not come back");
    directory.put(list(8, 50, &[]));
    assert!(directory.expire(Mono(1_000)).is_empty(), "not before");
    assert_eq!(directory.next_end(), Some(Mono(1_001)));
    assert_eq!(directory.expire(Mono(1_001)).len(), 198 * 50);
    assert_eq!((directory.lists(), directory.next_end()), (1, Some(Mono(1_050))));
    directory.expire(Mono(1_050));
    assert_eq!((directory.lists(), directory.services(), directory.bytes()), (0, 0, 0));
    assert_eq!(directory.find(None, None).count(), 0);
}

#[test]
fn there_is_room_up_to_each_bound_and_not_beyond() {
    let mut directory = large();
    let newcomers = MAX_TOTAL - OWN - GROWTH - 10_000;
    assert_eq!(directory.room(&id(999), newcomers, 100), Room::All);
    assert_eq!(directory.room(&id(999), newcomers + 1, 100), Room::None);
    let bytes = MAX_BYTES - OWN_BYTES - GROWTH_BYTES - directory.bytes();
    assert_eq!(directory.room(&id(999), 1, bytes), Room::All);
    assert_eq!(directory.room(&id(999), 1, bytes + 1), Room::None);
    for owner in 200..u16::try_from(MAX_LISTS - 1).expect("small") {
        directory.put(list(owner, 1, &[]));
    }
    assert_eq!(directory.room(&id(60_000), 0, 100), Room::None);
    assert!(directory.is_full(), "who came first stays");
    directory.put(list(4_000, 2, &[]));
    assert_eq!(directory.lists(), MAX_LISTS - 1, "and renews; the last place is this member's own");
    directory.expire(Mono(1_001));
    assert!(!directory.is_full() && directory.room(&id(60_000), 1, 100) == Room::All, "what ends makes room");
}

#[test]
fn who_is_listed_grows_into_a_reserve_and_stays_when_that_is_used_up() {
    let mut directory = large();
    let reserved = MAX_TOTAL - OWN - 9_950;
    assert_eq!(directory.room(&id(1), reserved, 100), Room::All, "in place of its own fifty");
    assert_eq!(directory.room(&id(1), reserved + 1, 100), Room::Listed);
    let bytes = MAX_BYTES - OWN_BYTES - (directory.bytes() - 100);
    assert_eq!(directory.room(&id(1), 50, bytes), Room::All);
    assert_eq!(directory.room(&id(1), 50, bytes + 1), Room::None);
    // Up to the bound, and this member's own beyond it.
    let many: Vec<_> = (0..MAX_TOTAL - 10_000).map(|n| service(&format!("n{n}"), "_http._tcp")).collect();
    directory.put(list(999, 1, &many));
    assert_eq!(directory.services(), MAX_TOTAL);
    for (services, room) in [(50, Room::All), (49, Room::All), (51, Room::Listed)] {
        assert_eq!(directory.room(&id(1), services, 100), room, "{services}");
    }
    let mut long = list(998, 1, &[]);
    let body = bytes::Bytes::from(vec![b'x'; MAX_BYTES - directory.bytes()]);
    long.signed = Arc::new(SignedText { by: id(998), seq: UnixMicros::new(1), sig: String::new(), body });
    directory.put(long);
    for (bytes, room) in [(100, Room::All), (99, Room::All), (101, Room::None)] {
        assert_eq!(directory.room(&id(1), 50, bytes), room, "{bytes} bytes");
    }
}

#[test]
fn equal_copies_have_equal_digests_and_a_newer_list_shows_in_its_slice_alone() {
    let (one, mut other) = (large(), large());
    assert_eq!(one.digests(64), other.digests(64));
    other.put(list(7, 2, &[]));
    let differs: Vec<bool> = one.digests(64).iter().zip(other.digests(64)).map(|(a, b)| *a != b).collect();
    assert_eq!(differs.iter().filter(|differs| **differs).count(), 1);
    let names = other.names_in(&differs);
    assert!(
        names.contains(&ServicesName { by: id(7), seq: UnixMicros::new(2) }) && names.len() < 10,
        "{}",
        names.len()
    );
    assert!(one.names_in(&[]).is_empty());
}
