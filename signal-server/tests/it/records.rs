//! Members and what they sign.

use std::time::{SystemTime, UNIX_EPOCH};

use meshline_identity::{KeyPair, sign};
use meshline_protocol::message::{Announcement, Departure, Membership, RecordText, Revocation, Role};
use meshline_protocol::{Address, Bounded, NetworkId, SignedRecord, UnixMicros};

pub(crate) const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

pub(crate) fn key(n: u8) -> KeyPair {
    KeyPair::from_secret([n; 32])
}

pub(crate) fn id(n: u8) -> String {
    key(n).id().to_string()
}

/// The closed network of these tests is key 200.
pub(crate) fn closed() -> NetworkId {
    NetworkId::Closed(key(200).id())
}

pub(crate) fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMicros::new(u64::try_from(since.as_micros()).expect("before 2255"))
}

pub(crate) fn announcement(n: u8) -> Announcement {
    Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: "lab".parse().expect("a name"),
        seq: now(),
        expires: now().offset(HOUR),
        name: format!("member-{n}").parse().expect("a name"),
        roles: Bounded::from_first([Role::Node]),
        addresses: Bounded::from_first(["127.0.0.1:6001".parse::<Address>().expect("an address")]),
        next: None,
        membership: None,
    }
}

pub(crate) fn member(n: u8) -> Announcement {
    let membership = Membership {
        kind: Membership::TYPE.to_owned(),
        network: closed(),
        seq: now().offset(-SECOND),
        expires: now().offset(HOUR),
        node: key(n).id(),
        name: format!("member-{n}").parse().expect("a name"),
        roles: Bounded::from_first([Role::Node, Role::Proxy]),
    };
    let membership = sign(&membership, &key(200)).expect("plain data");
    Announcement { network: closed(), membership: Some(membership), ..announcement(n) }
}

pub(crate) fn departure(seq: UnixMicros) -> Departure {
    let network = "lab".parse().expect("a name");
    Departure { kind: Departure::TYPE.to_owned(), network, seq, expires: now().offset(HOUR) }
}

pub(crate) fn revocation(n: u8) -> Revocation {
    Revocation {
        kind: Revocation::TYPE.to_owned(),
        network: closed(),
        seq: now(),
        expires: now().offset(HOUR),
        node: key(n).id(),
    }
}

pub(crate) fn record<T: RecordText>(text: &T, n: u8) -> SignedRecord {
    sign(text, &key(n)).expect("plain data")
}

pub(crate) fn signed<T: RecordText>(text: &T, n: u8) -> String {
    body(&record(text, n))
}

pub(crate) fn body(record: &SignedRecord) -> String {
    serde_json::to_string(record).expect("plain data")
}
