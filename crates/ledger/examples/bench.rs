//! What the ledger does in a second. The crate has no clock: each figure's work stands between a line `begin NAME COUNT`
//! and a line `end`, and whoever reads the lines takes the time (`scripts/ledger-bench.py`).
//!
//! Usage: bench all FOLDER | fill FOLDER | open FOLDER

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example fails by panicking"
)]

use std::path::Path;
use std::thread;

use ed25519_zebra::{SigningKey, VerificationKey};
use meshline_ledger::chain::{Accepted, Chain, Flush};
use meshline_ledger::consensus::{AddressPrefix, BLOCK_VERSION, Difficulty, Policy, verify_headers};
use meshline_ledger::encode::Encode;
use meshline_ledger::mempool::{Mempool, Origin};
use meshline_ledger::miner::Search;
use meshline_ledger::sighash::{BatchVerifier, SignatureCheck, SignatureVerifier, sighash};
use meshline_ledger::store::{MemoryStore, RedbStore, Store};
use meshline_ledger::{
    Amount, Block, BlockHash, CompactBits, Genesis, Header, Lock, OutPoint, Params, Transaction, TxIn, TxOut,
};

const START: u32 = 1_700_000_000;
const NOW: u64 = START as u64 + 1_000_000;
const BLOCKS: usize = 100;
const PAYMENTS: usize = 1_000;
const MILLION: u32 = 1_000_000;

/// Judges on two threads.
struct TwoThreads;

impl SignatureVerifier for TwoThreads {
    fn all_valid(&self, checks: &[SignatureCheck]) -> bool {
        let (left, right) = checks.split_at(checks.len() / 2);
        thread::scope(|scope| {
            let left = scope.spawn(|| BatchVerifier.all_valid(left));
            BatchVerifier.all_valid(right) && left.join().unwrap()
        })
    }
}

fn begin(name: &str, count: usize) {
    println!("begin {name} {count}");
}

fn end() {
    println!("end");
}

struct Maker {
    genesis: Genesis,
    key: SigningKey,
    public: [u8; 32],
}

impl Maker {
    fn new() -> Self {
        let key = SigningKey::from([1; 32]);
        let public: [u8; 32] = VerificationKey::from(&key).into();
        let params = Params {
            difficulty: Difficulty::Fixed,
            bits: CompactBits(0x203f_ffff),
            subsidy: Amount::from_coins(1_000).unwrap(),
            halving_interval: 0,
            maturity: 1,
            max_block_size: 4 * 1024 * 1024,
            max_signatures: 20_000,
            prefix: AddressPrefix::MESH,
        };
        let mut block = Genesis::unmined(&params, START, Lock::to_key(&public), None).unwrap();
        block.header = mined(block.header);
        let policy = Policy { least_fee_rate: 0, mine_empty: true, template_from: 0 };
        Self { genesis: Genesis { name: "bench".to_owned(), params, policy, block }, key, public }
    }

    fn lock(&self) -> Lock {
        Lock::to_key(&self.public)
    }

    fn spend(&self, at: OutPoint, amount: u64, outputs: Vec<TxOut>) -> Transaction {
        let input = |signature| TxIn::Spend { outpoint: at, key: self.public, signature };
        let mut payment = Transaction { version: 1, inputs: vec![input([0; 64])], outputs, lock_time: 0 };
        let spent = TxOut { amount: Amount::from_units(amount).unwrap(), lock: self.lock() };
        let message = sighash(self.genesis.block.hash(), &payment, &[spent]);
        payment.inputs = vec![input(self.key.sign(&message).into())];
        payment
    }

    /// Splits an output into equal parts for the locks.
    fn split(&self, at: OutPoint, amount: u64, locks: &[Lock]) -> Transaction {
        let part = Amount::from_units(amount / locks.len() as u64).unwrap();
        self.spend(at, amount, locks.iter().map(|lock| TxOut { amount: part, lock: *lock }).collect())
    }

    fn block(&self, previous: BlockHash, height: u32, payments: Vec<Transaction>) -> Block {
        let reward = TxOut { amount: self.genesis.params.subsidy, lock: self.lock() };
        let inputs = vec![TxIn::Coinbase { height, extra: Vec::new() }];
        let mut transactions = vec![Transaction { version: 1, inputs, outputs: vec![reward], lock_time: 0 }];
        transactions.extend(payments);
        let (bits, time) = (self.genesis.params.bits, START + height);
        let header = Header { version: BLOCK_VERSION, previous, merkle_root: [0; 32], time, bits, nonce: 0 };
        let mut block = Block { header, transactions };
        block.header.merkle_root = block.merkle_root();
        block.header = mined(block.header);
        block
    }

    /// Two blocks that split the first coin into `groups` × `each` outputs.
    fn fund(&self, groups: usize, locks: impl Fn(usize) -> Vec<Lock>) -> (Vec<Block>, Vec<Transaction>) {
        let first = OutPoint { txid: self.genesis.block.transactions[0].txid(), index: 0 };
        let amount = self.genesis.params.subsidy.units();
        let top = self.split(first, amount, &vec![self.lock(); groups]);
        let share = amount / groups as u64;
        let at = |index| OutPoint { txid: top.txid(), index };
        let splits: Vec<Transaction> =
            (0..groups).map(|group| self.split(at(group as u32), share, &locks(group))).collect();
        let one = self.block(self.genesis.block.hash(), 1, vec![top.clone()]);
        let mut blocks = vec![one];
        for (number, chunk) in (2..).zip(splits.chunks(40)) {
            blocks.push(self.block(blocks[blocks.len() - 1].hash(), number, chunk.to_vec()));
        }
        (blocks, splits)
    }
}

fn mined(header: Header) -> Header {
    Search::new(header).unwrap().step(0, u32::MAX).unwrap()
}

fn take<S: Store>(chain: &mut Chain<S>, blocks: &[Block]) {
    for block in blocks {
        assert!(!matches!(chain.accept_block(block, NOW, &TwoThreads).unwrap(), Accepted::NotKept));
    }
}

fn all(folder: &Path) {
    let maker = Maker::new();
    let (funding, splits) = maker.fund(BLOCKS / 2, |_| vec![maker.lock(); 2 * PAYMENTS]);
    let each = splits[0].outputs[0].amount.units();
    let mut payments = Vec::new();
    for split in &splits {
        let txid = split.txid();
        for index in 0..2 * PAYMENTS as u32 {
            let halves = vec![TxOut { amount: Amount::from_units(each / 2).unwrap(), lock: maker.lock() }; 2];
            payments.push(maker.spend(OutPoint { txid, index }, each, halves));
        }
    }
    let (base, height) = (funding[funding.len() - 1].hash(), funding.len() as u32);
    let mut blocks: Vec<Block> = Vec::new();
    for (number, chunk) in (1..).zip(payments.chunks(PAYMENTS)) {
        let previous = blocks.last().map_or(base, Block::hash);
        blocks.push(maker.block(previous, height + number, chunk.to_vec()));
    }
    connect(&maker, folder, &funding, &blocks);
    admit(&maker, &funding, &payments[..20_000]);
    signatures(&maker);
    headers(&maker);
    hashes(&maker);
}

fn connect(maker: &Maker, folder: &Path, funding: &[Block], blocks: &[Block]) {
    let count = BLOCKS * PAYMENTS;
    let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
    chain.set_flush(Flush::BySize);
    take(&mut chain, funding);
    begin("connect_memory_tx", count);
    take(&mut chain, blocks);
    end();
    for (name, flush) in [("connect_redb_by_size_tx", Flush::BySize), ("connect_redb_each_block_tx", Flush::EachBlock)]
    {
        let store = RedbStore::open(&folder.join(name)).unwrap();
        let mut chain = Chain::open(&maker.genesis, store).unwrap();
        chain.set_flush(flush);
        take(&mut chain, funding);
        begin(name, count);
        take(&mut chain, blocks);
        chain.flush().unwrap();
        end();
        if flush == Flush::EachBlock {
            reorganise(maker, &mut chain, funding);
        }
    }
}

/// To empty blocks and back.
fn reorganise(maker: &Maker, chain: &mut Chain<RedbStore>, funding: &[Block]) {
    let before = chain.set_hash().unwrap();
    let (tip, top) = (chain.tip(), chain.height());
    let (mut previous, mut side) = (funding[funding.len() - 1].hash(), Vec::new());
    for height in funding.len() as u32 + 1..=top + 1 {
        side.push(maker.block(previous, height, Vec::new()));
        previous = side[side.len() - 1].hash();
    }
    let last = side.pop().unwrap();
    take(chain, &side);
    begin("disconnect_100_blocks_of_1000_tx", BLOCKS * PAYMENTS);
    take(chain, &[last]);
    end();
    let one = maker.block(tip, top + 1, Vec::new());
    let two = maker.block(one.hash(), top + 2, Vec::new());
    take(chain, &[one]);
    begin("reorganise_back_tx", BLOCKS * PAYMENTS);
    take(chain, &[two]);
    end();
    assert_eq!(chain.set_hash().unwrap().outputs, before.outputs + 2);
}

fn admit(maker: &Maker, funding: &[Block], payments: &[Transaction]) {
    let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
    take(&mut chain, funding);
    let mut pool = Mempool::new(0);
    begin("mempool_tx_one_thread", payments.len());
    for payment in payments {
        pool.add(&chain, payment, (Origin::Local, NOW), &BatchVerifier).unwrap();
    }
    end();
    begin("template_of_20000", 1);
    let template = meshline_ledger::mempool::Template::new(&chain, &pool, maker.lock(), NOW, b"");
    end();
    assert!(template.block.transactions.len() > PAYMENTS);
}

/// The limit of all that judges payments.
fn signatures(maker: &Maker) {
    let check = |number: u32| {
        let key =
            SigningKey::from(*maker.genesis.block.hash().0.map(|byte| byte ^ number as u8).first_chunk().unwrap());
        let sighash = [number as u8; 32];
        SignatureCheck { key: VerificationKey::from(&key).into(), signature: key.sign(&sighash).into(), sighash }
    };
    let checks: Vec<SignatureCheck> = (0..20_000).map(check).collect();
    begin("signatures_two_threads", checks.len());
    assert!(TwoThreads.all_valid(&checks));
    end();
}

fn headers(maker: &Maker) {
    // Beyond Bitcoin's limit of work nothing can be made here: the real ones, again and again, hashed and judged.
    let bytes = include_bytes!("../tests/data/bitcoin-headers-0-438.bin");
    let rounds = 4_000;
    begin("bitcoin_headers", rounds * 439);
    for _ in 0..rounds {
        assert_eq!(verify_headers(&bytes[..], 0).unwrap().count, 439);
    }
    end();
    let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
    let (mut previous, mut made) = (maker.genesis.block.hash(), Vec::new());
    for height in 1..=100_000 {
        let bits = maker.genesis.params.bits;
        let header = Header { version: 1, previous, merkle_root: [0; 32], time: START + height, bits, nonce: 0 };
        made.push(mined(header));
        previous = made[made.len() - 1].hash();
    }
    begin("headers_into_the_tree", made.len());
    for header in &made {
        chain.accept_header(header, NOW).unwrap();
    }
    end();
}

fn hashes(maker: &Maker) {
    let header = Header { bits: CompactBits(0x0300_0001), ..maker.genesis.block.header };
    let search = Search::new(header).unwrap();
    begin("hashes_one_thread", 20_000_000);
    assert_eq!(search.step(0, 20_000_000), None);
    end();
}

/// A million unspent outputs on disk, of as many owners; stays until it is killed.
fn fill(folder: &Path) {
    let maker = Maker::new();
    let owner = |number: u32| {
        let mut hash = [9; 20];
        hash[..4].copy_from_slice(&number.to_le_bytes());
        Lock::KeyHash(hash)
    };
    let (blocks, _) =
        maker.fund(400, |group| (0..MILLION / 400).map(|index| owner(group as u32 * 2_500 + index)).collect());
    let mut chain = Chain::open(&maker.genesis, RedbStore::open(&folder.join("million")).unwrap()).unwrap();
    begin("write_million_outputs", MILLION as usize);
    take(&mut chain, &blocks);
    end();
    println!("filled {}", blocks.iter().map(|block| block.encode().len()).sum::<usize>());
    loop {
        thread::park();
    }
}

fn open(folder: &Path) {
    let maker = Maker::new();
    begin("open_million", 1);
    let chain = Chain::open(&maker.genesis, RedbStore::open(&folder.join("million")).unwrap()).unwrap();
    end();
    let mut hash = [9; 20];
    hash[..4].copy_from_slice(&77_777u32.to_le_bytes());
    begin("balance_among_million", 1_000);
    for number in 0..1_000u32 {
        hash[..4].copy_from_slice(&(number * 997).to_le_bytes());
        assert!(chain.balance(&Lock::KeyHash(hash)).unwrap().0 > 0);
    }
    end();
    begin("set_hash_of_million", MILLION as usize);
    assert!(chain.set_hash().unwrap().outputs >= MILLION.into());
    end();
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["all", folder] => all(Path::new(folder)),
        ["fill", folder] => fill(Path::new(folder)),
        ["open", folder] => open(Path::new(folder)),
        _ => println!("usage: bench all FOLDER | fill FOLDER | open FOLDER"),
    }
}
