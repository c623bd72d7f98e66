//! A node that serves what it was given, true or not.

use bytes::Bytes;
use meshline_ledger::encode::Encode;
use meshline_ledger::u256::U256;
use meshline_ledger::{Block, Genesis, Header};
use meshline_protocol::message::{
    Ledger, LedgerHeaders, LedgerKind, LedgerLocate, LedgerNotFound, LedgerPart, LedgerPlace, LedgerVersion, LedgerWant,
};
use meshline_protocol::{Bounded, LedgerHash};

use crate::net::{Heard, Script};

type Frames = Vec<(Ledger, Option<Bytes>)>;

/// What it says it has.
#[derive(Clone)]
pub(crate) struct Liar {
    chain: LedgerHash,
    pub(crate) headers: Vec<Header>,
    blocks: Vec<Block>,
    /// What its version claims.
    pub(crate) work: U256,
    /// After so many questions about headers it has others.
    later: Option<(usize, Vec<Header>)>,
    asked: usize,
}

impl Liar {
    pub(crate) fn with_headers(genesis: &Genesis, headers: Vec<Header>) -> Self {
        let all = [genesis.block.header].into_iter().chain(headers.iter().copied());
        let work = all.map(|header| meshline_ledger::consensus::work(header.bits.target().unwrap()));
        let work = work.fold(U256::ZERO, U256::saturating_add);
        let chain = LedgerHash(genesis.block.hash().0);
        Self { chain, headers, blocks: Vec::new(), work, later: None, asked: 0 }
    }

    pub(crate) fn with_blocks(genesis: &Genesis, blocks: Vec<Block>) -> Self {
        let headers = blocks.iter().map(|block| block.header).collect();
        Self { blocks, ..Self::with_headers(genesis, headers) }
    }

    /// After so many questions it has other headers.
    pub(crate) fn then(&mut self, questions: usize, headers: Vec<Header>) {
        self.later = Some((questions, headers));
    }

    pub(crate) fn script(mut self) -> Script {
        Box::new(move |heard| match heard {
            Heard::Up => vec![(self.version(), None)],
            Heard::Frame(Ledger::Getheaders(locate)) => self.tell_headers(&locate),
            Heard::Frame(Ledger::Getdata(want)) if want.kind == LedgerKind::Block => self.tell_blocks(&want),
            Heard::Frame(_) => Vec::new(),
        })
    }

    pub(crate) fn version(&self) -> Ledger {
        let version = LedgerVersion {
            chain: self.chain,
            version: 1,
            height: u32::try_from(self.headers.len()).unwrap(),
            tip: self.tip(),
            work: LedgerHash(self.work.to_le_bytes()),
            blocks: true,
            filters: true,
            relay: true,
            reply: false,
        };
        Ledger::Version(version.into())
    }

    fn tip(&self) -> LedgerHash {
        self.headers.last().map_or(self.chain, |header| LedgerHash(header.hash().0))
    }

    fn tell_headers(&mut self, locate: &LedgerLocate) -> Frames {
        self.asked += 1;
        if let Some((_, headers)) = self.later.take_if(|(questions, _)| self.asked > *questions) {
            self.headers = headers;
        }
        let known = locate.locator.iter().find_map(|hash| {
            self.headers
                .iter()
                .position(|header| header.previous.0 == hash.0)
                .or_else(|| self.headers.last().filter(|last| last.hash().0 == hash.0).map(|_| self.headers.len()))
        });
        let from = known.unwrap_or(0);
        let bytes: Vec<u8> = self.headers.iter().skip(from).take(2_000).flat_map(|header| header.to_bytes()).collect();
        let (tip, height) = (self.tip(), u32::try_from(self.headers.len()).unwrap());
        let line = |place| Ledger::Headers(LedgerHeaders { request: Some(locate.request), place, tip, height });
        cut(&bytes).into_iter().map(|(place, body)| (line(place), Some(body))).collect()
    }

    fn tell_blocks(&self, want: &LedgerWant) -> Frames {
        let mut frames = Vec::new();
        for name in want.ids.iter() {
            match self.blocks.iter().find(|block| block.hash().0 == name.0) {
                Some(block) => {
                    let line = |place| Ledger::Block(LedgerPart { request: Some(want.request), place });
                    frames.extend(cut(&block.encode()).into_iter().map(|(place, body)| (line(place), Some(body))));
                }
                None => {
                    let ids = Bounded::from_first([*name]);
                    frames.push((Ledger::Notfound(LedgerNotFound { request: want.request, ids }), None));
                }
            }
        }
        frames
    }
}

/// In parts, as the wire wants it.
pub(crate) fn cut(bytes: &[u8]) -> Vec<(LedgerPlace, Bytes)> {
    let of = u8::try_from(bytes.len().div_ceil(65_536).max(1)).unwrap();
    let part = |part: u8| {
        let from = usize::from(part - 1) * 65_536;
        let to = bytes.len().min(from + 65_536);
        (LedgerPlace { part, of }, Bytes::copy_from_slice(&bytes[from..to]))
    };
    (1..=of).map(part).collect()
}
