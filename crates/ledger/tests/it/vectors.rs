//! Vectors of others: each file in `tests/data` says whose.

use data_encoding::HEXLOWER;
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use meshline_ledger::CompactBits;
use meshline_ledger::consensus::{Schedule, asert};
use meshline_ledger::sighash::{BatchVerifier, SignatureCheck, SignatureVerifier};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const WYCHEPROOF: &str = include_str!("../data/ed25519-wycheproof.tsv");
const EDGES: &str = include_str!("../data/ed25519-edges.tsv");
const ASERT: &str = include_str!("../data/asert.tsv");

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn bytes(hex: &str) -> Vec<u8> {
    if hex == "-" { Vec::new() } else { HEXLOWER.decode(hex.as_bytes()).unwrap() }
}

/// A signature of a message of any length, alone and beside a good one in a batch; in our payments it is always 32 bytes.
fn verdicts(key: [u8; 32], message: &[u8], signature: [u8; 64]) -> [bool; 2] {
    let (key, signature) = (VerificationKeyBytes::from(key), Signature::from_bytes(&signature));
    let mut together = batch::Verifier::new();
    for _ in 0..2 {
        together.queue((key, signature, &message));
    }
    let alone = batch::Item::from((key, signature, &message)).verify_single().is_ok();
    [alone, together.verify(ChaCha20Rng::from_seed([7; 32])).is_ok()]
}

#[test]
fn wycheproofs_signatures_get_its_verdicts_alone_and_in_a_batch() {
    let (mut valid, mut invalid, mut no_form) = (0, 0, 0);
    for row in rows(WYCHEPROOF) {
        let (key, message) = (bytes(row[1]).try_into().unwrap(), bytes(row[2]));
        let expected = row[4] == "valid";
        let Ok(signature) = <[u8; 64]>::try_from(bytes(row[3])) else {
            // 64 bytes have their place in the canonical form: another number of them cannot be written.
            assert!(!expected);
            no_form += 1;
            continue;
        };
        assert_eq!(verdicts(key, &message, signature), [expected; 2], "{}", row[0]);
        if let Ok(sighash) = message.try_into() {
            let check = SignatureCheck { key, signature, sighash };
            assert_eq!((check.is_valid(), BatchVerifier.all_valid(&[check; 3])), (expected, expected), "{}", row[0]);
        }
        *(if expected { &mut valid } else { &mut invalid }) += 1;
    }
    assert_eq!((valid, invalid, no_form), (22, 43, 6));
}

#[test]
fn where_verifiers_differ_zip_215_decides() {
    let mut count = 0;
    for row in rows(EDGES) {
        let check = SignatureCheck {
            key: bytes(row[1]).try_into().unwrap(),
            sighash: bytes(row[2]).try_into().unwrap(),
            signature: bytes(row[3]).try_into().unwrap(),
        };
        let expected = row[4] == "valid";
        assert_eq!(check.is_valid(), expected, "{}: {}", row[0], row[5]);
        assert_eq!(BatchVerifier.all_valid(&[check; 2]), expected, "{}: {}", row[0], row[5]);
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn asert_gives_the_published_bits() {
    let number = |text: &str| u32::from_str_radix(text, 16).unwrap();
    let limit = CompactBits(0x1d00_ffff).target().unwrap();
    let mut count = 0;
    for row in rows(ASERT) {
        let anchor = CompactBits(number(row[1])).target().unwrap();
        let (height, time): (u32, i64) = (row[2].parse().unwrap(), row[3].parse().unwrap());
        let schedule = Schedule { elapsed_s: time, height: height - 1, spacing_s: 600, half_life_s: 172_800 };
        let bits = asert(anchor, schedule, limit);
        assert_eq!(bits, CompactBits(number(row[4])), "run {}, height {height}", row[0]);
        count += 1;
    }
    assert_eq!(count, 579);
}
