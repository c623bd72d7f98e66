//! Work: compact bits, Bitcoin's retarget, ASERT, and real headers.

use std::io::{self, Read};

use meshline_ledger::consensus::{
    BadBits, Difficulty, Fault, HeadersReport, Parent, Schedule, asert, merkle_branch, merkle_root, next_bits,
    retarget, root_of_branch, verify_headers, work,
};
use meshline_ledger::encode::Decode;
use meshline_ledger::u256::U256;
use meshline_ledger::{CompactBits, Header, Params, Rule, Txid};
use rand_chacha::rand_core::Rng;

use crate::support::{below, mine, params, rng};

/// The headers of Bitcoin's blocks 0 to 438.
pub(crate) const HEADERS: &[u8] = include_bytes!("../data/bitcoin-headers-0-438.bin");
/// The seven of those blocks that have more than one transaction: height and transaction ids.
const TRANSACTIONS: &str = include_str!("../data/bitcoin-transactions-0-438.txt");

fn bitcoin_limit() -> U256 {
    CompactBits(0x1d00_ffff).target().unwrap()
}

#[test]
fn compact_bits_have_bitcoins_edges() {
    let target = |bits| CompactBits(bits).target();
    for zero in [
        0,
        0x0012_3456,
        0x0100_3456,
        0x0200_0056,
        0x0300_0000,
        0x0400_0000,
        0x0092_3456,
        0x0180_3456,
        0x0280_0056,
        0x0380_0000,
        0xff80_0000,
    ] {
        assert_eq!(target(zero), Err(BadBits::Zero), "{zero:08x}");
    }
    for negative in [0x01fe_dcba, 0x0492_3456, 0x0380_0001] {
        assert_eq!(target(negative), Err(BadBits::Negative), "{negative:08x}");
    }
    for overflow in [0xff12_3456, 0x2300_0001, 0x2200_0100, 0x2101_0000] {
        assert_eq!(target(overflow), Err(BadBits::Overflow), "{overflow:08x}");
    }
    for (bits, value) in [
        (0x0112_3456, 0x12),
        (0x0212_3456, 0x1234),
        (0x0312_3456, 0x12_3456),
        (0x0412_3456, 0x1234_5600),
        (0x0500_9234, 0x9234_0000),
    ] {
        assert_eq!(target(bits), Ok(U256::from_u64(value)), "{bits:08x}");
    }
    assert!(target(0x2200_00ff).is_ok() && target(0x2100_ffff).is_ok() && target(0x207f_ffff).is_ok());
}

#[test]
fn targets_have_one_compact_form() {
    for (value, bits) in [
        (0x12, 0x0112_0000),
        (0x80, 0x0200_8000),
        (0x1234, 0x0212_3400),
        (0x12_3456, 0x0312_3456),
        (0x92_3456, 0x0400_9234),
        (0x1234_5678, 0x0412_3456),
    ] {
        assert_eq!(CompactBits::from_target(U256::from_u64(value)), CompactBits(bits));
    }
    assert_eq!(CompactBits::from_target(U256::ZERO), CompactBits(0));
    for bits in [0x1d00_ffff, 0x1b04_04cb, 0x1707_2ade, 0x203f_ffff] {
        assert_eq!(CompactBits::from_target(CompactBits(bits).target().unwrap()), CompactBits(bits));
    }
}

#[test]
fn numbers_of_256_bits_are_exact() {
    let mut rng = rng(3);
    for _ in 0..2_000 {
        let mut bytes = [0; 32];
        let length = below(&mut rng, 25);
        rng.fill_bytes(&mut bytes[..length]);
        let (value, factor) = (U256::from_le_bytes(bytes), rng.next_u64().max(1));
        assert_eq!(value.to_le_bytes(), bytes);
        let product = value.checked_mul(factor).expect("below 2^256");
        assert_eq!(product.checked_div(U256::from_u64(factor)), Some(value));
        let (bits, sum) = (below(&mut rng, 50) as u32, product.checked_add(U256::ONE));
        assert_eq!(value.shifted_up(bits).shifted_down(bits), value);
        assert_eq!(sum.map(|sum| sum.saturating_sub(product)), Some(U256::ONE));
    }
    assert_eq!(U256::MAX.checked_add(U256::ONE), None);
    assert_eq!(U256::MAX.checked_mul(2), None);
    assert_eq!(U256::ONE.checked_div(U256::ZERO), None);
    assert_eq!(U256::MAX.checked_div(U256::ONE), Some(U256::MAX));
}

#[test]
fn work_is_what_bitcoin_says() {
    assert_eq!(work(bitcoin_limit()), U256::from_u64(0x1_0001_0001));
    assert_eq!(work(CompactBits(0x207f_ffff).target().unwrap()), U256::from_u64(2));
    assert_eq!(work(U256::MAX), U256::ONE);
    assert_eq!(work(U256::ZERO), U256::MAX);
}

/// The numbers of Bitcoin Core's own tests of its retarget.
#[test]
fn retarget_gives_bitcoin_cores_numbers() {
    const TIMESPAN_S: u32 = 14 * 24 * 3_600;
    for (bits, first, last, expected) in [
        (0x1d00_ffff, 1_261_130_161, 1_262_152_739, 0x1d00_d86a),
        (0x1d00_ffff, 1_231_006_505, 1_233_061_996, 0x1d00_ffff),
        (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
        (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
    ] {
        assert_eq!(retarget(CompactBits(bits), first, last, TIMESPAN_S, bitcoin_limit()), CompactBits(expected));
    }
}

#[test]
fn bitcoins_interval_counts_its_first_block_and_not_the_step_into_it() {
    let difficulty = Difficulty::Bitcoin { spacing_s: 600, interval: 2_016 };
    let params = Params { difficulty, bits: CompactBits(0x1d00_ffff), ..params() };
    let after = |height| {
        let parent = Parent { height, time: 1_262_152_739, bits: CompactBits(0x1d00_ffff) };
        next_bits(&params, 0, parent, |asked| {
            assert_eq!(asked, 30_240);
            Some(1_261_130_161)
        })
    };
    assert_eq!(after(32_255), CompactBits(0x1d00_d86a));
    assert_eq!([after(32_254), after(32_256)], [CompactBits(0x1d00_ffff); 2]);
}

fn schedule(behind_s: i64, height: u32) -> Schedule {
    let elapsed_s = i64::from(height + 1) * 600 + behind_s;
    Schedule { elapsed_s, height, spacing_s: 600, half_life_s: 172_800 }
}

#[test]
fn asert_doubles_and_halves_by_half_lives() {
    let (limit, anchor) = (bitcoin_limit(), CompactBits(0x1a2b_3c4d).target().unwrap());
    for height in [0, 1, 1_000_000] {
        assert_eq!(asert(anchor, schedule(0, height), limit), CompactBits(0x1a2b_3c4d));
        assert_eq!(asert(anchor, schedule(172_800, height), limit), CompactBits(0x1a56_789a));
        assert_eq!(asert(anchor, schedule(-172_800, height), limit), CompactBits(0x1a15_9e26));
        assert_eq!(asert(anchor, schedule(-172_800 * 300, height), limit), CompactBits(0x0101_0000), "at least 1");
        assert_eq!(
            asert(anchor, schedule(172_800 * 300, height), limit),
            CompactBits(0x1d00_ffff),
            "at most the limit"
        );
    }
}

/// The polynomial stays within 0.013 % of 2^x, as published.
#[test]
fn asert_follows_its_curve() {
    let anchor = CompactBits(0x1a2b_3c4d).target().unwrap();
    for behind_s in (-900_000..900_000).step_by(7_919) {
        let target = asert(anchor, schedule(behind_s, 10), bitcoin_limit()).target().unwrap();
        let expected = anchor.to_f64() * (behind_s as f64 / 172_800.0).exp2();
        let error = (target.to_f64() / expected - 1.0).abs();
        assert!(error < 0.000_15, "{behind_s}: {error}");
    }
}

#[test]
fn numbers_at_the_ends_of_their_ranges_do_not_panic() {
    let (limit, edges) = (CompactBits(0x203f_ffff).target().unwrap(), [0, 1, u32::MAX / 2, u32::MAX]);
    for height in edges {
        for spacing_s in edges {
            for half_life_s in edges {
                for elapsed_s in [i64::MIN, -1, 0, 1, i64::MAX] {
                    let bits = asert(limit, Schedule { elapsed_s, height, spacing_s, half_life_s }, limit);
                    assert!(bits.target().unwrap() <= limit);
                }
                let bits = retarget(CompactBits(0x203f_ffff), height, spacing_s, half_life_s, limit);
                assert!(bits.target().is_err() || bits.target().unwrap() <= limit);
            }
        }
    }
}

#[test]
fn merkle_roots_of_bitcoins_blocks() {
    let headers: Vec<Header> = HEADERS.chunks(80).map(|bytes| Header::decode(bytes).unwrap()).collect();
    assert_eq!(headers.len(), 439);
    for line in TRANSACTIONS.lines() {
        let (height, ids) = line.split_once(' ').unwrap();
        let leaves: Vec<[u8; 32]> = ids.split(' ').map(|id| id.parse::<Txid>().unwrap().0).collect();
        let root = merkle_root(leaves.clone());
        assert_eq!(root.root, headers[height.parse::<usize>().unwrap()].merkle_root);
        assert!(!root.mutated && leaves.len() == 2);
    }
}

#[test]
fn merkle_trees_of_any_size_are_proven_and_their_mutations_found() {
    let leaf = |number: usize| {
        *Txid([0; 32])
            .0
            .first_chunk::<32>()
            .map(|zero| {
                let mut leaf = *zero;
                leaf[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
                leaf
            })
            .as_ref()
            .unwrap()
    };
    assert_eq!(merkle_root([]).root, [0; 32]);
    for count in (1..70).chain([255, 256, 257, 4_095, 4_096]) {
        let leaves: Vec<[u8; 32]> = (0..count).map(leaf).collect();
        let root = merkle_root(leaves.clone());
        assert!(!root.mutated, "{count}");
        for index in [0, count / 2, count - 1] {
            let branch = merkle_branch(&leaves, index);
            assert_eq!(root_of_branch(leaves[index], index, &branch), root.root);
            assert_ne!(root_of_branch(leaf(count), index, &branch), root.root);
        }
        // A tail that doubles an odd node anywhere in the tree has the same root, and is noticed.
        for size in
            (0..12).map(|power| 1 << power).filter(|size| count / size % 2 == 1 && count % size == 0 && count > *size)
        {
            let doubled = [&leaves[..], &leaves[count - size..]].concat();
            let mutated = merkle_root(doubled);
            assert_eq!((mutated.root, mutated.mutated), (root.root, true), "{count} and {size}");
        }
    }
}

/// Reads a few bytes at a time.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.0.len()).min(self.1);
        self.0.read(&mut out[..count])
    }
}

#[test]
fn the_first_439_headers_of_bitcoin_are_good() {
    let expected = HeadersReport { count: 439, work: U256::from_u64(439 * 0x1_0001_0001), fault: None };
    assert_eq!(verify_headers(HEADERS, 0).unwrap(), expected);
    for step in [1, 79, 80, 81, 4_096] {
        assert_eq!(verify_headers(Slowly(HEADERS, step), 0).unwrap(), expected);
    }
    assert_eq!(verify_headers(&HEADERS[80 * 100..], 100).unwrap().count, 339);
    assert_eq!(verify_headers(&[][..], 0).unwrap(), HeadersReport::default());
}

#[test]
fn the_first_bad_header_is_named_with_its_rule() {
    let fault = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = HEADERS.to_vec();
        change(&mut bytes);
        let report = verify_headers(&bytes[..], 0).unwrap();
        let fault = report.fault.expect("a fault");
        assert_eq!(report.count, fault.height);
        assert_eq!(report.work, U256::from_u64(fault.height * 0x1_0001_0001));
        (fault.height, fault.name())
    };
    assert_eq!(fault(&|bytes| bytes[80 * 7 + 4] ^= 1), (7, "link"));
    assert_eq!(fault(&|bytes| bytes[80 * 7 + 40] ^= 1), (7, "work"));
    assert_eq!(fault(&|bytes| bytes[80 * 7 + 72] ^= 1), (7, "retarget"));
    assert_eq!(fault(&|bytes| bytes[80 * 7 + 76] ^= 1), (7, "work"));
    assert_eq!(fault(&|bytes| drop(bytes.drain(80 * 9..80 * 10))), (9, "link"));
    assert_eq!(fault(&|bytes| bytes.truncate(80 * 20 - 1)), (19, "encoding"));
    assert_eq!(fault(&|bytes| bytes[80 * 438 + 79] ^= 1), (438, "work"));
    // The first one is trusted: only what follows does not fit.
    assert_eq!(fault(&|bytes| bytes[0] ^= 1), (1, "link"));
}

/// Headers with easy work cannot be made under Bitcoin's limit; the change of bits is tested as a refusal.
#[test]
fn bits_must_change_where_bitcoin_changes_them() {
    // Told to begin at 1,800, the stream crosses 2,016 in its middle, and its bits stay as they are: the interval is not
    // known, and the same bits are within the factor of four.
    assert_eq!(verify_headers(HEADERS, 1_800).unwrap().fault, None);
    // Told to begin at an interval's first block, 2,016 blocks later the bits are computed: nothing to see in 439.
    assert_eq!(verify_headers(HEADERS, 2_016).unwrap().count, 439);
    // Other bits within an interval are refused, whatever work stands behind them.
    let mut header = Header::decode(&HEADERS[80..160]).unwrap();
    header.bits = CompactBits(0x207f_ffff);
    mine(&mut header);
    let bytes = [&HEADERS[..80], &header.to_bytes()].concat();
    let expected = Some(Fault { height: 1, rule: Rule::Bits });
    assert_eq!(verify_headers(&bytes[..], 0).unwrap().fault, expected);
    assert_eq!(verify_headers(&bytes[..], 2_015).unwrap().fault, Some(Fault { height: 2_016, rule: Rule::Bits }));
}

#[test]
fn no_bytes_make_the_header_check_panic() {
    let mut rng = rng(11);
    for _ in 0..300 {
        let mut bytes = vec![0; below(&mut rng, 2_000)];
        rng.fill_bytes(&mut bytes);
        verify_headers(&bytes[..], rng.next_u32()).unwrap();
    }
    assert_eq!(verify_headers(HEADERS, u32::MAX - 3).unwrap().count, 3, "heights end at 2^32 - 1");
}
