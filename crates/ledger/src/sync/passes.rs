//! The two passes over a chain of headers far ahead: judged first, taken when it has proved to have the most work.

use std::collections::VecDeque;

use meshline_protocol::NodeId;

use crate::chain::{Chain, FUTURE_LIMIT_S, HeaderJudge, MAX_HEADERS_REPLY};
use crate::consensus::Header;
use crate::hash::{BlockHash, sha256d};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::headers::Lead;
use crate::sync::limits::*;
use crate::sync::peer::{Peer, Purpose};
use crate::sync::reason::Reason;
use crate::sync::{At, Sync};
use crate::u256::U256;

/// A chain of headers that is judged, not kept.
#[derive(Debug)]
pub(super) struct Pass {
    judge: HeaderJudge,
    /// The known header it begins after.
    from: BlockHash,
    pub(super) started: u64,
    commitments: Commitments,
    /// When its end was reached.
    pub(super) done: Option<u64>,
}

/// A bit of each header whose height leaves the remainder `offset`. Salt and offset are secret: nobody can make other
/// headers with the same bits.
#[derive(Debug)]
struct Commitments {
    offset: u32,
    salt: [u8; 32],
    bits: Vec<u8>,
    count: usize,
}

/// The chain with the most work, asked for again.
#[derive(Debug)]
pub(super) struct Second {
    pub(super) peer: NodeId,
    first: Pass,
    judge: HeaderJudge,
    seen: usize,
    /// Good, but not taken yet.
    buffer: VecDeque<Header>,
}

impl Commitments {
    fn bit(&self, judge: &HeaderJudge) -> Option<bool> {
        let is_marked = judge.height() % COMMITMENT_EVERY == self.offset;
        let bit = || sha256d(&[self.salt, judge.hash().0].concat()).first().is_some_and(|byte| byte & 1 == 1);
        is_marked.then(bit)
    }

    fn push(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bits.push(0);
        }
        if let (true, Some(last)) = (bit, self.bits.last_mut()) {
            *last |= 1 << (self.count % 8);
        }
        self.count += 1;
    }

    fn is_full(&self) -> bool {
        self.bits.len() > MAX_COMMITMENTS
    }

    fn get(&self, index: usize) -> Option<bool> {
        (index < self.count).then(|| self.bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1))
    }
}

impl Pass {
    /// Takes the headers of one answer.
    fn take(&mut self, headers: &[Header], now_s: u64, most: u64) -> Result<(), Reason> {
        for header in headers {
            self.judge.take(header, now_s).map_err(Reason::BadHeader)?;
            if let Some(bit) = self.commitments.bit(&self.judge) {
                self.commitments.push(bit);
            }
        }
        let too_many = u64::from(self.judge.height()) > most || self.commitments.is_full();
        if too_many { Err(Reason::TooManyHeaders) } else { Ok(()) }
    }
}

/// Bytes that a header takes in the tree, with its places in the maps.
const HEADER_ENTRY: usize = 300;

impl<V: SignatureVerifier> Sync<V> {
    pub(super) fn begin_first<S: Store>(
        &mut self,
        id: NodeId,
        (lead, headers): (Lead, &[Header]),
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let passes = self.peers.values().filter(|peer| peer.pass.is_some());
        if passes.count() >= MAX_FIRST_PASSES {
            self.end_longest_pass();
        }
        let salt = self.random_bytes();
        let offset = u32::from(self.random_bytes().first().copied().unwrap_or(0)) % COMMITMENT_EVERY;
        let commitments = Commitments { offset, salt, bits: Vec::new(), count: 0 };
        let from = lead.judge.hash();
        let pass = Pass { judge: lead.judge, from, started: at.now.mono_us, commitments, done: None };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pass = Some(pass);
        }
        self.on_first(id, headers, at)
    }

    /// Whoever has not come to an end for longest has had its time.
    fn end_longest_pass(&mut self) {
        let started = |peer: &&mut Peer| peer.pass.as_ref().map_or(u64::MAX, |pass| pass.started);
        if let Some(peer) = self.peers.values_mut().min_by_key(started) {
            (peer.pass, peer.claimed_work) = (None, U256::ZERO);
        }
    }

    pub(super) fn on_first<S: Store>(
        &mut self,
        id: NodeId,
        headers: &[Header],
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let most = most_headers(at);
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let Some(pass) = &mut peer.pass else { return Ok(()) };
        if headers.first().is_some_and(|first| first.previous != pass.judge.hash()) {
            // Its chain changed meanwhile.
            (peer.pass, peer.is_ahead) = (None, true);
            return Err(Reason::Unconnected);
        }
        if let Err(reason) = pass.take(headers, at.now.unix_s, most) {
            peer.pass = None;
            return Err(reason);
        }
        if headers.len() >= MAX_HEADERS_REPLY {
            let mut locator = vec![pass.judge.hash()];
            locator.extend(at.chain.locator_from(&pass.from));
            self.ask_headers(id, locator, Purpose::First, at.now.mono_us);
            return Ok(());
        }
        pass.done = Some(at.now.mono_us);
        let (claimed, shown) = (peer.claimed_work, pass.judge.work());
        peer.claimed_work = shown;
        if claimed > shown {
            peer.pass = None;
            return Err(Reason::FalseClaim);
        }
        Ok(())
    }

    /// Begins the second pass with the peer whose chain has the most work, unless somebody claims more and may still
    /// show it.
    pub(super) fn choose_second<S: Store>(&mut self, at: &mut At<'_, S>) {
        if self.second.is_some() {
            return;
        }
        let best = self.work_to_beat(at);
        for peer in self.peers.values_mut() {
            peer.pass.take_if(|pass| pass.done.is_some() && pass.judge.work() <= best);
        }
        let proven = self.peers.iter().filter(|(_, peer)| peer.is_useful()).filter_map(|(id, peer)| {
            let pass = peer.pass.as_ref()?;
            Some((pass.judge.work(), pass.done?, *id))
        });
        let Some((work, done, id)) = proven.max_by_key(|(work, ..)| *work) else { return };
        if self.may_be_outdone(work, done, at.now.mono_us) {
            return;
        }
        let Some(first) = self.peers.get_mut(&id).and_then(|peer| peer.pass.take()) else { return };
        let Some(judge) = at.chain.judge_after(&first.from) else { return };
        let locator = at.chain.locator_from(&first.from);
        self.second = Some(Second { peer: id, first, judge, seen: 0, buffer: VecDeque::new() });
        self.ask_headers(id, locator, Purpose::Second, at.now.mono_us);
    }

    pub(super) fn may_be_outdone(&self, work: U256, done: u64, now: u64) -> bool {
        let took = |peer: &Peer| peer.pass.as_ref().map_or(0, |pass| done - pass.started.min(done));
        let longest = self.peers.values().map(took).max().unwrap_or(0);
        let until = done.saturating_add(longest.max(HEADERS_TIMEOUT / 2));
        let better = |peer: &Peer| peer.is_useful() && peer.claimed_work > work;
        now < until && self.peers.values().any(better)
    }

    pub(super) fn on_second<S: Store>(
        &mut self,
        id: NodeId,
        headers: &[Header],
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(mut second) = self.second.take_if(|second| second.peer == id) else { return Ok(()) };
        for header in headers {
            if header.previous != second.judge.hash() {
                return Err(Reason::HeadersChanged);
            }
            second.judge.take(header, at.now.unix_s).map_err(Reason::BadHeader)?;
            if let Some(bit) = second.first.commitments.bit(&second.judge) {
                // Beyond the end of the first pass nothing was noted.
                if second.first.commitments.get(second.seen).is_some_and(|noted| noted != bit) {
                    return Err(Reason::HeadersChanged);
                }
                second.seen += 1;
            }
            second.buffer.push_back(*header);
        }
        let is_proven = second.judge.work() >= second.first.judge.work();
        let held = if is_proven { 0 } else { SECOND_PASS_BUFFER };
        let release = second.buffer.len().saturating_sub(held);
        let good: Vec<Header> = second.buffer.drain(..release).collect();
        self.take_headers(id, &good, at)?;
        if is_proven {
            self.proven_height = self.proven_height.max(at.chain.best_header().1);
            return self.after_second(id);
        }
        if headers.len() < MAX_HEADERS_REPLY {
            return Err(Reason::HeadersChanged);
        }
        let mut locator = vec![second.judge.hash()];
        locator.extend(at.chain.locator_from(&second.first.from));
        self.proven_height = self.proven_height.max(at.chain.best_header().1);
        self.second = Some(second);
        self.ask_headers(id, locator, Purpose::Second, at.now.mono_us);
        Ok(())
    }

    /// There may be more by now.
    pub(super) fn after_second(&mut self, id: NodeId) -> Result<(), Reason> {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_ahead = true;
        }
        Ok(())
    }

    /// Headers that were asked of a peer do not come, or it is gone.
    pub(super) fn forget_passes(&mut self, id: &NodeId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.pass = None;
        }
        self.second.take_if(|second| second.peer == *id);
    }

    /// Bytes of headers that are held though no work was proven to stand behind them.
    pub fn cheap_header_bytes<S: Store>(&self, chain: &Chain<S>) -> usize {
        let of_peers: usize = self
            .peers
            .values()
            .map(|peer| peer.unfinished.held() + peer.pass.as_ref().map_or(0, |pass| pass.commitments.bits.len()))
            .sum();
        let second = self.second.as_ref();
        let buffered =
            second.map_or(0, |second| second.buffer.len() * Header::SIZE + second.first.commitments.bits.len());
        let sure = chain.height().max(self.proven_height);
        let ahead = chain.best_header().1.saturating_sub(sure) as usize;
        of_peers + buffered + ahead * HEADER_ENTRY
    }
}

/// Headers that there can be by now.
fn most_headers<S: Store>(at: &At<'_, S>) -> u64 {
    let genesis = at.chain.header(&at.chain.id()).map_or(0, |(header, _)| u64::from(header.time));
    let age = at.now.unix_s.saturating_add(FUTURE_LIMIT_S).saturating_sub(genesis);
    age.saturating_mul(HEADERS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::{Commitments, MAX_COMMITMENTS, Pass};
    use crate::chain::Chain;
    use crate::consensus::{
        AddressPrefix, BLOCK_VERSION, CompactBits, Difficulty, Genesis, Header, Params, Policy, meets,
    };
    use crate::store::MemoryStore;
    use crate::sync::Reason;
    use crate::{Amount, Lock};

    fn empty() -> Commitments {
        Commitments { offset: 0, salt: [0; 32], bits: Vec::new(), count: 0 }
    }

    /// A nonce that meets the target.
    fn mined(mut header: Header) -> Header {
        while header.bits.target().is_ok_and(|target| !meets(&header.hash(), target)) {
            header.nonce += 1;
        }
        header
    }

    /// A chain of its first block only.
    fn chain() -> Chain<MemoryStore> {
        let params = Params {
            difficulty: Difficulty::Fixed,
            bits: CompactBits(0x203f_ffff),
            subsidy: Amount::ZERO,
            halving_interval: 0,
            maturity: 1,
            max_block_size: 1_000_000,
            max_signatures: 7_500,
            prefix: AddressPrefix::MESH,
        };
        let lock = Lock::to_key(&[1; 32]);
        let mut block = Genesis::unmined(&params, 1_700_000_000, lock, Some("test")).expect("valid parameters");
        block.header = mined(block.header);
        let policy = Policy { least_fee_rate: 0, mine_empty: true, template_from: 0 };
        let genesis = Genesis { name: "test".to_owned(), params, policy, block };
        Chain::open(&genesis, MemoryStore::default()).expect("in memory")
    }

    /// So many headers after its first block.
    fn headers(chain: &Chain<MemoryStore>, count: u32) -> Vec<Header> {
        let (mut above, _) = chain.header(&chain.id()).expect("the first block");
        let next = |_| {
            let header =
                Header { previous: above.hash(), merkle_root: [3; 32], time: above.time + 1, nonce: 0, ..above };
            above = mined(Header { version: BLOCK_VERSION, ..header });
            above
        };
        (0..count).map(next).collect()
    }

    /// That more than the time since the beginning allows are too many can only be seen here: the rules about their times
    /// and about the future refuse them before.
    #[test]
    fn so_many_headers_are_judged_as_there_can_be_and_no_more() {
        let chain = chain();
        let headers = headers(&chain, 9);
        let now_s = 1_800_000_000;
        let pass = |commitments| Pass {
            judge: chain.judge_after(&chain.id()).expect("known"),
            from: chain.id(),
            started: 0,
            commitments,
            done: None,
        };
        assert_eq!(pass(empty()).take(&headers, now_s, 9), Ok(()));
        assert_eq!(pass(empty()).take(&headers, now_s, 8), Err(Reason::TooManyHeaders));
        let full = |bytes: usize| Commitments { bits: vec![0; bytes], count: bytes * 8, ..empty() };
        assert_eq!(pass(full(MAX_COMMITMENTS)).take(&headers, now_s, 9), Ok(()));
        assert_eq!(pass(full(MAX_COMMITMENTS + 1)).take(&headers, now_s, 9), Err(Reason::TooManyHeaders));
        assert!(Reason::TooManyHeaders.score() >= crate::sync::limits::MAX_SCORE, "nobody honest has so many");
    }

    #[test]
    fn commitments_are_full_with_one_bit_more_than_they_may_hold() {
        let mut commitments = empty();
        for number in 0..MAX_COMMITMENTS * 8 {
            commitments.push(number % 3 == 0);
        }
        assert!(!commitments.is_full());
        assert_eq!((commitments.get(3), commitments.get(4)), (Some(true), Some(false)));
        commitments.push(true);
        assert!(commitments.is_full());
        assert_eq!(commitments.get(MAX_COMMITMENTS * 8 + 1), None);
    }
}
