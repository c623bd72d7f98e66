//! Connections that must be refused, each by its name and without harm to honest links.

use meshline_identity::KeyPair;
use meshline_mesh::Event;
use meshline_protocol::message::{Echo, Hello};
use meshline_protocol::{Code, Message, UnixMicros};
use meshline_sim::{MS, Pair, SECOND, World, address, seed};

use crate::support::{lost_links, refusals};

/// Sends a spoilt hello to a node that has an honest link, and expects a refusal.
fn refused(world: World, code: Code, spoil: impl FnOnce(&World, &KeyPair, &mut Hello)) {
    let mut pair = Pair::start(world, |_, _| {});
    assert!(pair.is_linked_within(SECOND));
    let puppet = pair.puppet(0);
    let mut hello = pair.puppet_hello(&puppet.key);
    spoil(&pair, &puppet.key, &mut hello);
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(5 * SECOND);
    assert_eq!(pair.puppet_refusal(&puppet), Some(code));
    assert_eq!(refusals(&pair, 0), [(code, false)]);
    assert_eq!(pair.status(0).refused.get(code.name()), Some(&1), "counted by name");
    assert_eq!(lost_links(&pair, 0), []);
}

#[test]
fn another_network_is_refused() {
    refused(World::new(seed(1)), Code::WrongNetwork, |_, _, hello| hello.network = "other".parse().expect("a name"));
}

#[test]
fn a4_an_older_version_is_refused_and_a_newer_one_is_not() {
    refused(World::new(seed(1)), Code::WrongVersion, |_, _, hello| hello.version = 0);
    let mut pair = Pair::linked(seed(1));
    let puppet = pair.puppet(0);
    let hello = Hello { version: 9, ..pair.puppet_hello(&puppet.key) };
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(100 * MS);
    assert_eq!(pair.puppet_refusal(&puppet), None);
}

#[test]
fn a_key_other_than_the_one_proved_is_refused() {
    refused(World::new(seed(1)), Code::IdentityMismatch, |world, _, hello| {
        *hello = world.puppet_hello(world.node_key(1))
    });
    refused(World::new(seed(1)), Code::IdentityMismatch, |world, _, hello| {
        hello.announcement = world.puppet_hello(world.node_key(1)).announcement;
    });
}

#[test]
fn who_is_no_member_is_refused() {
    refused(World::closed(seed(1)), Code::NotMember, |_, _, _| {});
}

#[test]
fn a_borrowed_membership_is_refused() {
    refused(World::closed(seed(1)), Code::RecordForeign, |world, key, hello| {
        let mut text = world.announcement_text();
        text.membership = world.node_membership(1);
        hello.announcement = world.puppet_announcement(key, &text);
    });
}

#[test]
fn a_forged_announcement_is_refused() {
    refused(World::new(seed(1)), Code::BadSignature, |_, _, hello| {
        hello.announcement.signed = hello.announcement.signed.replace("puppet", "muppet");
    });
}

#[test]
fn an_announcement_that_has_ended_is_refused() {
    refused(World::new(seed(1)), Code::RecordExpired, |world, key, hello| {
        let mut text = world.announcement_text();
        (text.seq, text.expires) = (UnixMicros::new(1), UnixMicros::new(2));
        hello.announcement = world.puppet_announcement(key, &text);
    });
}

#[test]
fn anything_before_the_hello_is_refused() {
    let mut pair = Pair::linked(seed(1));
    let puppet = pair.puppet(0);
    pair.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
    pair.run_for(100 * MS);
    assert_eq!(pair.puppet_refusal(&puppet), Some(Code::UnexpectedMessage));
}

#[test]
fn silence_instead_of_a_hello_is_refused_within_five_seconds() {
    let mut pair = Pair::linked(seed(1));
    let puppet = pair.puppet(0);
    pair.run_for(5 * SECOND);
    assert_eq!(pair.puppet_refusal(&puppet), Some(Code::HandshakeTimeout));
    assert_eq!(lost_links(&pair, 0), []);
}

#[test]
fn revocations_that_are_promised_and_do_not_come_are_refused_within_five_seconds() {
    let mut pair = Pair::start(World::closed(seed(1)), |_, _| {});
    assert!(pair.is_linked_within(SECOND));
    let puppet = pair.puppet(0);
    let hello = Hello { revocations: 3, ..pair.puppet_hello(&puppet.key) };
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(5 * SECOND);
    assert_eq!(pair.puppet_refusal(&puppet), Some(Code::HandshakeTimeout));
}

#[test]
fn an_old_announcement_of_a_known_member_is_refused() {
    let mut pair = Pair::linked(seed(1));
    // Whoever stole a key and an old announcement cannot push the member out with it.
    let key = pair.node_key(1).clone();
    let puppet = pair.puppet_with(0, key.clone());
    let mut text = pair.announcement_text();
    (text.seq, text.name) = (text.seq.offset(-60_000_000), "n1".parse().expect("a name"));
    let hello = Hello { announcement: pair.puppet_announcement(&key, &text), ..pair.puppet_hello(&key) };
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(100 * MS);
    assert_eq!(pair.puppet_refusal(&puppet), Some(Code::RecordOutdated));
    assert_eq!(lost_links(&pair, 0), []);
}

#[test]
fn a_node_that_reaches_itself_says_so_and_tries_no_more() {
    let mut world = World::new(seed(1));
    world.add(|config| config.peers = vec![address(0)]);
    world.start(0);
    world.run_for(120 * SECOND);
    assert!(refusals(&world, 0).iter().all(|(code, _)| *code == Code::SelfConnection));
    assert!(world.sent(0, "hello") <= 4, "{} hellos", world.sent(0, "hello"));
    assert_eq!(world.links(0), 0);
}

#[test]
fn another_key_at_a_known_address_is_refused() {
    let mut world = World::new(seed(1));
    world.add(|_| {});
    world.add(|config| config.peers = vec![address(0)]);
    world.start_all();
    world.run_for(3 * SECOND);
    world.kill(0);
    let other = world.add(|config| config.listen = vec![address(0)]);
    world.edit(0, |config, _| config.listen = vec![address(9)]);
    world.start(other);
    world.run_for(30 * SECOND);
    let explained = world.explain(1, 0).expect("known");
    assert!(explained.attempts.iter().any(|attempt| attempt.outcome == "identity_mismatch"), "{explained:?}");
}

#[test]
fn too_many_links_are_refused() {
    let mut world = World::new(seed(1));
    world.add(|config| config.max_links = 2);
    for _ in 1..5 {
        world.add(|config| {
            config.peers = vec![address(0)];
            config.listen.clear();
        });
    }
    world.start_all();
    world.run_for(20 * SECOND);
    assert_eq!(world.links(0), 2);
    let full = (1..5).filter(|node| refusals(&world, *node).contains(&(Code::TooManyLinks, true))).count();
    assert_eq!(full, 2, "the others are told why");
}

#[test]
fn too_many_connections_without_a_hello_are_refused_and_honest_links_stay() {
    let mut pair = Pair::linked(seed(1));
    let puppets: Vec<_> = (0..300).map(|_| pair.puppet(0)).collect();
    pair.run_for(100 * MS);
    let refused = puppets.iter().filter(|one| pair.puppet_refusal(one) == Some(Code::TooManyHandshakes)).count();
    assert_eq!(refused, 300 - 256);
    assert_eq!(lost_links(&pair, 0), []);
    pair.run_for(5 * SECOND);
    let puppet = pair.puppet(0);
    let hello = pair.puppet_hello(&puppet.key);
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(100 * MS);
    assert_eq!(pair.puppet_refusal(&puppet), None, "there is room again");
}

#[test]
fn plain_and_tls_do_not_mix() {
    let mut pair = Pair::start(World::new(seed(1)), |node, config| config.plain = node == 1);
    pair.run_for(5 * SECOND);
    let failed = |event: &Event| matches!(event, Event::ConnectFailed { code: Code::TlsRequired, .. });
    assert!(pair.mesh_events(1).any(failed));
    assert_eq!(pair.links(0), 0);
}

#[test]
fn a_refusal_is_read_by_its_name_in_every_encoding() {
    for encoding in [meshline_protocol::Encoding::Json, meshline_protocol::Encoding::Bson] {
        for dialler_is_member in [true, false] {
            let mut world = World::closed(seed(1)).wire();
            for node in 0..2 {
                world.add(|config| {
                    config.encoding = encoding;
                    config.peers = (0..node).map(address).collect();
                });
            }
            let stranger = usize::from(dialler_is_member);
            world.edit(1 - stranger, |config, _| config.membership = None);
            world.start_all();
            world.run_for(500 * MS);
            let told = refusals(&world, 1 - stranger);
            assert!(told.contains(&(Code::NotMember, true)), "{encoding:?}: {told:?}");
        }
    }
}
