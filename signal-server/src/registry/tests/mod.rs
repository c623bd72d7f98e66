//! The rules of the registry, one test each. Time is a number here; nothing waits.

mod addresses;
mod caps;
mod closed;
mod entries;
mod lists;
mod shared;

use std::net::IpAddr;

use meshline_identity::{KeyPair, sign};
use meshline_protocol::message::{Announcement, Departure, Membership, RecordText, Revocation, Role};
use meshline_protocol::signal::{ListedNode, NodeList};
use meshline_protocol::{Address, Bounded, NetworkId, NodeId, SignedRecord, UnixMicros};

use super::{Candidate, Caps, Granted, Leaver, Refusal, Registry, Rules, SECRET_CHARS, Secret, SecretKey, Seen};

const NOW: UnixMicros = UnixMicros::new(1_800_000_000_000_000);
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const TTL: i64 = 120 * SECOND;

/// The key of the closed network of these tests.
const NETWORK_KEY: u16 = 60_000;

const ROOMY: Caps = Caps { per_key: 100, per_address: 10_000, total: 10_000 };

fn key(n: u16) -> KeyPair {
    let mut secret = [7; 32];
    secret[..2].copy_from_slice(&n.to_le_bytes());
    KeyPair::from_secret(secret)
}

fn id(n: u16) -> NodeId {
    key(n).id()
}

fn open() -> NetworkId {
    "lab".parse().expect("a name")
}

fn closed() -> NetworkId {
    NetworkId::Closed(id(NETWORK_KEY))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A secret that nobody was given.
fn wrong_secret() -> Secret {
    Secret::parse(&"A".repeat(SECRET_CHARS)).expect("a secret")
}

fn secret_key() -> SecretKey {
    SecretKey::new(&[1; 32])
}

fn registry(caps: Caps) -> Registry {
    Registry::new(Rules { ttl_micros: TTL, caps, networks: [].into() }, secret_key(), 1)
}

/// An announcement of member `n` of the open network that holds for an hour.
fn text(n: u16) -> Announcement {
    Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: open(),
        seq: NOW,
        expires: NOW.offset(HOUR),
        name: format!("member-{n}").parse().expect("a name"),
        roles: Bounded::from_first([Role::Node]),
        addresses: Bounded::default(),
        next: None,
        membership: None,
    }
}

fn at(n: u16, addresses: &[&str]) -> Announcement {
    let addresses = addresses.iter().map(|address| address.parse::<Address>().expect("an address"));
    Announcement { addresses: Bounded::from_first(addresses), ..text(n) }
}

fn signed<T: RecordText>(text: &T, n: u16) -> SignedRecord {
    sign(text, &key(n)).expect("plain data")
}

/// What happens to the announcement of member `n`, seen at `from` at `now`.
fn announce_from(
    registry: &mut Registry,
    n: u16,
    text: &Announcement,
    (from, now): (&str, UnixMicros),
) -> Result<Granted, Refusal> {
    registry.announce(Candidate::check(&signed(text, n), now)?, Seen { observed: ip(from), now })
}

fn announce(registry: &mut Registry, n: u16, text: &Announcement) -> Result<Granted, Refusal> {
    announce_from(registry, n, text, ("127.0.0.1", NOW))
}

fn departure(network: NetworkId, seq: UnixMicros) -> Departure {
    Departure { kind: Departure::TYPE.to_owned(), network, seq, expires: NOW.offset(HOUR) }
}

fn depart(registry: &mut Registry, n: u16, seq: UnixMicros, now: UnixMicros) -> Result<(), Refusal> {
    registry.depart(Leaver::check(&signed(&departure(open(), seq), n), id(n), now)?, now)
}

fn refresh(registry: &mut Registry, n: u16, secret: Secret, now: UnixMicros) -> Result<Granted, Refusal> {
    registry.refresh(id(n), &open(), &secret.text(), Seen { observed: ip("127.0.0.1"), now })
}

fn membership(n: u16, seq: UnixMicros) -> SignedRecord {
    let text = Membership {
        kind: Membership::TYPE.to_owned(),
        network: closed(),
        seq,
        expires: NOW.offset(100 * HOUR),
        node: id(n),
        name: format!("member-{n}").parse().expect("a name"),
        roles: Bounded::from_first([Role::Node, Role::Proxy]),
    };
    signed(&text, NETWORK_KEY)
}

fn member_text(n: u16) -> Announcement {
    Announcement { network: closed(), membership: Some(membership(n, NOW.offset(-HOUR))), ..text(n) }
}

fn revocation(n: u16, seq: UnixMicros) -> Revocation {
    Revocation { kind: Revocation::TYPE.to_owned(), network: closed(), seq, expires: NOW.offset(HOUR), node: id(n) }
}

/// The list as a client reads it.
fn list_of(registry: &mut Registry, network: &NetworkId, limit: usize, now: UnixMicros) -> NodeList {
    let head = registry.list(network, limit, now);
    let text = format!("{}}}", std::str::from_utf8(&head).expect("text"));
    serde_json::from_str(&text).expect("a list")
}

fn list(registry: &mut Registry, now: UnixMicros) -> NodeList {
    list_of(registry, &open(), 1_024, now)
}

fn ids(nodes: &[ListedNode]) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = nodes.iter().map(|node| node.id.expect("always given")).collect();
    ids.sort_unstable();
    ids
}

fn sorted(members: &[u16]) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = members.iter().copied().map(id).collect();
    ids.sort_unstable();
    ids
}

/// Everything the registry keeps for its entries counts the same.
fn assert_consistent(registry: &Registry) {
    let held: usize = registry.networks.iter().map(super::network::Network::len).sum();
    assert_eq!((held, held), (registry.slots.len(), registry.slots.queued()));
}
