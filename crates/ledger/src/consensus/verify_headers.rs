//! A stream of raw Bitcoin headers against Bitcoin's rules of link, proof of work and retarget.

use std::io::{self, Read};

use crate::consensus::compact::{CompactBits, meets, work};
use crate::consensus::difficulty::retarget;
use crate::consensus::header::Header;
use crate::consensus::rule::Rule;
use crate::encode::Decode;
use crate::hash::BlockHash;
use crate::u256::U256;

/// Blocks between two changes of the bits.
const INTERVAL: u32 = 2_016;
/// Two weeks.
const TIMESPAN_S: u32 = 14 * 24 * 3_600;
/// The easiest bits of Bitcoin's main network.
const LIMIT: CompactBits = CompactBits(0x1d00_ffff);
/// Bytes read at once.
const CHUNK: usize = 1_024 * Header::SIZE;

/// The first header that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its height.
    pub height: u64,
    /// What it breaks.
    pub rule: Rule,
}

impl Fault {
    /// The rule's name: `link`, `work`, `retarget`, or `encoding` for a stream that ends within a header.
    pub const fn name(&self) -> &'static str {
        if matches!(self.rule, Rule::Bits) { "retarget" } else { self.rule.name() }
    }
}

/// What a stream of headers holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadersReport {
    /// Good headers, the trusted first one included.
    pub count: u64,
    /// The sum of their work.
    pub work: U256,
    /// The first that is not good; nothing after it was read.
    pub fault: Option<Fault>,
}

/// Reads headers of 80 bytes each until the end or the first fault. The first is trusted and has the height `height`.
/// If that is within an interval, the first change of bits after it cannot be computed and is only held against the
/// limit and the factor of four.
pub fn verify_headers(mut input: impl Read, height: u32) -> io::Result<HeadersReport> {
    let mut checker = Checker::new(height);
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let read = match input.read(free) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        filled += read;
        let (headers, rest) = buffer.get(..filled).unwrap_or_default().as_chunks::<{ Header::SIZE }>();
        let failed = headers.iter().any(|bytes| !checker.take(bytes));
        let (taken, left) = (filled - rest.len(), rest.len());
        if failed || read == 0 {
            if left > 0 && !failed {
                checker.fail(Rule::Encoding);
            }
            return Ok(checker.report);
        }
        buffer.copy_within(taken..filled, 0);
        filled = left;
    }
}

struct Checker {
    report: HeadersReport,
    /// Of the next header.
    height: u32,
    previous: Option<Previous>,
    /// When the interval of the next header began, if that is known.
    interval_time: Option<u32>,
    target: U256,
    work: U256,
}

#[derive(Clone, Copy)]
struct Previous {
    hash: BlockHash,
    time: u32,
    bits: CompactBits,
}

impl Checker {
    fn new(height: u32) -> Self {
        let report = HeadersReport::default();
        Self { report, height, previous: None, interval_time: None, target: U256::ZERO, work: U256::ZERO }
    }

    fn fail(&mut self, rule: Rule) -> bool {
        self.report.fault = Some(Fault { height: self.height.into(), rule });
        false
    }

    /// Whether the header is good.
    fn take(&mut self, bytes: &[u8; Header::SIZE]) -> bool {
        let Ok(header) = Header::decode(bytes) else { return self.fail(Rule::Encoding) };
        let hash = header.hash();
        match self.judge(&header, &hash) {
            Ok(()) => self.keep(&header, hash),
            Err(rule) => self.fail(rule),
        }
    }

    fn judge(&mut self, header: &Header, hash: &BlockHash) -> Result<(), Rule> {
        let Some(previous) = self.previous else {
            return self.set_bits(header.bits).map_err(|_| Rule::ProofOfWork);
        };
        if header.previous != previous.hash {
            return Err(Rule::Link);
        }
        if !self.bits_are_due(previous, header.bits) {
            return Err(Rule::Bits);
        }
        if header.bits != previous.bits {
            self.set_bits(header.bits)?;
        }
        if meets(hash, self.target) { Ok(()) } else { Err(Rule::ProofOfWork) }
    }

    fn bits_are_due(&self, previous: Previous, bits: CompactBits) -> bool {
        if !self.height.is_multiple_of(INTERVAL) {
            return bits == previous.bits;
        }
        let limit = LIMIT.target().unwrap_or(U256::MAX);
        let after = |took: u32| retarget(previous.bits, 0, took, TIMESPAN_S, limit);
        match self.interval_time {
            Some(first) => bits == retarget(previous.bits, first, previous.time, TIMESPAN_S, limit),
            None => match (after(0).target(), bits.target(), after(u32::MAX).target()) {
                (Ok(least), Ok(target), Ok(most)) => least <= target && target <= most,
                _ => false,
            },
        }
    }

    fn set_bits(&mut self, bits: CompactBits) -> Result<(), Rule> {
        self.target = bits.target().map_err(|_| Rule::Bits)?;
        self.work = work(self.target);
        Ok(())
    }

    fn keep(&mut self, header: &Header, hash: BlockHash) -> bool {
        if self.height.is_multiple_of(INTERVAL) {
            self.interval_time = Some(header.time);
        }
        // A chain of headers that is at the end of 32 bits has no next height.
        let Some(next) = self.height.checked_add(1) else { return self.fail(Rule::Link) };
        self.height = next;
        self.previous = Some(Previous { hash, time: header.time, bits: header.bits });
        self.report.count += 1;
        self.report.work = self.report.work.saturating_add(self.work);
        true
    }
}
