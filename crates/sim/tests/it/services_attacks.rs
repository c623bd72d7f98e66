//! Lists of services that are forged, oversized, over, replayed or foreign.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::limits::MAX_SERVICES;
use meshline_protocol::message::{
    Broadcast, BroadcastMessage, Health, RecordText, ServiceList, Services, ServicesCompare, ServicesEntry,
    ServicesLists, ServicesName, ServicesNames, SignedBroadcast,
};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId, SignedRecord, UnixMicros};
use meshline_services::discovery::{DEFAULT_TTL_S, GROWTH, MAX_CLOCK_ERROR, MAX_TOTAL, MAX_TTL, MIN_TTL};
use meshline_sim::{MS, Pair, Puppet, SECOND, World, offered, seed};

use crate::support::{link, linked_puppet, misbehaved};

const MINUTE: i64 = 60_000_000;

fn list(at: UnixMicros, ttl_s: u32, names: &[&str]) -> ServiceList {
    let services = names.iter().map(|name| offered(name, "_http._tcp", Health::Up));
    ServiceList { at, ttl_s, services: Bounded::from_first(services) }
}

fn text_of(list: &ServiceList) -> String {
    serde_json::to_string(list).expect("plain data")
}

fn signed(world: &World, key: &KeyPair, seq: UnixMicros, text: &str) -> (ServicesEntry, Bytes) {
    let text = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: world.network_id(),
        seq,
        expires: world.wall().offset(10 * MINUTE),
        time: world.wall(),
        clock: world.wall(),
        service: "services".parse().expect("a name"),
        text: text.to_owned(),
    };
    let body = serde_json::to_vec(&text).expect("plain data");
    let len = u32::try_from(body.len()).expect("short");
    (ServicesEntry { by: key.id(), seq, sig: key.sign_bytes(&body), len }, body.into())
}

/// Has the puppet send its own list to all.
fn send(pair: &mut Pair, puppet: &Puppet, seq: UnixMicros, text: &str) {
    let (entry, body) = signed(pair, &puppet.key, seq, text);
    let line = BroadcastMessage {
        by: entry.by,
        seq,
        sig: entry.sig,
        attempt: 0,
        holders: Bounded::default(),
        trail: Default::default(),
        silent: true,
        announcement: None,
    };
    pair.puppet_send(puppet, Frame { message: Message::Broadcast(Broadcast::Flood(line)), body: Some(body) });
    pair.run_for(100 * MS);
}

fn refused(pair: &mut Pair, code: Code) -> u64 {
    pair.service_report(0).refused.get(code.name()).copied().unwrap_or(0)
}

#[test]
fn a_list_that_does_not_hold_is_refused_by_name() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let now = pair.wall();
    let hour = i64::from(MAX_TTL) * 1_000_000;
    let double = text_of(&list(now, 120, &["a", "a"]));
    let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| offered(name, "_http._tcp", Health::Up)).collect();
    let many = serde_json::json!({"at": now, "ttl_s": 120, "services": many}).to_string();
    for (text, code) in [
        (text_of(&list(now.offset(-121_000_000), 120, &["a"])), Code::RecordExpired),
        (text_of(&list(now.offset(-hour - MINUTE), MAX_TTL, &["a"])), Code::RecordExpired),
        (text_of(&list(now.offset(MAX_CLOCK_ERROR + MINUTE), 120, &["a"])), Code::RecordEarly),
        (text_of(&list(now, MIN_TTL - 1, &["a"])), Code::InvalidMessage),
        (text_of(&list(now, MAX_TTL + 1, &["a"])), Code::InvalidMessage),
        (double, Code::InvalidMessage),
        (many, Code::InvalidMessage),
        ("what is this".to_owned(), Code::InvalidMessage),
    ] {
        let before = refused(&mut pair, code);
        let seq = pair.wall();
        send(&mut pair, &puppet, seq, &text);
        assert_eq!(refused(&mut pair, code), before + 1, "{code:?}: {text}");
        assert!(pair.services(0).is_empty() && pair.services(1).is_empty(), "{text}");
    }
    assert!(misbehaved(&pair).is_empty(), "whoever passes a list on does not read it");
}

#[test]
fn an_older_list_does_not_come_back_after_a_newer_one() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let (older, newer) = (pair.wall(), pair.wall().offset(1));
    let (first, second) = (text_of(&list(older, 120, &["a"])), text_of(&list(newer, 120, &["b"])));
    send(&mut pair, &puppet, newer, &second);
    send(&mut pair, &puppet, older, &first);
    assert_eq!(pair.services(1).iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(refused(&mut pair, Code::RecordOutdated), 1);
}

#[test]
fn nobody_makes_a_list_hold_longer_than_its_time_after_it_came() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let ahead = pair.wall().offset(MAX_CLOCK_ERROR - 1_000_000);
    let text = text_of(&list(ahead, 60, &["a"]));
    let seq = pair.wall();
    send(&mut pair, &puppet, seq, &text);
    assert!(pair.services(0)[0].expires_us <= 60 * SECOND, "{:?}", pair.services(0));
    pair.run_for(61 * SECOND);
    assert!(pair.services(0).is_empty() && pair.services(1).is_empty());
    assert!(i64::from(DEFAULT_TTL_S) * 1_000_000 > MAX_CLOCK_ERROR);
}

/// Answers node 0's comparison with the name of one list; it is asked for then.
fn announce(pair: &mut Pair, puppet: &Puppet, by: NodeId, seq: UnixMicros) {
    let compares = pair.puppet_got(puppet).into_iter();
    let compares = compares.filter(|message| matches!(message, Message::Services(Services::Compare(_))));
    assert!(compares.count() > 0, "node 0 asks whoever comes");
    let names = ServicesNames { names: Bounded::from_first([ServicesName { by, seq }]), more: false };
    pair.puppet_send(puppet, Message::Services(Services::Names(names)));
    pair.run_for(200 * MS);
    let got = pair.puppet_got(puppet);
    let wanted = got.into_iter().any(|message| matches!(message, Message::Services(Services::Want(_))));
    assert!(wanted, "what is missing is asked for");
}

fn lists(entry: ServicesEntry, body: Bytes) -> Frame {
    let lists = ServicesLists { lists: Bounded::from_first([entry]), owners: Bounded::default() };
    Frame { message: Message::Services(Services::Lists(lists)), body: Some(body) }
}

#[test]
fn a_list_made_up_in_anothers_name_is_refused_and_costs_who_brings_it() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let (victim, seq) = (pair.id(1), pair.wall());
    announce(&mut pair, &puppet, victim, seq);
    let (entry, body) = signed(&pair, &puppet.key, seq, &text_of(&list(seq, 120, &["bank"])));
    pair.puppet_send(&puppet, lists(ServicesEntry { by: victim, ..entry }, body));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::BadSignature]);
    assert_eq!(refused(&mut pair, Code::BadSignature), 1);
    assert!(pair.services(0).is_empty());
}

#[test]
fn a_list_of_somebody_whom_nobody_vouches_for_is_left_out() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let (stranger, seq) = (KeyPair::from_secret([9; 32]), pair.wall());
    announce(&mut pair, &puppet, stranger.id(), seq);
    let (entry, body) = signed(&pair, &stranger, seq, &text_of(&list(seq, 120, &["a"])));
    pair.puppet_send(&puppet, lists(entry, body));
    pair.run_for(SECOND);
    assert!(pair.services(0).is_empty() && misbehaved(&pair).is_empty());
    assert_eq!(refused(&mut pair, Code::NotMember), 1);
}

#[test]
fn lists_are_taken_from_whoever_kept_them_and_lengths_must_fit() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let seq = pair.wall();
    let own = puppet.key.id();
    announce(&mut pair, &puppet, own, seq);
    let (entry, body) = signed(&pair, &puppet.key, seq, &text_of(&list(seq, 120, &["a"])));
    pair.puppet_send(&puppet, lists(entry, body));
    pair.run_for(SECOND);
    assert_eq!(pair.services(0).len(), 1, "a list that was asked for");
    let (mut pair, puppet) = linked_puppet(seed(1));
    announce(&mut pair, &puppet, puppet.key.id(), seq);
    let (entry, body) = signed(&pair, &puppet.key, seq, &text_of(&list(seq, 120, &["a"])));
    pair.puppet_send(&puppet, lists(ServicesEntry { len: u32::MAX, ..entry }, body));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::InvalidMessage]);
}

#[test]
fn lists_that_nobody_asked_for_change_nothing_and_a_comparison_needs_a_digest() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    pair.run_for(12 * SECOND);
    let seq = pair.wall();
    let (entry, body) = signed(&pair, &puppet.key, seq, &text_of(&list(seq, 120, &["a"])));
    pair.puppet_send(&puppet, lists(entry, body));
    pair.run_for(SECOND);
    assert!(pair.services(0).is_empty());
    let compare = ServicesCompare { digests: Bounded::default() };
    let (mut pair, puppet) = linked_puppet(seed(1));
    pair.puppet_send(&puppet, Message::Services(Services::Compare(compare)));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::InvalidMessage]);
}

#[test]
fn a_member_that_asks_without_end_is_answered_as_often_as_anybody_needs() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    pair.offer_named(0, &["web".to_owned()]);
    for _ in 0..2_000 {
        let compare = ServicesCompare { digests: Bounded::from_first(["0".repeat(32)]) };
        pair.puppet_send(&puppet, Message::Services(Services::Compare(compare)));
    }
    pair.run_for(SECOND);
    let got = pair.puppet_got(&puppet);
    let answers = got.into_iter().filter(|message| matches!(message, Message::Services(Services::Names(_)))).count();
    assert!((256..300).contains(&answers), "{answers} answers");
}

/// Lists that a puppet has of members it made up, with their announcements.
#[derive(Default)]
struct Shelf {
    lists: BTreeMap<NodeId, (ServicesEntry, Bytes, SignedRecord)>,
    /// Messages that were answered.
    answered: usize,
}

impl Shelf {
    /// A member offers so many services.
    fn put(&mut self, pair: &Pair, key: &KeyPair, services: usize) {
        let (seq, record) = (pair.wall(), pair.puppet_announcement(key, &pair.announcement_text()));
        let names: Vec<String> = (0..services).map(|n| format!("s{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (entry, body) = signed(pair, key, seq, &text_of(&list(seq, MAX_TTL, &names)));
        self.lists.insert(key.id(), (entry, body, record));
    }

    /// A puppet links with node 0, and answers what it is asked for ten seconds, six lists at a time: they fit a message.
    fn serve(&mut self, pair: &mut Pair) {
        let puppet = &link(pair);
        self.answered = 0;
        for _ in 0..200 {
            pair.run_for(50 * MS);
            let got: Vec<Message> = pair.puppet_got(puppet).into_iter().skip(self.answered).cloned().collect();
            self.answered += got.len();
            for message in got {
                match message {
                    Message::Services(Services::Compare(_)) => {
                        let names =
                            self.lists.values().map(|(entry, ..)| ServicesName { by: entry.by, seq: entry.seq });
                        let names = ServicesNames { names: Bounded::from_first(names), more: false };
                        pair.puppet_send(puppet, Message::Services(Services::Names(names)));
                    }
                    Message::Services(Services::Want(want)) => {
                        let found: Vec<_> = want.owners.iter().filter_map(|by| self.lists.get(by)).take(6).collect();
                        let lists = ServicesLists {
                            lists: Bounded::from_first(found.iter().map(|(entry, ..)| entry.clone())),
                            owners: Bounded::from_first(found.iter().map(|(.., record)| record.clone())),
                        };
                        let body = found.iter().flat_map(|(_, body, _)| body.to_vec()).collect::<Vec<u8>>();
                        let message = Message::Services(Services::Lists(lists));
                        pair.puppet_send(puppet, Frame { message, body: Some(body.into()) });
                    }
                    _ => {}
                }
            }
        }
        pair.puppet_close(puppet);
    }
}

#[test]
fn in_a_full_directory_who_is_listed_renews_and_grows_and_a_newcomer_is_refused_by_name() {
    let mut pair = Pair::linked(seed(1));
    let keys: Vec<KeyPair> = (1..=240).map(|number| KeyPair::from_secret([number; 32])).collect();
    let newcomers = MAX_TOTAL - MAX_SERVICES - GROWTH;
    let (first, last) = (&keys[0], &keys[239]);
    let mut shelf = Shelf::default();
    shelf.put(&pair, first, MAX_SERVICES - 1);
    keys[1..239].iter().for_each(|key| shelf.put(&pair, key, MAX_SERVICES));
    shelf.serve(&mut pair);
    let listed = |pair: &mut Pair| pair.service_report(0).services;
    assert_eq!(listed(&mut pair), newcomers - 1);
    assert_eq!(refused(&mut pair, Code::TooManyServices), 0);
    shelf.put(&pair, last, 2);
    shelf.serve(&mut pair);
    assert!(refused(&mut pair, Code::TooManyServices) > 0, "there is room for one");
    assert_eq!(listed(&mut pair), newcomers - 1);
    // Its own are always listed, and whoever is listed goes on.
    let own: Vec<String> = (0..MAX_SERVICES).map(|n| format!("own{n}")).collect();
    pair.offer_named(0, &own);
    shelf.put(&pair, first, MAX_SERVICES);
    keys[1..239].iter().for_each(|key| shelf.put(&pair, key, MAX_SERVICES));
    shelf.serve(&mut pair);
    assert_eq!(listed(&mut pair), newcomers + MAX_SERVICES);
    let of_first = pair.services(0).into_iter().filter(|entry| entry.member == first.id()).count();
    assert_eq!(of_first, MAX_SERVICES, "a member that is listed may add something");
    assert!(misbehaved(&pair).is_empty());
}
