//! What a block costs a node that has all its payments already: from the first word of it until the next one may come,
//! and what follows later.

use std::path::Path;
use std::thread;

use meshline_ledger::chain::Chain;
use meshline_ledger::mempool::{Mempool, Origin};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{MemoryStore, RedbStore, Store};
use meshline_ledger::sync::{Config, Input, Now, Output, Sync};
use meshline_ledger::verified::Verified;
use meshline_ledger::{Amount, Block, OutPoint, Transaction, TxOut};
use meshline_protocol::NodeId;

use crate::{Maker, START, take};

/// A node, with what it has been told to send.
struct Peer<S> {
    id: NodeId,
    chain: Chain<S>,
    pool: Mempool,
    sync: Sync<Verified<BatchVerifier>>,
    processor_ns: u64,
}

impl<S: Store> Peer<S> {
    fn new(number: u8, maker: &Maker, store: S, funding: &[Block]) -> Self {
        let mut chain = Chain::open(&maker.genesis, store).unwrap();
        take(&mut chain, funding);
        let sync = Sync::new(Config::default(), Verified::new(BatchVerifier), [number; 32]);
        Self { id: NodeId::from_bytes([number; 32]), chain, pool: Mempool::new(0), sync, processor_ns: 0 }
    }

    /// Takes something in; the processor time of the thread counts.
    fn take_in(&mut self, input: Input, now: Now) -> Vec<Input> {
        let before = processor_ns();
        self.sync.handle(input, now, &mut self.chain, &mut self.pool);
        self.processor_ns += processor_ns() - before;
        self.sent()
    }

    fn sent(&mut self) -> Vec<Input> {
        let peer = self.id;
        let output = std::iter::from_fn(|| self.sync.poll_output());
        let sent = output.filter_map(|output| match output {
            Output::Send { message, body, .. } => Some(Input::Frame { peer, message, body }),
            Output::Misbehaved { reason, .. } => panic!("{reason}"),
            Output::Event(_) => None,
        });
        sent.collect()
    }
}

/// Of this thread, in nanoseconds.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Lets two peers talk until neither has anything to say.
fn talk<S: Store, T: Store>(one: &mut Peer<S>, other: &mut Peer<T>, mut for_other: Vec<Input>, now: Now) {
    let mut for_one = other.sent();
    while !for_one.is_empty() || !for_other.is_empty() {
        let said = |input| other.take_in(input, now);
        let next: Vec<Input> = std::mem::take(&mut for_other).into_iter().flat_map(said).collect();
        for_one.extend(next);
        for_other = std::mem::take(&mut for_one).into_iter().flat_map(|input| one.take_in(input, now)).collect();
    }
    one.take_in(Input::Drained { peer: other.id }, now);
    other.take_in(Input::Drained { peer: one.id }, now);
}

/// In a thread of its own, as the ledger of a node is: the allocator treats those differently.
pub(super) fn run(folder: &Path, payments: usize, rounds: usize) {
    thread::scope(|scope| scope.spawn(|| take_rounds(folder, payments, rounds)).join().unwrap());
}

fn take_rounds(folder: &Path, payments: usize, rounds: usize) {
    let maker = Maker::new();
    let (funding, splits) = maker.fund(rounds, |_| vec![maker.lock(); payments]);
    let path = folder.join("taken");
    let mut from = Peer::new(1, &maker, MemoryStore::default(), &funding);
    let mut to = Peer::new(2, &maker, RedbStore::open(&path).unwrap(), &funding);
    let mut now = Now { mono_us: 1_000_000, unix_s: u64::from(START) + 600 };
    let said = from.take_in(Input::LinkUp { peer: to.id }, now);
    to.take_in(Input::LinkUp { peer: from.id }, now);
    talk(&mut from, &mut to, said, now);
    for split in &splits {
        let amount = split.outputs[0].amount.units();
        let outputs =
            [amount - 2_000, 1_000].map(|part| TxOut { amount: Amount::from_units(part).unwrap(), lock: maker.lock() });
        let pay = |index| maker.spend(OutPoint { txid: split.txid(), index }, amount, outputs.to_vec());
        let made: Vec<Transaction> = (0..payments as u32).map(pay).collect();
        let added = to.pool.add_all(&to.chain, &made, (Origin::Peer(1), now.unix_s), to.sync.verifier());
        assert!(added.iter().all(Result::is_ok));
        from.sync.verifier().judge(&from.pool.signatures(&from.chain, &made).unwrap());
        let block = maker.block(from.chain.tip(), from.chain.height() + 1, made);
        to.processor_ns = 0;
        from.sync.submit_block(&block, now, (&mut from.chain, &mut from.pool)).unwrap();
        let said = from.sent();
        talk(&mut from, &mut to, said, now);
        assert_eq!((to.chain.tip(), to.pool.len()), (block.hash(), 0));
        let until_told = std::mem::take(&mut to.processor_ns);
        for _ in 0..50 {
            now.mono_us += 100_000;
            to.take_in(Input::Tick, now);
        }
        let later = std::mem::take(&mut to.processor_ns);
        println!("processor_us taken {} later {}", until_told / 1_000, later / 1_000);
    }
    let before = to.chain.set_hash().unwrap();
    drop(to);
    let again = Chain::open(&maker.genesis, RedbStore::open(&path).unwrap()).unwrap();
    assert_eq!(again.set_hash().unwrap(), before);
    std::fs::remove_file(path).unwrap();
}
