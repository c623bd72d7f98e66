//! Addresses, and bech32m against the strings of BIP-350.

use bech32::Bech32m;
use bech32::primitives::decode::CheckedHrpstring;
use meshline_ledger::Lock;
use meshline_wallet::address::MAX_PREFIX;
use meshline_wallet::{Address, AddressError, Prefix};

use crate::support::{Seeded, address, prefix};

/// The strings of BIP-350 (Pieter Wuille, BSD-2-Clause).
const VALID: [&str; 7] = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
];

const INVALID: [&str; 14] = [
    "\u{20}1xj0phk",
    "\u{7f}1g6xzxy",
    "\u{80}1vctc34",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
    "qyrz8wqd2c9m",
    "1qyrz8wqd2c9m",
    "y1b0jsk6g",
    "lt1igcx5c0",
    "in1muywd",
    "mm1crxm3i",
    "au1s5cgom",
    "M1VUXWEZ",
    "16plkw9",
    "1p2gdwpf",
];

#[test]
fn the_valid_strings_of_bip_350_have_the_right_checksum() {
    for text in VALID {
        assert!(text.len() <= 90 && CheckedHrpstring::new::<Bech32m>(text).is_ok(), "{text}");
    }
}

#[test]
fn the_invalid_strings_of_bip_350_are_no_addresses() {
    for text in INVALID {
        assert!(text.len() > 90 || CheckedHrpstring::new::<Bech32m>(text).is_err(), "{text}");
        assert!(Address::parse(text, prefix()).is_err(), "{text}");
    }
}

/// An address of another make: BIP-173's checksum is another one, though the characters are the same.
#[test]
fn the_older_checksum_is_refused() {
    let old = bech32::encode::<bech32::Bech32>(bech32::Hrp::parse("mesh").unwrap(), &[0; 21]).unwrap();
    assert_eq!(Address::parse(&old, prefix()), Err(AddressError::Checksum));
}

#[test]
fn addresses_are_read_as_they_are_written() {
    println!("seed 3");
    let mut random = Seeded::new(3);
    for _ in 0..200 {
        let written = address(Lock::KeyHash(random.bytes()));
        let text = written.to_string();
        assert!(text.starts_with("mesh1q") && text.len() == 45, "{text}");
        assert_eq!(Address::parse(&text, prefix()), Ok(written));
        assert_eq!(Address::parse(&text.to_uppercase(), prefix()), Ok(written));
    }
}

#[test]
fn f11_no_text_ends_the_program_and_zeros_in_front_are_kept() {
    for text in ["", "1", "abc", "mesh1", "1q", "mesh", "mesh1q", "\u{0}", "ä1q", &"1".repeat(5_000)] {
        assert!(Address::parse(text, prefix()).is_err(), "{text}");
    }
    for zeros in 0..=20 {
        let mut hash = [7; 20];
        hash[..zeros].fill(0);
        let written = address(Lock::KeyHash(hash));
        assert_eq!(Address::parse(&written.to_string(), prefix()), Ok(written), "{zeros}");
    }
}

#[test]
fn every_single_mistake_and_every_swap_is_found() {
    let text = address(Lock::KeyHash([0x5a; 20])).to_string();
    for index in 0..text.len() {
        for character in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bBQ ".chars() {
            let mut wrong: Vec<char> = text.chars().collect();
            if std::mem::replace(&mut wrong[index], character) != character {
                let wrong: String = wrong.into_iter().collect();
                assert!(Address::parse(&wrong, prefix()).is_err(), "{wrong}");
            }
        }
        let mut swapped: Vec<char> = text.chars().collect();
        swapped.swap(index, (index + 1) % text.len());
        let swapped: String = swapped.into_iter().collect();
        assert!(swapped == text || Address::parse(&swapped, prefix()).is_err(), "{swapped}");
        assert!(Address::parse(&text[..index], prefix()).is_err());
    }
}

#[test]
fn an_address_of_another_chain_is_told_as_such() {
    let text = address(Lock::KeyHash([1; 20])).to_string();
    let error = Address::parse(&text, Prefix::parse("tmesh").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "an address of another chain: it begins with mesh1, those of this chain with tmesh1");
}

#[test]
fn what_is_no_lock_is_refused_though_its_checksum_fits() {
    let encode = |bytes: &[u8]| bech32::encode::<Bech32m>(bech32::Hrp::parse("mesh").unwrap(), bytes).unwrap();
    let mut lock = vec![0; 21];
    assert!(Address::parse(&encode(&lock), prefix()).is_ok());
    lock[0] = 1;
    for bytes in [lock.as_slice(), &[0; 20], &[0; 22], &[]] {
        assert_eq!(Address::parse(&encode(bytes), prefix()), Err(AddressError::UnknownKind), "{bytes:?}");
    }
    // Two bits are left over behind 21 bytes; with one of them set there would be a second text for the same lock.
    let padded = padded_with_a_bit();
    assert_eq!(Address::parse(&padded, prefix()), Err(AddressError::UnknownKind), "{padded}");
}

fn padded_with_a_bit() -> String {
    use bech32::{Fe32, Fe32IterExt, Hrp};
    let hrp = Hrp::parse("mesh").unwrap();
    let zeros = std::iter::repeat_n(Fe32::Q, 33).chain([Fe32::P]);
    zeros.with_checksum::<Bech32m>(&hrp).chars().collect()
}

#[test]
fn a_prefix_is_a_few_small_letters() {
    for text in ["m", "mesh", &"m".repeat(MAX_PREFIX)] {
        assert_eq!(Prefix::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "Mesh", "mesh1", "me sh", "mésh", &"m".repeat(MAX_PREFIX + 1)] {
        assert_eq!(Prefix::parse(text), Err(AddressError::NotAPrefix), "{text}");
    }
}
