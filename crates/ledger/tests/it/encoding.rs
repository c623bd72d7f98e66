//! The canonical form: one for each value, and no bytes that panic.

use meshline_ledger::encode::{Decode, DecodeError, Decoder, Encode, put_count};
use meshline_ledger::{Amount, Block, BlockHash, Coin, Header, Lock, OutPoint, Transaction, TxIn, TxOut, Txid};
use rand_chacha::rand_core::Rng;

use crate::support::{Owner, World, below, coins, output, rng};

fn sample() -> Transaction {
    let spend = TxIn::Spend { outpoint: OutPoint { txid: Txid([1; 32]), index: 2 }, key: [3; 32], signature: [4; 64] };
    let outputs = vec![TxOut { amount: Amount::from_units(5).unwrap(), lock: Lock::KeyHash([6; 20]) }];
    Transaction { version: 1, inputs: vec![spend], outputs, lock_time: 7 }
}

#[test]
fn a_transaction_has_the_documented_form() {
    let mut expected = vec![1, 0, 0, 0, 1];
    expected.extend([1; 32]);
    expected.extend([2, 0, 0, 0]);
    expected.extend([3; 32]);
    let before_signature = expected.len();
    expected.extend([4; 64]);
    let after = [&[1, 5, 0, 0, 0, 0, 0, 0, 0, 0][..], &[6; 20], &[7, 0, 0, 0]].concat();
    expected.extend(&after);
    assert_eq!(sample().encode(), expected);
    assert_eq!(sample().size(), expected.len());
    assert_eq!(sample().encode_unsigned(), [&expected[..before_signature], &after].concat());
    assert_eq!(Transaction::decode(&expected), Ok(sample()));
}

#[test]
fn counts_have_one_form() {
    for count in [0, 0xfc, 0xfd, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
        let mut bytes = Vec::new();
        put_count(&mut bytes, count);
        assert_eq!(Decoder::new(&bytes).count(u64::MAX), Ok(count as usize));
    }
    for longer in [&[0xfd, 0xfc, 0][..], &[0xfe, 0xff, 0xff, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]] {
        assert_eq!(Decoder::new(longer).count(u64::MAX), Err(DecodeError::LongCount));
    }
}

#[test]
fn nothing_may_follow_and_nothing_may_be_missing() {
    let bytes = sample().encode();
    assert_eq!(Transaction::decode(&[&bytes[..], &[0]].concat()), Err(DecodeError::TrailingBytes));
    for length in 0..bytes.len() {
        assert!(Transaction::decode(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn counts_beyond_the_caps_are_refused_before_memory_is_taken() {
    let mut bytes = vec![1, 0, 0, 0];
    put_count(&mut bytes, 758);
    assert_eq!(Transaction::decode(&bytes), Err(DecodeError::TooMany(758)));
    let mut block = vec![0; Header::SIZE];
    put_count(&mut block, u64::MAX);
    assert_eq!(Block::decode(&block), Err(DecodeError::TooMany(u64::MAX)));
    // A claim within the cap costs what was sent.
    let mut claimed = vec![1, 0, 0, 0];
    put_count(&mut claimed, 757);
    assert_eq!(Transaction::decode(&claimed), Err(DecodeError::TooShort));
}

#[test]
fn amounts_and_kinds_out_of_range_are_refused() {
    let mut bytes = sample().encode();
    let amount = bytes.len() - 4 - 21 - 8;
    bytes[amount..amount + 8].copy_from_slice(&(Amount::MAX.units() + 1).to_le_bytes());
    assert_eq!(Transaction::decode(&bytes), Err(DecodeError::AmountTooLarge));
    let mut bytes = sample().encode();
    bytes[amount + 8] = 1;
    assert_eq!(Transaction::decode(&bytes), Err(DecodeError::UnknownKind(1)));
}

#[test]
fn whatever_decodes_encodes_to_the_same_bytes() {
    let world = World::new();
    let (owner, seed) = (Owner::new(0), 1);
    let payment = world.pay(&owner, &[world.first_coin()], vec![output(coins(50), &Owner::new(1))]);
    let good = world.block(&owner, vec![payment]).encode();
    let mut rng = rng(seed);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=below(&mut rng, 3) {
            let at = below(&mut rng, bytes.len());
            match below(&mut rng, 4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, rng.next_u32() as u8),
                2 => bytes[at] = 0xff,
                _ => bytes[at] = rng.next_u32() as u8,
            }
        }
        if let Ok(block) = Block::decode(&bytes) {
            assert_eq!(block.encode(), bytes, "seed {seed}");
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let (seed, mut bytes) = (2, vec![0; 400]);
    let mut rng = rng(seed);
    for _ in 0..50_000 {
        let length = below(&mut rng, bytes.len());
        rng.fill_bytes(&mut bytes[..length]);
        // Small counts reach further.
        bytes[4] &= 3;
        let _ = Transaction::decode(&bytes[..length]);
        let _ = Block::decode(&bytes[..length]);
        let _ = Coin::decode(&bytes[..length]);
    }
}

#[test]
fn hashes_are_written_last_byte_first() {
    let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    let hash: BlockHash = text.parse().unwrap();
    assert_eq!(hash.to_string(), text);
    assert_eq!(hash.0[31], 0);
    for bad in ["", "00", &text[1..], &format!("{text}0"), &text.replace('6', "g")] {
        assert!(bad.parse::<BlockHash>().is_err());
    }
}
