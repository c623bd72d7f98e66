//! Signatures under ZIP-215: one by one and in batches give the same verdict.

use meshline_ledger::sighash::{BATCH_SIZE, BatchVerifier, SignatureCheck, SignatureVerifier};
use rand_chacha::rand_core::Rng;

use crate::support::{Owner, below, rng};

fn check(number: u64) -> SignatureCheck {
    let (owner, sighash) = (Owner::new(number), [number as u8; 32]);
    SignatureCheck { key: owner.key(), signature: owner.sign(&sighash), sighash }
}

#[test]
fn batches_find_one_bad_signature_wherever_it_is() {
    let good: Vec<_> = (0..40).map(check).collect();
    assert!(BatchVerifier.all_valid(&good));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at].signature[at] ^= 1;
        assert!(!BatchVerifier.all_valid(&bad), "{at}");
        assert!(!bad[at].is_valid());
    }
}

#[test]
fn a_bad_signature_in_the_last_batch_is_found() {
    let mut checks = vec![check(1); BATCH_SIZE + 1];
    assert!(BatchVerifier.all_valid(&checks));
    checks[BATCH_SIZE].sighash[0] ^= 1;
    assert!(!BatchVerifier.all_valid(&checks));
    assert!(BatchVerifier.all_valid(&[]));
}

/// Encodings of the eight points of small order, in all forms a decoder takes.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// ZIP-215 itself lists these 196 cases and says that all are valid, with s = 0.
#[test]
fn all_cases_that_zip_215_lists_are_valid_singly_and_in_batches() {
    let points = SMALL_ORDER
        .map(|hex| -> [u8; 32] { data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap() });
    let mut checks = Vec::new();
    for key in points {
        for r in points {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r);
            checks.push(SignatureCheck {
                key,
                signature,
                sighash: *b"Zcash and a text of 32 bytes ....".first_chunk().unwrap(),
            });
        }
    }
    assert_eq!(checks.len(), 196);
    assert!(checks.iter().all(SignatureCheck::is_valid));
    assert!(BatchVerifier.all_valid(&checks));
}

#[test]
fn s_must_be_below_the_order() {
    let mut check = check(3);
    let order: [u8; 32] = data_encoding::HEXLOWER
        .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        .unwrap()
        .try_into()
        .unwrap();
    let mut carry = 0u16;
    for (byte, add) in check.signature[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert!(!check.is_valid(), "s + order is another form of the same signature");
    assert!(!BatchVerifier.all_valid(&[check, check]));
}

#[test]
fn any_bytes_get_the_same_verdict_alone_and_in_a_batch() {
    let seed = 5;
    let mut rng = rng(seed);
    for _ in 0..200 {
        let mut wild = check(rng.next_u64());
        match below(&mut rng, 4) {
            0 => rng.fill_bytes(&mut wild.key),
            1 => rng.fill_bytes(&mut wild.signature),
            2 => wild.signature[below(&mut rng, 64)] ^= 1 << below(&mut rng, 8),
            _ => {}
        }
        assert_eq!(wild.is_valid(), BatchVerifier.all_valid(&[wild, check(1)]), "seed {seed}: {wild:?}");
    }
}
