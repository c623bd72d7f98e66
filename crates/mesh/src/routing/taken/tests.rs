//! What nodes of one process read once, and what they check all the same.

use meshline_identity::{KeyPair, Verifier};
use meshline_protocol::Bounded;

use super::*;
use crate::config::Config;
use crate::now::{Mono, Now};

const NOW: UnixMicros = UnixMicros::new(1_750_000_000_000_000);

fn node(network: &str, verifier: &Verifier) -> Shared {
    let mut config = Config::new(network.parse().unwrap(), "n".parse().unwrap());
    config.verifier = verifier.clone();
    Shared::new(config, KeyPair::from_secret([1; 32]), [0; 32], Now { mono: Mono(0), wall: NOW })
}

/// An advertisement that holds for so many microseconds from now.
fn signed(valid: i64) -> (RoutingAdvertisement, Vec<u8>) {
    let key = KeyPair::from_secret([2; 32]);
    let (kind, network) = (LinkState::TYPE.to_owned(), "lab".parse().unwrap());
    let expires = NOW.offset(valid);
    let state = LinkState { kind, network, seq: NOW, expires, carries: true, links: Bounded::default() };
    let text = serde_json::to_vec(&state).unwrap();
    (RoutingAdvertisement { by: key.id(), seq: NOW, sig: key.sign_bytes(&text) }, text)
}

fn read_at(node: &Shared, (line, text): &(RoutingAdvertisement, Vec<u8>)) -> Result<Arc<Entry>, Code> {
    read(line.clone(), (text, || text.clone().into()), node)
}

#[test]
fn nodes_that_remember_together_hold_an_advertisement_once() {
    let (together, advertisement) = (Verifier::remembering(), signed(1_000_000));
    let [one, other] = [1, 2].map(|_| read_at(&node("lab", &together), &advertisement).unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    let alone = read_at(&node("lab", &Verifier::default()), &advertisement).unwrap();
    assert!(!Arc::ptr_eq(&one, &alone));
    assert_eq!((&one.line, &one.body, &one.state), (&alone.line, &alone.body, &alone.state));
}

#[test]
fn another_text_under_a_signature_that_was_good_is_refused_and_so_is_another_sequence_network_or_time() {
    let (together, good) = (Verifier::remembering(), signed(1_000_000));
    let here = node("lab", &together);
    assert!(read_at(&here, &good).is_ok());
    let mut forged = good.clone();
    forged.1 = String::from_utf8(forged.1).unwrap().replace("true", "false").into_bytes();
    assert_eq!(read_at(&here, &forged).err(), Some(Code::BadSignature));
    let mut renumbered = good.clone();
    renumbered.0.seq = NOW.offset(1);
    assert_eq!(read_at(&here, &renumbered).err(), Some(Code::InvalidMessage));
    assert_eq!(read_at(&node("other", &together), &good).err(), Some(Code::RecordForeign));
    let mut late = node("lab", &together);
    late.now.wall = NOW.offset(2_000_000);
    assert_eq!(read_at(&late, &good).err(), Some(Code::RecordExpired));
}
