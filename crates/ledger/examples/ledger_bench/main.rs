//! What the ledger does in a second, and the limits of it. The crate has no clock: each figure's work stands between a line
//! `begin NAME COUNT` and a line `end`, and whoever reads the lines takes the time (`cargo xtask bench ledger`).
//!
//! Usage: ledger_bench connect FOLDER ROUNDS | admit ROUNDS | headers ROUNDS | fill FOLDER | open FOLDER
//! Of one node alone: taken FOLDER PAYMENTS ROUNDS, the processor time of a block in short whose payments all wait already
//! For `bench ledger-net`: chain FOLDER BLOCKS PAYMENTS | forged FOLDER | replay FOLDER | waiting FOLDER PAYMENTS ROUNDS

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example fails by panicking"
)]

mod taken;

use std::path::Path;
use std::thread;

use ed25519_zebra::{SigningKey, VerificationKey};
use meshline_ledger::chain::{Accepted, Chain, Flush};
use meshline_ledger::consensus::{AddressPrefix, BLOCK_VERSION, Difficulty, Policy, verify_headers};
use meshline_ledger::hash::sha256d;
use meshline_ledger::mempool::{Mempool, Origin, save_payments};
use meshline_ledger::miner::Search;
use meshline_ledger::sighash::{BatchVerifier, SignatureCheck, SignatureVerifier, sighash};
use meshline_ledger::store::{MemoryStore, RedbStore, Store};
use meshline_ledger::verified::Verified;
use meshline_ledger::{
    Amount, Block, BlockHash, CompactBits, Genesis, Header, Lock, OutPoint, Params, Transaction, TxIn, TxOut,
};
use sha2::{Digest, Sha256};

const START: u32 = 1_700_000_000;
const NOW: u64 = START as u64 + 1_000_000;
const BLOCKS: usize = 100;
const PAYMENTS: usize = 1_000;
const MILLION: u32 = 1_000_000;
/// Those who are paid in a chain for `bench ledger-net`.
const SOMEBODIES: u8 = 100;

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
        Self::with(CompactBits(0x203f_ffff), START)
    }

    /// Whose blocks take so much work; the first one is of that time.
    fn with(bits: CompactBits, start: u32) -> Self {
        let key = SigningKey::from([1; 32]);
        let public: [u8; 32] = VerificationKey::from(&key).into();
        let params = Params {
            difficulty: Difficulty::Fixed,
            bits,
            subsidy: Amount::from_coins(1_000).unwrap(),
            halving_interval: 0,
            maturity: 1,
            max_block_size: 4 * 1024 * 1024,
            max_signatures: 20_000,
            prefix: AddressPrefix::MESH,
        };
        let mut block = Genesis::unmined(&params, start, Lock::to_key(&public), None).unwrap();
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
        let (bits, time) = (self.genesis.params.bits, self.genesis.block.header.time + height);
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
    take_with(chain, blocks, &TwoThreads);
}

fn take_with<S: Store>(chain: &mut Chain<S>, blocks: &[Block], verifier: &impl SignatureVerifier) {
    for block in blocks {
        assert!(!matches!(chain.accept_block(block, NOW, verifier).unwrap(), Accepted::NotKept));
    }
}

/// Funding, and on top of it [`BLOCKS`] blocks of [`PAYMENTS`] payments with one input and two outputs.
fn payments(maker: &Maker) -> (Vec<Block>, Vec<Block>) {
    let (funding, splits) = maker.fund(BLOCKS / 2, |_| vec![maker.lock(); 2 * PAYMENTS]);
    let each = splits[0].outputs[0].amount.units();
    let sign = |split: &Transaction| {
        let txid = split.txid();
        let halves = vec![TxOut { amount: Amount::from_units(each / 2).unwrap(), lock: maker.lock() }; 2];
        let pay = |index| maker.spend(OutPoint { txid, index }, each, halves.clone());
        (0..2 * PAYMENTS as u32).map(pay).collect::<Vec<_>>()
    };
    let (left, right) = splits.split_at(splits.len() / 2);
    let mut all: Vec<Transaction> = thread::scope(|scope| {
        let left = scope.spawn(|| left.iter().flat_map(sign).collect::<Vec<_>>());
        let right: Vec<Transaction> = right.iter().flat_map(sign).collect();
        left.join().unwrap().into_iter().chain(right).collect()
    });
    let (base, height) = (funding[funding.len() - 1].hash(), funding.len() as u32);
    let mut blocks: Vec<Block> = Vec::new();
    for number in 1..=BLOCKS as u32 {
        let previous = blocks.last().map_or(base, Block::hash);
        blocks.push(maker.block(previous, height + number, all.drain(..PAYMENTS).collect()));
    }
    (funding, blocks)
}

fn connect(folder: &Path, rounds: usize) {
    let maker = Maker::new();
    let (funding, blocks) = payments(&maker);
    for round in 0..rounds {
        signatures(&maker);
        let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
        chain.set_flush(Flush::BySize);
        connect_to(&mut chain, "connect_memory", &funding, &blocks);
        for (name, flush) in [("connect_by_size", Flush::BySize), ("connect_each_block", Flush::EachBlock)] {
            let path = folder.join(format!("{name}-{round}"));
            let mut chain = Chain::open(&maker.genesis, RedbStore::open(&path).unwrap()).unwrap();
            chain.set_flush(flush);
            connect_to(&mut chain, name, &funding, &blocks);
            if flush == Flush::EachBlock {
                reorganise(&maker, &mut chain, &funding, &Verified::new(TwoThreads));
            }
            drop(chain);
            std::fs::remove_file(path).unwrap();
        }
        let store = RedbStore::open(&folder.join("known")).unwrap();
        let (mut chain, verified) = (Chain::open(&maker.genesis, store).unwrap(), Verified::new(TwoThreads));
        take_with(&mut chain, &funding, &verified);
        take_with(&mut chain, &blocks, &verified);
        reorganise(&maker, &mut chain, &funding, &verified);
        drop(chain);
        std::fs::remove_file(folder.join("known")).unwrap();
    }
}

fn connect_to<S: Store>(chain: &mut Chain<S>, name: &str, funding: &[Block], blocks: &[Block]) {
    take(chain, funding);
    begin(name, BLOCKS * PAYMENTS);
    take(chain, blocks);
    chain.flush().unwrap();
    end();
}

/// To empty blocks and back; signatures that are remembered from before are not judged again.
fn reorganise<S: Store>(maker: &Maker, chain: &mut Chain<S>, funding: &[Block], verified: &Verified<TwoThreads>) {
    let names = match verified.is_empty() {
        true => ["off", "on", "reorganise"],
        false => ["off_known", "on_known", "reorganise_known"],
    };
    let before = chain.set_hash().unwrap();
    let (tip, top) = (chain.tip(), chain.height());
    let (mut previous, mut side) = (funding[funding.len() - 1].hash(), Vec::new());
    for height in funding.len() as u32 + 1..=top + 1 {
        side.push(maker.block(previous, height, Vec::new()));
        previous = side[side.len() - 1].hash();
    }
    let last = side.pop().unwrap();
    take_with(chain, &side, verified);
    begin(names[0], 1);
    take_with(chain, &[last], verified);
    end();
    let one = maker.block(tip, top + 1, Vec::new());
    let two = maker.block(one.hash(), top + 2, Vec::new());
    take_with(chain, &[one], verified);
    begin(names[1], 1);
    take_with(chain, &[two], verified);
    end();
    let after = chain.set_hash().unwrap();
    assert_eq!((chain.height(), after.outputs), (top + 2, before.outputs + 2), "{}", names[2]);
}

fn admit(rounds: usize) {
    let maker = Maker::new();
    let (funding, blocks) = payments(&maker);
    let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
    take(&mut chain, &funding);
    let waiting = || blocks[..20].iter().flat_map(|block| &block.transactions[1..]);
    let source = (Origin::Local, NOW);
    for _ in 0..rounds {
        signatures(&maker);
        let mut pool = Mempool::new(0);
        begin("admit_one_by_one", 20 * PAYMENTS);
        for payment in waiting() {
            pool.add(&chain, payment, source, &BatchVerifier).unwrap();
        }
        end();
        let (mut pool, verified) = (Mempool::new(0), Verified::new(TwoThreads));
        begin("admit_in_batches", 20 * PAYMENTS);
        for block in &blocks[..20] {
            let added = pool.add_all(&chain, &block.transactions[1..], source, &verified);
            assert!(added.iter().all(Result::is_ok));
        }
        end();
        begin("template", 1);
        let template = meshline_ledger::mempool::Template::new(&chain, &pool, maker.lock(), NOW, b"");
        end();
        assert!(template.block.transactions.len() > PAYMENTS);
    }
}

/// The limits of all that judges payments.
fn signatures(maker: &Maker) {
    let check = |number: u32| {
        let key =
            SigningKey::from(*maker.genesis.block.hash().0.map(|byte| byte ^ number as u8).first_chunk().unwrap());
        let sighash = [number as u8; 32];
        SignatureCheck { key: VerificationKey::from(&key).into(), signature: key.sign(&sighash).into(), sighash }
    };
    let checks: Vec<SignatureCheck> = (0..20_000).map(check).collect();
    begin("limit_signatures_two_threads", checks.len());
    assert!(TwoThreads.all_valid(&checks));
    end();
    begin("limit_signatures_one_by_one", checks.len());
    assert!(checks.iter().all(SignatureCheck::is_valid));
    end();
}

fn headers(rounds: usize) {
    let maker = Maker::new();
    // Beyond Bitcoin's limit of work nothing can be made here: the real ones, again and again, hashed and judged.
    let bytes = include_bytes!("../../tests/data/bitcoin-headers-0-438.bin");
    let (mut previous, mut made) = (maker.genesis.block.hash(), Vec::new());
    for height in 1..=100_000 {
        let bits = maker.genesis.params.bits;
        let header = Header { version: 1, previous, merkle_root: [0; 32], time: START + height, bits, nonce: 0 };
        made.push(mined(header));
        previous = made[made.len() - 1].hash();
    }
    for _ in 0..rounds {
        let times = 4_000;
        begin("headers_of_a_stream", times * 439);
        for _ in 0..times {
            assert_eq!(verify_headers(&bytes[..], 0).unwrap().count, 439);
        }
        end();
        begin("limit_header_hashes", times * 439);
        for _ in 0..times {
            bytes.chunks_exact(80).for_each(|header| assert_ne!(sha256d(header), [0; 32]));
        }
        end();
        let mut chain = Chain::open(&maker.genesis, MemoryStore::default()).unwrap();
        begin("headers_into_the_tree", made.len());
        for header in &made {
            chain.accept_header(header, NOW).unwrap();
        }
        end();
        assert_eq!(chain.best_header().1, 100_000);
        begin("missing_blocks", 1_000);
        for _ in 0..1_000 {
            assert_eq!(chain.missing_blocks(1_024).len(), 1_024);
        }
        end();
        hashes(&maker);
    }
}

fn hashes(maker: &Maker) {
    let header = Header { bits: CompactBits(0x0300_0001), ..maker.genesis.block.header };
    let search = Search::new(header).unwrap();
    let count = 10_000_000;
    begin("hashes_of_a_miner", count as usize);
    assert_eq!(search.step(0, count), None);
    end();
    // A hash of a header whose first 64 bytes are done takes two more blocks of SHA-256.
    let long = vec![7; 64 * 1_000];
    begin("limit_hashes", count as usize);
    for _ in 0..count / 500 {
        assert_ne!(Sha256::digest(&long)[..], [0; 32]);
    }
    end();
}

/// A million unspent outputs on disk, of as many owners.
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
    wait_for_the_end();
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
    wait_for_the_end();
}

/// A genesis file and a chain as a node has them: so many blocks, each with so many payments of one input and two outputs.
fn chain(folder: &Path, blocks: u32, payments: u32) {
    let maker = Maker::new();
    let mut chain = kept(&maker, folder);
    chain.set_flush(Flush::BySize);
    let first = OutPoint { txid: maker.genesis.block.transactions[0].txid(), index: 0 };
    let total = maker.genesis.params.subsidy.units();
    let top = maker.split(first, total, &vec![maker.lock(); payments as usize]);
    let mut coins: Vec<OutPoint> = (0..payments).map(|index| OutPoint { txid: top.txid(), index }).collect();
    let mut amount = total / u64::from(payments);
    let block = maker.block(chain.tip(), 1, vec![top]);
    take(&mut chain, &[block]);
    for height in 2..=blocks {
        // All but a unit goes on; the unit is for somebody.
        let pay = |coin, somebody| {
            let outputs = [(amount - 1, maker.lock()), (1, Lock::to_key(&[somebody; 32]))];
            let out = |(units, lock)| TxOut { amount: Amount::from_units(units).unwrap(), lock };
            maker.spend(coin, amount, outputs.map(out).to_vec())
        };
        let made: Vec<Transaction> =
            coins.iter().zip((0..SOMEBODIES).cycle()).map(|(coin, to)| pay(*coin, to)).collect();
        coins = made.iter().map(|payment| OutPoint { txid: payment.txid(), index: 0 }).collect();
        amount -= 1;
        let block = maker.block(chain.tip(), height, made);
        take(&mut chain, &[block]);
    }
    chain.flush().unwrap();
}

/// An empty chain in a folder, with its genesis file.
fn kept(maker: &Maker, folder: &Path) -> Chain<RedbStore> {
    let file = serde_json::to_string(&maker.genesis.to_file()).unwrap();
    std::fs::write(folder.join("genesis.json"), file).unwrap();
    Chain::open(&maker.genesis, RedbStore::open(&folder.join("chain.redb")).unwrap()).unwrap()
}

/// The blocks of such a chain into an empty one: what a synchronisation without any network takes.
fn replay(folder: &Path) {
    let maker = Maker::new();
    let from = Chain::open(&maker.genesis, RedbStore::open(&folder.join("chain.redb")).unwrap()).unwrap();
    let path = folder.join("replay.redb");
    let mut to = Chain::open(&maker.genesis, RedbStore::open(&path).unwrap()).unwrap();
    to.set_flush(Flush::BySize);
    begin("replay", from.height() as usize);
    for height in 1..=from.height() {
        let block = from.block(&from.hash_at(height).unwrap()).unwrap().unwrap();
        take_with(&mut to, &[block], &BatchVerifier);
    }
    to.flush().unwrap();
    end();
    std::fs::remove_file(path).unwrap();
}

/// Finds every signature good.
struct Anything;

impl SignatureVerifier for Anything {
    fn all_valid(&self, _: &[SignatureCheck]) -> bool {
        true
    }
}

/// Beside such a chain another one: its first half, a block with a false signature, and more blocks on that than the
/// other one has.
fn forged(folder: &Path) {
    let maker = Maker::new();
    let from = Chain::open(&maker.genesis, RedbStore::open(&folder.join("chain.redb")).unwrap()).unwrap();
    let mut to = Chain::open(&maker.genesis, RedbStore::open(&folder.join("forged.redb")).unwrap()).unwrap();
    to.set_flush(Flush::BySize);
    let (half, top) = (from.height() / 2, from.height() + 10);
    let block_at = |height| from.block(&from.hash_at(height).unwrap()).unwrap().unwrap();
    for height in 1..=half {
        take_with(&mut to, &[block_at(height)], &Anything);
    }
    let mut bad = block_at(half + 1);
    for input in bad.transactions.iter_mut().flat_map(|payment| &mut payment.inputs) {
        if let TxIn::Spend { signature, .. } = input {
            signature[40] ^= 1;
        }
    }
    bad.header.merkle_root = bad.merkle_root();
    bad.header = mined(bad.header);
    take_with(&mut to, &[bad], &Anything);
    for height in half + 2..=top {
        let block = maker.block(to.tip(), height, Vec::new());
        take_with(&mut to, &[block], &Anything);
    }
    to.flush().unwrap();
}

/// A chain whose blocks take a tenth of a second or so, and for each round payments that wait for the next one.
fn waiting(folder: &Path, payments: u32, rounds: usize) {
    let now = std::fs::metadata(folder).unwrap().modified().unwrap();
    let now_s = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let maker = Maker::with(CompactBits(0x1e0f_ffff), u32::try_from(now_s).unwrap() - 600);
    let mut chain = kept(&maker, folder);
    let (funding, splits) = maker.fund(rounds, |_| vec![maker.lock(); payments as usize]);
    for block in &funding {
        assert!(matches!(chain.accept_block(block, now_s, &TwoThreads).unwrap(), Accepted::Active(_)));
    }
    for (round, split) in splits.iter().enumerate() {
        let (txid, amount) = (split.txid(), split.outputs[0].amount.units());
        let outputs =
            [amount - 2_000, 1_000].map(|part| TxOut { amount: Amount::from_units(part).unwrap(), lock: maker.lock() });
        let pay = |index| maker.spend(OutPoint { txid, index }, amount, outputs.to_vec());
        let made: Vec<Transaction> = (0..payments).map(pay).collect();
        let saved: Vec<_> = made.iter().map(|payment| (payment, Origin::Peer(1), now_s)).collect();
        std::fs::write(folder.join(format!("mempool-{round}.dat")), save_payments(&saved)).unwrap();
    }
}

/// Until it is killed.
fn wait_for_the_end() -> ! {
    println!("waiting");
    loop {
        thread::park();
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["connect", folder, rounds] => connect(Path::new(folder), rounds.parse().unwrap()),
        ["admit", rounds] => admit(rounds.parse().unwrap()),
        ["headers", rounds] => headers(rounds.parse().unwrap()),
        ["fill", folder] => fill(Path::new(folder)),
        ["open", folder] => open(Path::new(folder)),
        ["chain", folder, blocks, payments] => {
            chain(Path::new(folder), blocks.parse().unwrap(), payments.parse().unwrap());
        }
        ["taken", folder, payments, rounds] => {
            taken::run(Path::new(folder), payments.parse().unwrap(), rounds.parse().unwrap());
        }
        ["replay", folder] => replay(Path::new(folder)),
        ["forged", folder] => forged(Path::new(folder)),
        ["waiting", folder, payments, rounds] => {
            waiting(Path::new(folder), payments.parse().unwrap(), rounds.parse().unwrap());
        }
        _ => println!(
            "usage: ledger_bench connect FOLDER ROUNDS | admit ROUNDS | headers ROUNDS | fill FOLDER | open FOLDER"
        ),
    }
}
