//! The rules against a second implementation that knows only `docs/LEDGER.md`: the same verdict on generated blocks.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use meshline_ledger::consensus::Difficulty;
use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::{Amount, Block, BlockHash, Coin, CompactBits, Lock, OutPoint, Params, Rule, Transaction, TxIn};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::chain::random_payments;
use crate::support::{NOW, Owner, World, below, coinbase, coins, output, params, rng, rule_of, seal, sign, units};

/// Blocks in an ordinary run; `MESHLINE_CHECK_BLOCKS` says how many otherwise (`cargo xtask soak ledger-rules`).
const BLOCKS: usize = 400;
/// With so many each of [`KINDS`] comes up.
const MANY: usize = 5_000;
/// What the generated blocks are found to be: good, and every rule that a block can break in a chain of this size.
const KINDS: [&str; 27] = [
    "ok",
    "encoding",
    "unknown_parent",
    "block_version",
    "bits",
    "work",
    "median_time",
    "future_time",
    "merkle_root",
    "merkle_mutated",
    "no_transactions",
    "coinbase_first",
    "coinbase_only",
    "coinbase_height",
    "transaction_version",
    "no_inputs",
    "no_outputs",
    "output_sum",
    "duplicate_input",
    "signature_count",
    "lock_time",
    "missing_input",
    "immature",
    "wrong_key",
    "overspent",
    "coinbase_value",
    "signature",
];
/// Blocks of one chain; then another begins.
const CHAIN: usize = 200;

/// Points of order 1, 4 and 8, one of them in a form that is not canonical: under ZIP-215 their signatures can be made
/// without a private key.
const ODD_KEYS: [&str; 4] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn odd_key(number: usize) -> [u8; 32] {
    data_encoding::HEXLOWER.decode(ODD_KEYS[number % ODD_KEYS.len()].as_bytes()).unwrap().try_into().unwrap()
}

/// A payment to or from an odd key.
fn odd_payment(world: &World, rng: &mut ChaCha8Rng) -> Option<Transaction> {
    let key = odd_key(below(rng, 4));
    let owned = world.chain.owned(&Lock::to_key(&key)).unwrap();
    if let Some((outpoint, coin)) = owned.into_iter().next() {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&odd_key(below(rng, 4)));
        let inputs = vec![TxIn::Spend { outpoint, key, signature }];
        return Some(Transaction {
            version: 1,
            inputs,
            outputs: vec![output(coin.output.amount, &Owner::new(1))],
            lock_time: 0,
        });
    }
    let owner = Owner::new(below(rng, 4) as u64);
    let (outpoint, coin) = world.chain.owned(&owner.lock()).unwrap().into_iter().next_back()?;
    let mut paid = output(coin.output.amount, &owner);
    paid.lock = Lock::to_key(&key);
    Some(world.pay_coins(&owner, &[outpoint], &[coin], vec![paid]))
}

fn next_block(world: &World, rng: &mut ChaCha8Rng) -> Block {
    let mut payments = random_payments(world, rng);
    if payments.is_empty() {
        payments.extend(odd_payment(world, rng));
    }
    let mut block = world.block(&Owner::new(rng.next_u64() % 4), payments);
    block.header.time = block.header.time.saturating_add(below(rng, 1_200) as u32);
    block.header.bits = world.chain.next_bits();
    seal(&mut block);
    block
}

/// Breaks a block in one of many ways, some of which do it no harm.
fn damage(world: &World, block: &mut Block, rng: &mut ChaCha8Rng) {
    let kind = below(rng, 30);
    let last = block.transactions.len() - 1;
    match kind {
        0 => block.header.version = rng.next_u32() % 3,
        1 => block.header.bits = CompactBits(block.header.bits.0 ^ 1 << below(rng, 23)),
        2 => block.header.time = block.header.time.saturating_sub(below(rng, 20_000) as u32),
        3 => block.header.time = NOW as u32 + 7_201,
        4 => block.header.previous = BlockHash([4; 32]),
        5 => block.transactions.swap(0, last),
        6 => block.transactions.push(coinbase(world.chain.height() + 1, Vec::new())),
        7 => block.transactions[0].inputs = coinbase(rng.next_u32() % 3, Vec::new()).inputs,
        8 => block.transactions[0].outputs.push(output(units(rng.next_u64() % 2), &Owner::new(1))),
        9 => block.transactions.clear(),
        10 => block.transactions[last].outputs.clear(),
        11 => block.transactions[last].inputs.clear(),
        12 => block.transactions[last].version = 2,
        13 => {
            block.transactions[last].lock_time =
                [1, world.chain.height(), world.chain.height() + 1, block.header.time][below(rng, 4)]
        }
        14 => block.transactions[last].outputs.push(output(Amount::MAX, &Owner::new(1))),
        15 => block.transactions[1..].reverse(),
        16 => block.transactions.extend_from_within(last..),
        17 => {
            let input = block.transactions[last].inputs[0].clone();
            block.transactions[0].inputs.push(input);
        }
        _ => damage_payment(world, &mut block.transactions[last], rng),
    }
    seal_if_possible(block);
    match kind {
        0..=17 if below(rng, 12) == 0 => block.header.merkle_root[3] ^= 1,
        _ if below(rng, 25) == 0 => block.header.nonce = block.header.nonce.wrapping_add(1),
        _ => {}
    }
}

/// Damages that keep the form of a payment, most of them signed again.
fn damage_payment(world: &World, payment: &mut Transaction, rng: &mut ChaCha8Rng) {
    let owner = Owner::new(below(rng, 4) as u64);
    let Some((outpoint, coin)) = world.chain.owned(&owner.lock()).unwrap().into_iter().next() else { return };
    let good = |amount| world.pay_coins(&owner, &[outpoint], &[coin], vec![output(amount, &owner)]);
    let amount = coin.output.amount;
    *payment = match below(rng, 9) {
        0 => good(units(amount.units() + 1)),
        1 => world.pay_coins(&owner, &[outpoint, outpoint], &[coin, coin], vec![output(amount, &owner)]),
        2 => world.pay_coins(&Owner::new(77), &[outpoint], &[coin], vec![output(amount, &owner)]),
        3 => world.pay_coins(&owner, &[OutPoint { index: 9, ..outpoint }], &[coin], vec![output(amount, &owner)]),
        4 => {
            let mut foreign = good(amount);
            sign(&mut foreign, &owner, BlockHash([5; 32]), &[coin.output]);
            foreign
        }
        5 => {
            let mut lied = good(amount);
            let spent = Coin { output: output(coins(1), &owner), ..coin };
            sign(&mut lied, &owner, world.chain.id(), &[spent.output]);
            lied
        }
        6 => {
            let mut flipped = good(amount);
            if let Some(TxIn::Spend { signature, .. }) = flipped.inputs.first_mut() {
                signature[below(rng, 64)] ^= 1 << below(rng, 8);
            }
            flipped
        }
        7 => {
            let mut locked = good(amount);
            locked.lock_time = world.chain.height() + below(rng, 3) as u32;
            sign(&mut locked, &owner, world.chain.id(), &[coin.output]);
            locked
        }
        _ => good(amount),
    };
}

/// Bits that stand for no target, or for one nobody meets, are left without work.
fn seal_if_possible(block: &mut Block) {
    let easy = block.header.bits.target().is_ok_and(|target| target.bit_length() > 246);
    block.header.merkle_root = block.merkle_root();
    if easy {
        seal(block);
    }
}

fn verdict(world: &mut World, bytes: &[u8], now: u64) -> &'static str {
    let Ok(block) = Block::decode(bytes) else { return Rule::Encoding.name() };
    match world.chain.accept_block(&block, now, &BatchVerifier) {
        Ok(_) => "ok",
        Err(refusal) => rule_of(refusal).name(),
    }
}

fn params_of(number: usize) -> Params {
    let difficulty = match number % 3 {
        0 => Difficulty::Fixed,
        1 => Difficulty::Asert { spacing_s: 600, half_life_s: 7_200 },
        _ => Difficulty::Bitcoin { spacing_s: 600, interval: 7 },
    };
    Params { difficulty, maturity: 1 + number as u32 % 4, halving_interval: 20, max_signatures: 4, ..params() }
}

/// The lines for the other implementation, and which verdicts are in them.
fn generate(seed: u64, count: usize) -> (String, BTreeSet<&'static str>) {
    let (mut rng, mut lines, mut seen) = (rng(seed), String::new(), BTreeSet::new());
    for number in 0..count.div_ceil(CHAIN) {
        let mut world = World::with(params_of(number));
        writeln!(lines, "{}", serde_json::to_string(&world.genesis.to_file()).unwrap()).unwrap();
        for _ in 0..CHAIN.min(count - number * CHAIN) {
            let mut block = next_block(&world, &mut rng);
            if below(&mut rng, 3) > 0 {
                damage(&world, &mut block, &mut rng);
            }
            let mut bytes = block.encode();
            if below(&mut rng, 20) == 0 {
                let at = below(&mut rng, bytes.len());
                bytes[at] ^= 1 << below(&mut rng, 8);
            }
            // Some are as far ahead of the clock as they may be, and some a second further.
            let now = match below(&mut rng, 10) {
                0 => NOW.min(u64::from(block.header.time) - 7_200 - below(&mut rng, 2) as u64),
                _ => NOW,
            };
            let verdict = verdict(&mut world, &bytes, now);
            seen.insert(verdict);
            let hex = data_encoding::HEXLOWER.encode(&bytes);
            writeln!(lines, r#"{{"block":"{hex}","now":{now},"verdict":"{verdict}"}}"#).unwrap();
        }
    }
    (lines, seen)
}

#[test]
fn a_second_implementation_of_the_rules_gives_the_same_verdicts() {
    let asked = std::env::var("MESHLINE_CHECK_BLOCKS").ok().map(|count| count.parse().expect("a number of blocks"));
    let count = asked.unwrap_or(BLOCKS);
    let seed = std::env::var("MESHLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-blocks-{}.jsonl", std::process::id()));
    let (lines, seen) = generate(seed, count);
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains(*kind)).collect();
    assert!(count < MANY || missing.is_empty(), "seed {seed}: {missing:?} never came up");
    std::fs::write(&file, lines).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/ledger-check.py");
    let Ok(output) = Command::new("python3").arg(script).arg(&file).output() else {
        assert!(asked.is_none(), "python3 is not installed");
        eprintln!("skipped: python3 is not installed");
        return;
    };
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "seed {seed}, {}: {told}{errors}", file.display());
    println!("seed {seed}: {told}");
    std::fs::remove_file(&file).unwrap();
}
