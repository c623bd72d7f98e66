//! Nine of ten members that a newcomer is linked with lie about where others are: it finds those who can be found as soon
//! as if nobody lied, and drops who hands out what nobody signed.

use meshline_identity::KeyPair;
use meshline_mesh::{Config, Event};
use meshline_protocol::limits::MAX_RECORDS;
use meshline_protocol::message::{Announcement, Echo, Gossip, Hello, Peers, PeersShuffle, Records};
use meshline_protocol::{Bounded, Code, Message, NetworkId, SignedRecord};
use meshline_sim::{MS, Puppet, SECOND, Spoiling, World, address, seed};

use crate::support::seconds;

/// The newcomer.
const NEW: usize = 0;

/// Members that it is linked with from the start.
const LINKED: usize = 10;

/// Members that only others can tell it of.
const FURTHER: usize = 8;

/// More invalid messages than a link may bring.
const MESSAGES: usize = 40;

/// A mesh that a newcomer finds by so many honest members.
fn town(mut world: World, honest: usize) -> World {
    world.add(|config| config.peers = (1..=honest).map(address).collect());
    for node in 1..=honest + FURTHER {
        world.add(|config| config.peers = (node > 1).then(|| address(1)).into_iter().collect());
    }
    (1..=honest + FURTHER).for_each(|node| world.start(node));
    world.run_for(20 * SECOND);
    world
}

/// How long the newcomer takes to be linked with those who only others can tell it of.
fn found_after(world: &mut World, honest: usize) -> u64 {
    let further = honest + 1..=honest + FURTHER;
    let took = world.run_until(60 * SECOND, MS, |world| further.clone().all(|node| world.is_linked(NEW, node)));
    took.unwrap_or_else(|| panic!("after a minute: {} links", world.links(NEW)))
}

/// A member's announcement of such an address, spoilt.
fn announced(world: &World, key: &KeyPair, at: &str, spoil: impl FnOnce(&mut Announcement)) -> SignedRecord {
    let config = Config::new(world.network_id(), "puppet".parse().expect("a name"));
    let mut text = Announcement {
        addresses: Bounded::from_first([at.parse().expect("an address")]),
        membership: world.membership(key.id(), &config),
        ..world.announcement_text()
    };
    spoil(&mut text);
    world.puppet_announcement(key, &text)
}

fn somebody(world: &mut World) -> KeyPair {
    KeyPair::from_secret(world.rng().bytes())
}

/// An address that nobody answers at, of the documentation's block.
fn nowhere(number: usize) -> String {
    format!("203.0.113.{}:6001", number % 250 + 1)
}

/// Where a member is said to be who is somewhere else.
fn moved(world: &mut World, number: usize) -> SignedRecord {
    let key = world.node_key(1).clone();
    let mut record = announced(world, &key, &nowhere(number), |_| {});
    record.signed = record.signed.replace("203.0.113", "198.51.100");
    record
}

/// A member of another network.
fn foreign(world: &mut World, number: usize) -> SignedRecord {
    let (key, other) = (somebody(world), NetworkId::Closed(somebody(world).id()));
    announced(world, &key, &nowhere(number), |text| text.network = other)
}

/// One of a flood of members that nobody has invited.
fn invented(world: &mut World, number: usize) -> SignedRecord {
    let key = somebody(world);
    announced(world, &key, &nowhere(number), |text| text.membership = None)
}

/// One who could be a member.
fn made_up(world: &mut World, number: usize) -> SignedRecord {
    let key = somebody(world);
    announced(world, &key, &nowhere(number), |_| {})
}

fn told(records: Vec<SignedRecord>) -> Message {
    Message::Gossip(Gossip::Records(Records { records: Bounded::from_first(records) }))
}

type Lie = fn(&mut World, usize) -> SignedRecord;

/// What liars hand out, and the name of that.
const LIES: [(Lie, Code); 3] =
    [(moved, Code::BadSignature), (foreign, Code::RecordForeign), (invented, Code::NotMember)];

/// A member that is linked with the newcomer.
fn linked(world: &mut World) -> Puppet {
    let puppet = world.puppet(NEW);
    let announcement = announced(world, &puppet.key, &nowhere(0), |_| {});
    let hello = Hello { announcement, ..world.puppet_hello(&puppet.key) };
    world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    // Any message after the hellos shows that it was accepted.
    world.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
    puppet
}

/// False records in many messages; if it `is_sly` after a good one of somebody that could be.
fn lie(world: &mut World, puppet: &Puppet, lie: Lie, is_sly: bool) {
    for message in 0..MESSAGES {
        let mut records: Vec<SignedRecord> = is_sly.then(|| made_up(world, message)).into_iter().collect();
        records.extend((0..3).map(|number| lie(world, number)));
        world.puppet_send(puppet, told(records));
    }
}

#[test]
fn where_nine_of_ten_hand_out_false_addresses_the_others_are_found_and_every_liar_is_dropped_by_name() {
    let mut honest = town(World::closed(seed(1)).verified_once(), LINKED);
    honest.start(NEW);
    let without = found_after(&mut honest, LINKED);
    let mut world = town(World::closed(seed(1)).verified_once(), 1);
    world.start(NEW);
    let liars: Vec<Puppet> = (1..LINKED).map(|_| linked(&mut world)).collect();
    for (number, (liar, what)) in liars.iter().zip(LIES.iter().cycle()).enumerate() {
        lie(&mut world, liar, what.0, number < LIES.len());
    }
    let with = found_after(&mut world, 1);
    println!(
        "all are found after {:.3} s where nobody lies, {:.3} s where nine of ten do",
        seconds(without),
        seconds(with)
    );
    world.run_for(SECOND);
    for (liar, (_, code)) in liars.iter().zip(LIES.iter().cycle()) {
        assert_eq!(world.puppet_refusal(liar), Some(Code::TooManyFaults), "{code:?}");
        let id = liar.key.id();
        let named = |event: &Event| matches!(event, Event::Misbehaved { peer, code: said, .. } if peer.id == id && said == code);
        assert!(world.mesh_events(NEW).any(named), "{code:?}");
    }
    assert!(with <= 2 * without, "{with} µs instead of {without} µs");
    assert_eq!(world.links(NEW), 1 + FURTHER, "with the honest ones, and nobody else");
}

#[test]
fn a_flood_of_made_up_members_of_an_open_network_holds_up_nobody_who_can_be_found() {
    let mut honest = town(World::new(seed(2)).verified_once(), LINKED);
    honest.start(NEW);
    let without = found_after(&mut honest, LINKED);
    let mut world = town(World::new(seed(2)).verified_once(), 1);
    world.start(NEW);
    // Anybody may be a member here: that is no lie, and costs only what it takes to try.
    for _ in 1..LINKED {
        let puppet = linked(&mut world);
        for message in 0..4 {
            let records = (0..MAX_RECORDS).map(|number| made_up(&mut world, MAX_RECORDS * message + number)).collect();
            world.puppet_send(&puppet, told(records));
        }
    }
    let with = found_after(&mut world, 1);
    println!("all are found after {:.3} s alone, {:.3} s among a flood", seconds(without), seconds(with));
    assert!(with <= 2 * without, "{with} µs instead of {without} µs");
}

#[test]
fn who_exchanges_addresses_that_nobody_signed_is_refused_by_name() {
    let mut world = World::closed(seed(3)).verified_once();
    world.add(|config| config.max_links = 8);
    world.add(|_| {});
    world.start(NEW);
    let puppet = linked(&mut world);
    world.run_for(SECOND);
    let records = Bounded::from_first([made_up(&mut world, 1), moved(&mut world, 2)]);
    world.puppet_send(&puppet, Message::Peers(Peers::Shuffle(PeersShuffle { records, reply: true })));
    world.run_for(SECOND);
    assert_eq!(world.puppet_refusal(&puppet), Some(Code::BadSignature));
    assert_eq!(world.status(NEW).refused.get(Code::BadSignature.name()), Some(&1), "counted once");
    assert!(world.peers(NEW).len() >= 2, "what was good beside it is known");
}

#[test]
fn accomplices_tell_of_nobody_but_each_other() {
    let mut world = World::new(seed(4)).verified_once();
    for node in 0..8 {
        world.add(|config| config.peers = (node > 0).then(|| address(0)).into_iter().collect());
    }
    let accomplices = [NEW, 1, 2];
    accomplices.iter().for_each(|node| world.spoil(*node, Spoiling::Conspire));
    world.start_all();
    world.run_for(10 * SECOND);
    let puppet = linked(&mut world);
    world.run_for(SECOND);
    let records = Bounded::from_first([made_up(&mut world, 1)]);
    world.puppet_send(&puppet, Message::Peers(Peers::Shuffle(PeersShuffle { records, reply: true })));
    world.run_for(SECOND);
    let told = world.puppet_got(&puppet).into_iter().find_map(|message| match message {
        Message::Peers(Peers::Shuffle(told)) => Some(told.records.clone()),
        _ => None,
    });
    let told: Vec<Option<usize>> = told.expect("an answer").iter().map(|record| world.index(record.by)).collect();
    assert!(told.len() > 1, "{told:?}");
    assert!(told.iter().all(|node| node.is_some_and(|node| accomplices.contains(&node))), "{told:?}");
}
