//! Keys: SLIP-0010 against the published vectors, and the order in which addresses are handed out.

use data_encoding::HEXLOWER;
use meshline_ledger::Lock;
use meshline_wallet::derive::SecretNode;
use meshline_wallet::file::{Cost, Sealer};
use meshline_wallet::keys::{Branch, GAP, KeyPlace, Keys, MAX_ADDRESSES};
use meshline_wallet::payment::Refusal;
use meshline_wallet::secrets::Secrets;

use crate::phrase::rows;
use crate::support::{Seeded, address, passphrase, phrase, wallet};

fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(secret).verifying_key().to_bytes()
}

#[test]
fn the_published_vectors_of_slip_0010_hold() {
    let mut count = 0;
    for row in rows(include_str!("vectors/slip10.tsv")) {
        let seed = HEXLOWER.decode(row[0].as_bytes()).unwrap();
        let steps: Vec<u32> =
            row[1].split('/').skip(1).map(|step| step.trim_end_matches('\'').parse().unwrap()).collect();
        let node = SecretNode::master(&seed).descend(&steps);
        assert_eq!(HEXLOWER.encode(node.chain_code()), row[2], "{}", row[1]);
        assert_eq!(HEXLOWER.encode(node.secret()), row[3], "{}", row[1]);
        assert_eq!(HEXLOWER.encode(&public_key(node.secret())), row[4], "{}", row[1]);
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn a_key_is_found_where_its_path_says() {
    let mut keys = Keys::new(&phrase());
    keys.extend(Branch::Change, 4);
    let place = KeyPlace { branch: Branch::Change, index: 3 };
    assert_eq!(place.to_string(), "m/44'/1835365224'/0'/1'/3'");
    let node = SecretNode::master(phrase().seed("").as_slice()).descend(&[44, 1_835_365_224, 0, 1, 3]);
    let lock = Lock::to_key(&public_key(node.secret()));
    assert_eq!(keys.locks(Branch::Change)[3], lock);
    assert_eq!(keys.place(&lock), Some(place));
    assert_eq!(keys.public_key(place), public_key(node.secret()));
}

/// Whoever changes how addresses come from a phrase takes their money from those who have one.
#[test]
fn the_addresses_of_a_known_phrase_stay_what_they_are() {
    let mut wallet = wallet();
    let addresses: Vec<String> = (0..3).map(|_| address(wallet.next(Branch::Receive).unwrap()).to_string()).collect();
    let known = [
        "mesh1qp5sez3punh6d9mwrxw7c29n2u9led8cscggkdkj",
        "mesh1qz9rh4z4pgk9mpjggdsx8rkfxgx8t0xppcs6n3s2",
        "mesh1qzjdnpxqp436vzp7t9xsnnhs8lmd94jj0cqrgtxd",
    ];
    assert_eq!(addresses, known);
}

#[test]
fn no_address_is_handed_out_twice_and_some_beyond_are_known() {
    let mut wallet = wallet();
    let first: Vec<Lock> = (0..30).map(|_| wallet.next(Branch::Receive).unwrap()).collect();
    let mut sorted = first.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 30);
    assert_eq!(wallet.handed_out(Branch::Receive), first);
    assert_eq!(wallet.locks().len(), 30 + 2 * GAP as usize);
}

#[test]
fn the_last_address_is_handed_out_and_then_none() {
    let mut secrets = Secrets::new(&phrase());
    secrets.receive = MAX_ADDRESSES - 1;
    let mut wallet = meshline_wallet::Wallet::new(secrets).unwrap();
    assert!(wallet.next(Branch::Receive).is_ok());
    assert_eq!(wallet.next(Branch::Receive), Err(Refusal::Full));
    assert_eq!(wallet.handed_out(Branch::Receive).len(), MAX_ADDRESSES as usize);
}

#[test]
fn a_count_that_no_wallet_writes_derives_no_more_than_the_most() {
    let mut secrets = Secrets::new(&phrase());
    (secrets.receive, secrets.change) = (u32::MAX, 0);
    let mut random = Seeded::new(1);
    let sealer = Sealer::new(&passphrase(), Cost::LEAST, &mut random).unwrap();
    let (_, secrets) = Sealer::open(&sealer.seal(&secrets, &mut random).unwrap(), &passphrase()).unwrap();
    let wallet = meshline_wallet::Wallet::new(secrets).unwrap();
    assert_eq!(wallet.locks().len(), (MAX_ADDRESSES + 2 * GAP) as usize);
}
