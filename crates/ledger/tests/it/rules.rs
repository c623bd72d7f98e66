//! Each rule with what keeps it and what breaks it, at its edge.

use meshline_ledger::chain::Accepted;
use meshline_ledger::consensus::{Block, Difficulty, check_block, check_inputs, check_transaction, connect};
use meshline_ledger::encode::{Decode, Encode};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::transaction::{LOCK_TIME_THRESHOLD, MAX_TRANSACTION_SIZE};
use meshline_ledger::{Amount, BlockHash, CompactBits, OutPoint, Params, Rule, Transaction, TxIn, Txid};

use crate::support::{
    EASY, NOW, Owner, START, World, coinbase, coins, mine, output, params, rule_of, seal, sign, units,
};

/// A world with a payment of owner 0's first coin to owner 1, without a fee.
fn paid() -> (World, Transaction) {
    let world = World::new();
    let payment = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(1))]);
    (world, payment)
}

/// What a block with these payments gets.
fn verdict(world: &mut World, payments: Vec<Transaction>) -> Result<(), Rule> {
    let block = world.block(&Owner::new(9), payments);
    world.accept(&block).map(|accepted| assert!(matches!(accepted, Accepted::Active(_))))
}

/// What the next block gets after `change`, with merkle root and work put right again.
fn changed(world: &mut World, payments: Vec<Transaction>, change: impl FnOnce(&mut Block)) -> Result<(), Rule> {
    let mut block = world.block(&Owner::new(9), payments);
    change(&mut block);
    seal(&mut block);
    world.accept(&block).map(|_| ())
}

/// What the next block gets if its header is changed, with work put right again.
fn changed_header(world: &mut World, change: impl FnOnce(&mut meshline_ledger::Header)) -> Result<(), Rule> {
    let mut block = world.block(&Owner::new(9), Vec::new());
    change(&mut block.header);
    mine(&mut block.header);
    world.accept(&block).map(|_| ())
}

#[test]
fn names_of_rules_are_all_different() {
    let names: std::collections::BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
}

#[test]
fn unknown_parent() {
    let mut world = World::new();
    assert_eq!(changed_header(&mut world, |header| header.previous = BlockHash([1; 32])), Err(Rule::UnknownParent));
    assert_eq!(changed_header(&mut world, |_| ()), Ok(()));
}

#[test]
fn invalid_parent() {
    let mut world = World::new();
    let mut bad = world.block(&Owner::new(9), Vec::new());
    bad.transactions[0].outputs[0].amount = coins(51);
    seal(&mut bad);
    assert_eq!(world.accept(&bad), Err(Rule::CoinbaseValue));
    assert_eq!(world.accept(&bad), Err(Rule::InvalidParent), "it stays bad");
    assert_eq!(changed_header(&mut world, |header| header.previous = bad.hash()), Err(Rule::InvalidParent));
    assert_eq!(verdict(&mut world, Vec::new()), Ok(()));
}

#[test]
fn proof_of_work() {
    let mut world = World::new();
    let mut block = world.block(&Owner::new(9), Vec::new());
    let good = block.header.nonce;
    while meshline_ledger::consensus::meets(&block.hash(), EASY.target().unwrap()) {
        block.header.nonce += 1;
    }
    assert_eq!(world.accept(&block).err(), Some(Rule::ProofOfWork));
    block.header.nonce = good;
    assert!(world.accept(&block).is_ok());
}

#[test]
fn bits() {
    let mut world = World::new();
    assert_eq!(changed_header(&mut world, |header| header.bits = CompactBits(0x201f_ffff)), Err(Rule::Bits));
    assert_eq!(changed_header(&mut world, |header| header.bits = EASY), Ok(()));
}

#[test]
fn median_time() {
    let mut world = World::new();
    for _ in 0..11 {
        world.extend(&Owner::new(1), Vec::new());
    }
    // Eleven blocks before have the times 1 … 11: the median is 6.
    assert_eq!(changed_header(&mut world, |header| header.time = START + 6), Err(Rule::MedianTime));
    assert_eq!(changed_header(&mut world, |header| header.time = START + 7), Ok(()));
}

#[test]
fn future_time() {
    let mut world = World::new();
    let edge = u32::try_from(NOW).unwrap() + 7_200;
    assert_eq!(changed_header(&mut world, |header| header.time = edge + 1), Err(Rule::FutureTime));
    assert_eq!(changed_header(&mut world, |header| header.time = edge), Ok(()));
}

#[test]
fn a_block_too_early_is_good_later() {
    let mut world = World::new();
    let mut block = world.block(&Owner::new(9), Vec::new());
    block.header.time = u32::try_from(NOW).unwrap() + 7_201;
    mine(&mut block.header);
    assert_eq!(world.accept(&block), Err(Rule::FutureTime));
    assert!(world.chain.accept_block(&block, NOW + 1, &BatchVerifier).is_ok());
}

#[test]
fn block_version() {
    let mut world = World::new();
    for version in [0, 2, u32::MAX] {
        assert_eq!(changed_header(&mut world, |header| header.version = version), Err(Rule::BlockVersion));
    }
    assert_eq!(changed_header(&mut world, |header| header.version = 1), Ok(()));
}

#[test]
fn block_size() {
    let (world, payment) = paid();
    let block = world.block(&Owner::new(9), vec![payment]);
    let size = u32::try_from(block.encode().len()).unwrap();
    let with = |max_block_size| check_block(&Params { max_block_size, ..params() }, &block, 1).map(|_| ());
    assert_eq!(with(size - 1), Err(Rule::BlockSize));
    assert_eq!(with(size), Ok(()));
}

#[test]
fn no_transactions() {
    let mut world = World::new();
    assert_eq!(changed(&mut world, Vec::new(), |block| block.transactions.clear()), Err(Rule::NoTransactions));
    assert_eq!(verdict(&mut world, Vec::new()), Ok(()));
}

#[test]
fn merkle_root() {
    let mut world = World::new();
    assert_eq!(changed_header(&mut world, |header| header.merkle_root[0] ^= 1), Err(Rule::MerkleRoot));
    assert_eq!(verdict(&mut world, Vec::new()), Ok(()));
}

/// CVE-2012-2459 and CVE-2024-52921: the doubled copy is refused, and the block itself is still good.
#[test]
fn merkle_mutated() {
    let (mut world, first) = paid();
    let middle = meshline_ledger::Coin { output: first.outputs[0], height: 0, coinbase: false };
    let at = OutPoint { txid: first.txid(), index: 0 };
    let second = world.pay_coins(&Owner::new(1), &[at], &[middle], vec![output(coins(50), &Owner::new(2))]);
    let good = world.block(&Owner::new(9), vec![first, second.clone()]);
    let mut doubled = good.clone();
    doubled.transactions.push(second);
    assert_eq!(doubled.merkle_root(), good.header.merkle_root);
    assert_eq!(world.accept(&doubled), Err(Rule::MerkleMutated));
    assert!(matches!(world.accept(&good), Ok(Accepted::Active(_))));
}

#[test]
fn coinbase_first() {
    let (mut world, payment) = paid();
    assert_eq!(
        changed(&mut world, vec![payment.clone()], |block| block.transactions.swap(0, 1)),
        Err(Rule::CoinbaseFirst)
    );
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

#[test]
fn coinbase_only() {
    let (mut world, payment) = paid();
    let twice = |block: &mut Block| {
        let mut second = block.transactions[0].clone();
        second.lock_time = 1;
        block.transactions.push(second);
    };
    assert_eq!(changed(&mut world, Vec::new(), twice), Err(Rule::CoinbaseOnly));
    let mixed = payment.inputs[0].clone();
    let two_inputs = |block: &mut Block| block.transactions[0].inputs.push(mixed);
    assert_eq!(changed(&mut world, Vec::new(), two_inputs), Err(Rule::CoinbaseOnly));
    let hidden = |block: &mut Block| block.transactions[1].inputs.push(TxIn::Coinbase { height: 1, extra: Vec::new() });
    assert_eq!(changed(&mut world, vec![payment], hidden), Err(Rule::CoinbaseOnly));
    assert_eq!(verdict(&mut world, Vec::new()), Ok(()));
}

#[test]
fn coinbase_height() {
    let mut world = World::new();
    for height in [0, 2] {
        let other = |block: &mut Block| block.transactions[0].inputs = coinbase(height, Vec::new()).inputs;
        assert_eq!(changed(&mut world, Vec::new(), other), Err(Rule::CoinbaseHeight));
    }
    assert_eq!(verdict(&mut world, Vec::new()), Ok(()));
}

#[test]
fn coinbase_value() {
    let world = World::new();
    let payment = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(49), &Owner::new(1))]);
    let with = |amount: Amount| {
        let mut world = World::new();
        changed(&mut world, vec![payment.clone()], |block| block.transactions[0].outputs[0].amount = amount)
    };
    assert_eq!(with(units(5_100_000_001)), Err(Rule::CoinbaseValue), "subsidy and fees come to 51");
    assert_eq!(with(coins(51)), Ok(()));
    assert_eq!(with(coins(0)), Ok(()), "less may be taken");
}

#[test]
fn signature_count() {
    let (world, payment) = paid();
    let block = world.block(&Owner::new(9), vec![payment]);
    let with = |max_signatures| check_block(&Params { max_signatures, ..params() }, &block, 1).map(|_| ());
    assert_eq!(with(0), Err(Rule::SignatureCount));
    assert_eq!(with(1), Ok(()));
}

#[test]
fn transaction_version() {
    let (mut world, payment) = paid();
    for version in [0, 2, u32::MAX] {
        let other = Transaction { version, ..payment.clone() };
        assert_eq!(verdict(&mut world, vec![other]), Err(Rule::TransactionVersion));
    }
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

#[test]
fn transaction_size() {
    let (_, payment) = paid();
    let spend = |number: u32| TxIn::Spend {
        outpoint: OutPoint { txid: Txid([1; 32]), index: number },
        key: [0; 32],
        signature: [0; 64],
    };
    let mut large = payment;
    large.inputs = (0..757).map(spend).collect();
    while large.size() + 29 <= MAX_TRANSACTION_SIZE {
        large.outputs.push(output(units(1), &Owner::new(1)));
    }
    assert_eq!(check_transaction(&large), Ok(()));
    large.outputs.push(output(units(1), &Owner::new(1)));
    assert_eq!(check_transaction(&large), Err(Rule::TransactionSize));
}

#[test]
fn no_inputs_and_no_outputs() {
    let (mut world, payment) = paid();
    let without = Transaction { inputs: Vec::new(), ..payment.clone() };
    assert_eq!(verdict(&mut world, vec![without]), Err(Rule::NoInputs));
    let without = Transaction { outputs: Vec::new(), ..payment.clone() };
    assert_eq!(verdict(&mut world, vec![without]), Err(Rule::NoOutputs));
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

/// CVE-2010-5139: outputs that come to 2^64 and a little.
#[test]
fn output_sum() {
    let (world, mut payment) = paid();
    payment.outputs = vec![output(Amount::MAX, &Owner::new(1)), output(units(1), &Owner::new(1))];
    assert_eq!(check_transaction(&payment), Err(Rule::OutputSum));
    payment.outputs[1].amount = Amount::ZERO;
    assert_eq!(check_transaction(&payment), Ok(()));
    // 2^63 twice cannot even be written.
    let mut bytes = world.genesis.block.transactions[0].encode();
    let amount = bytes.len() - 4 - 21 - 8;
    bytes[amount..amount + 8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    assert!(Transaction::decode(&bytes).is_err());
}

/// CVE-2018-17144.
#[test]
fn duplicate_input() {
    let (mut world, _) = paid();
    let coin = world.chain.coin(&world.first_coin()).unwrap().unwrap();
    let at = world.first_coin();
    let twice = world.pay_coins(&Owner::new(0), &[at, at], &[coin, coin], vec![output(coins(100), &Owner::new(1))]);
    assert_eq!(verdict(&mut world, vec![twice]), Err(Rule::DuplicateInput));
    let once = world.pay(&Owner::new(0), &[at], vec![output(coins(50), &Owner::new(1))]);
    assert_eq!(verdict(&mut world, vec![once]), Ok(()));
}

#[test]
fn missing_input_and_spent_input() {
    let (mut world, payment) = paid();
    let coin = world.chain.coin(&world.first_coin()).unwrap().unwrap();
    let nowhere = OutPoint { txid: world.first_coin().txid, index: 1 };
    let missing = world.pay_coins(&Owner::new(0), &[nowhere], &[coin], vec![output(coins(50), &Owner::new(1))]);
    assert_eq!(verdict(&mut world, vec![missing]), Err(Rule::MissingInput));
    // Twice in one block, by two payments.
    let other = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(2))]);
    assert_eq!(verdict(&mut world, vec![payment.clone(), other.clone()]), Err(Rule::MissingInput));
    assert_eq!(verdict(&mut world, vec![payment.clone()]), Ok(()));
    assert_eq!(verdict(&mut world, vec![other]), Err(Rule::MissingInput));
    assert_eq!(verdict(&mut world, vec![payment]), Err(Rule::MissingInput), "the same payment twice");
}

#[test]
fn spending_within_a_block_needs_the_right_order() {
    let (mut world, first) = paid();
    let middle = meshline_ledger::Coin { output: first.outputs[0], height: 0, coinbase: false };
    let at = OutPoint { txid: first.txid(), index: 0 };
    let second = world.pay_coins(&Owner::new(1), &[at], &[middle], vec![output(coins(50), &Owner::new(2))]);
    assert_eq!(verdict(&mut world, vec![second.clone(), first.clone()]), Err(Rule::MissingInput));
    assert_eq!(verdict(&mut world, vec![first, second]), Ok(()));
    assert_eq!(world.chain.coin(&at).unwrap(), None);
}

#[test]
fn immature() {
    let mut world = World::with(Params { maturity: 3, ..params() });
    world.extend(&Owner::new(9), Vec::new());
    let early = world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(1))]);
    assert_eq!(verdict(&mut world, vec![early.clone()]), Err(Rule::Immature), "at height 2");
    world.extend(&Owner::new(9), Vec::new());
    assert_eq!(verdict(&mut world, vec![early]), Ok(()), "at height 3");
}

#[test]
fn input_sum() {
    struct Rich;
    impl meshline_ledger::consensus::CoinView for Rich {
        fn coin(&self, _: &OutPoint) -> Result<Option<meshline_ledger::Coin>, meshline_ledger::store::StoreError> {
            let output = output(Amount::MAX, &Owner::new(0));
            Ok(Some(meshline_ledger::Coin { output, height: 0, coinbase: false }))
        }
    }
    let (world, mut payment) = paid();
    let judge = |payment: &Transaction| {
        check_inputs(world.chain.next_context(), payment, &payment.encode_unsigned(), &Rich)
            .map(|sums| sums.fee)
            .map_err(rule_of)
    };
    assert_eq!(judge(&payment), Ok(units(Amount::MAX.units() - coins(50).units())));
    payment.inputs.push(payment.inputs[0].clone());
    assert_eq!(judge(&payment), Err(Rule::InputSum));
}

#[test]
fn overspent() {
    let mut world = World::new();
    let pay =
        |world: &World, amount| world.pay(&Owner::new(0), &[world.first_coin()], vec![output(amount, &Owner::new(1))]);
    let more = pay(&world, units(5_000_000_001));
    assert_eq!(verdict(&mut world, vec![more]), Err(Rule::Overspent));
    let all = pay(&world, coins(50));
    assert_eq!(verdict(&mut world, vec![all]), Ok(()));
}

#[test]
fn lock_time() {
    for (lock_time, expected) in [
        (1, Err(Rule::LockTime)),
        (0, Ok(())),
        (LOCK_TIME_THRESHOLD, Ok(())),
        (START, Err(Rule::LockTime)),
        (START - 1, Ok(())),
    ] {
        let (mut world, mut payment) = paid();
        let spent = world.chain.coin(&world.first_coin()).unwrap().unwrap().output;
        payment.lock_time = lock_time;
        sign(&mut payment, &Owner::new(0), world.chain.id(), &[spent]);
        // The block has the height 1; the median time before it is that of the genesis block.
        assert_eq!(verdict(&mut world, vec![payment]), expected, "{lock_time}");
    }
    let (mut world, mut payment) = paid();
    let spent = world.chain.coin(&world.first_coin()).unwrap().unwrap().output;
    payment.lock_time = 1;
    sign(&mut payment, &Owner::new(0), world.chain.id(), &[spent]);
    world.extend(&Owner::new(9), Vec::new());
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()), "at height 2 it is over");
}

#[test]
fn wrong_key() {
    let (mut world, payment) = paid();
    let stolen = world.pay(&Owner::new(5), &[world.first_coin()], vec![output(coins(50), &Owner::new(5))]);
    assert_eq!(verdict(&mut world, vec![stolen]), Err(Rule::WrongKey));
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

#[test]
fn signature() {
    let (mut world, payment) = paid();
    for at in [0, 31, 32, 63] {
        let mut bad = payment.clone();
        let Some(TxIn::Spend { signature, .. }) = bad.inputs.first_mut() else { panic!() };
        signature[at] ^= 1;
        assert_eq!(bad.txid(), payment.txid(), "names leave signatures out");
        assert_eq!(verdict(&mut world, vec![bad]), Err(Rule::Signature));
    }
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

#[test]
fn wrong_network() {
    let (mut world, payment) = paid();
    let other = World::with(Params { max_signatures: 7_499, ..params() });
    assert_ne!(other.chain.id(), world.chain.id());
    let spent = world.chain.coin(&world.first_coin()).unwrap().unwrap().output;
    let mut foreign = payment.clone();
    sign(&mut foreign, &Owner::new(0), other.chain.id(), &[spent]);
    assert_eq!(verdict(&mut world, vec![foreign]), Err(Rule::Signature));
    assert_eq!(verdict(&mut world, vec![payment]), Ok(()));
}

/// BIP-30. No chain can lead there, since a coinbase names its height: the view says so.
#[test]
fn txid_collision() {
    struct Planted(OutPoint);
    impl meshline_ledger::consensus::CoinView for Planted {
        fn coin(&self, at: &OutPoint) -> Result<Option<meshline_ledger::Coin>, meshline_ledger::store::StoreError> {
            let coin = meshline_ledger::Coin { output: output(coins(1), &Owner::new(0)), height: 0, coinbase: true };
            Ok((*at == self.0).then_some(coin))
        }
    }
    let world = World::new();
    let block = world.block(&Owner::new(9), Vec::new());
    let checked = check_block(&params(), &block, 1).unwrap();
    let judge = |planted| {
        connect(world.chain.next_context(), &block, &checked, &Planted(planted), &BatchVerifier)
            .map(|_| ())
            .map_err(rule_of)
    };
    let txid = block.transactions[0].txid();
    assert_eq!(judge(OutPoint { txid, index: 0 }), Err(Rule::TxidCollision));
    assert_eq!(judge(OutPoint { txid, index: 1 }), Ok(()));
}

#[test]
fn encoding() {
    let (world, payment) = paid();
    let bytes = world.block(&Owner::new(9), vec![payment]).encode();
    assert!(Block::decode(&bytes).is_ok());
    assert!(Block::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(Rule::Encoding.may_be_the_copy());
}

#[test]
fn parameters_out_of_range_make_no_chain() {
    assert_eq!(params().check(), Ok(()));
    for bad in [
        Params { maturity: 0, ..params() },
        Params { max_block_size: 4 * 1024 * 1024 + 1, ..params() },
        Params { max_signatures: 0, ..params() },
        Params { bits: CompactBits(0x207f_ffff), ..params() },
        Params { bits: CompactBits(0x0180_0000), ..params() },
        Params { bits: CompactBits(0x0500_0100), ..params() },
        Params { difficulty: Difficulty::Asert { spacing_s: 0, half_life_s: 1 }, ..params() },
        Params { difficulty: Difficulty::Bitcoin { spacing_s: 1, interval: 1 }, ..params() },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
    assert_eq!(Params { max_block_size: 4 * 1024 * 1024, ..params() }.check(), Ok(()));
}
