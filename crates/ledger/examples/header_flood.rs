//! Peers that have nothing but headers, cheap ones and without end: what a newcomer holds of them. Prints its resident
//! memory before and at the most, in KiB, and what the synchronisation counts itself, in bytes.
//!
//! Usage: header_flood PEERS HEADERS (of each peer)

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "an example fails by panicking")]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::consensus::{AddressPrefix, Difficulty, Policy};
use meshline_ledger::mempool::Mempool;
use meshline_ledger::miner::Search;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::MemoryStore;
use meshline_ledger::sync::{Config, Input, Now, Output, Sync};
use meshline_ledger::{Amount, CompactBits, Genesis, Header, Lock, Params};
use meshline_protocol::message::{Ledger, LedgerHeaders, LedgerPlace, LedgerVersion};
use meshline_protocol::{LedgerHash, NodeId};

const START: u32 = 1_700_000_000;
/// So long after the beginning that this many headers could be honest.
const AGE_S: u64 = 30_000_000;
/// Headers in an answer, in three parts.
const REPLY: u32 = 2_000;
/// Between two looks at the clock: longer than a peer is listened to alone.
const STEP_US: u64 = 4_000_000;

struct Liar {
    id: NodeId,
    last: Header,
    given: u32,
}

fn mined(header: Header) -> Header {
    Search::new(header).unwrap().step(0, u32::MAX).unwrap()
}

fn genesis() -> Genesis {
    let params = Params {
        difficulty: Difficulty::Fixed,
        bits: CompactBits(0x203f_ffff),
        subsidy: Amount::from_coins(50).unwrap(),
        halving_interval: 0,
        maturity: 1,
        max_block_size: 1_000_000,
        max_signatures: 7_500,
        prefix: AddressPrefix::MESH,
    };
    let mut block = Genesis::unmined(&params, START, Lock::KeyHash([1; 20]), None).unwrap();
    block.header = mined(block.header);
    let policy = Policy { least_fee_rate: 0, mine_empty: true, template_from: 0 };
    Genesis { name: "flood".to_owned(), params, policy, block }
}

impl Liar {
    fn new(number: u16, genesis: &Genesis) -> Self {
        let mut id = [7; 32];
        id.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        Self { id: NodeId::from_bytes(id), last: genesis.block.header, given: 0 }
    }

    fn version(&self, genesis: &Genesis) -> Ledger {
        let version = LedgerVersion {
            chain: LedgerHash(genesis.block.hash().0),
            version: 1,
            height: 50_000_000,
            tip: LedgerHash(self.id.as_bytes().to_owned()),
            work: LedgerHash([0x7f; 32]),
            blocks: true,
            filters: false,
            relay: false,
            reply: false,
        };
        Ledger::Version(version.into())
    }

    /// The next headers; from the beginning if that is what is asked for.
    fn answer(&mut self, request: u32, after: LedgerHash, genesis: &Genesis) -> Vec<(Ledger, Option<Bytes>)> {
        if after.0 != self.last.hash().0 {
            (self.last, self.given) = (genesis.block.header, 0);
        }
        let mut bytes = Vec::new();
        for _ in 0..REPLY {
            let (previous, time) = (self.last.hash(), self.last.time + 1);
            let merkle_root = *self.id.as_bytes();
            self.last = mined(Header { previous, time, merkle_root, nonce: 0, ..genesis.block.header });
            bytes.extend(self.last.to_bytes());
        }
        self.given += REPLY;
        let (tip, height) = (LedgerHash(*self.id.as_bytes()), 50_000_000);
        let parts: Vec<&[u8]> = bytes.chunks(64 * 1024).collect();
        let of = u8::try_from(parts.len()).unwrap();
        let line = |part| {
            Ledger::Headers(LedgerHeaders { request: Some(request), place: LedgerPlace { part, of }, tip, height })
        };
        (1..).zip(parts).map(|(part, body)| (line(part), Some(Bytes::copy_from_slice(body)))).collect()
    }
}

/// Resident memory now and at the most, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let at = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (at("VmRSS:"), at("VmHWM:"))
}

fn main() {
    let words: Vec<u32> = std::env::args().skip(1).map(|word| word.parse().unwrap()).collect();
    let [peers, headers] = words.as_slice() else { return println!("usage: header_flood PEERS HEADERS") };
    let genesis = genesis();
    let mut chain = Chain::open(&genesis, MemoryStore::default()).unwrap();
    let (mut pool, mut sync) = (Mempool::new(0), Sync::new(Config::default(), BatchVerifier, [3; 32]));
    let mut liars: BTreeMap<NodeId, Liar> = BTreeMap::new();
    for number in 0..u16::try_from(*peers).unwrap() {
        let liar = Liar::new(number, &genesis);
        liars.insert(liar.id, liar);
    }
    let mut now = Now { mono_us: 0, unix_s: u64::from(START) + AGE_S };
    let (before, _) = memory();
    let (mut counted, mut shown, mut blamed) = (0, 0_u64, BTreeMap::<&str, u32>::new());
    for (id, liar) in &liars {
        sync.handle(Input::LinkUp { peer: *id }, now, &mut chain, &mut pool);
        let message = liar.version(&genesis);
        sync.handle(Input::Frame { peer: *id, message, body: None }, now, &mut chain, &mut pool);
    }
    let mut asked = VecDeque::new();
    let most = u64::from(*peers) * u64::from(*headers);
    while shown < most {
        while let Some(output) = sync.poll_output() {
            match output {
                Output::Send { peer, message: Ledger::Getheaders(locate), .. } => asked.push_back((peer, locate)),
                Output::Misbehaved { reason, .. } => *blamed.entry(reason.name()).or_default() += 1,
                Output::Send { .. } | Output::Event(_) => {}
            }
        }
        let Some((peer, locate)) = asked.pop_front() else {
            now.mono_us += STEP_US;
            sync.handle(Input::Tick, now, &mut chain, &mut pool);
            if blamed.values().sum::<u32>() >= *peers {
                break;
            }
            continue;
        };
        let after = locate.locator.iter().next().copied().unwrap();
        now.mono_us += STEP_US / u64::from(*peers);
        for (message, body) in liars.get_mut(&peer).unwrap().answer(locate.request, after, &genesis) {
            sync.handle(Input::Frame { peer, message, body }, now, &mut chain, &mut pool);
            counted = counted.max(sync.cheap_header_bytes(&chain));
        }
        shown += u64::from(REPLY);
    }
    let (_, peak) = memory();
    println!("{before} {peak} {counted} {shown}");
    eprintln!("blamed: {blamed:?}");
}
