//! The time by which the validity of records is judged.
//!
//! A wrong clock at boot must not keep a node out: members reached tell the time in their hello, and the
//! median of their answers counts, never earlier than the newest time the network's key has signed. The
//! system's clock is never changed.
//!
//! Of two clocks nobody can tell which is wrong. So where one member is all that is known, what others signed is judged
//! by the earlier of its clock and ours, or it could lock all others out by a clock that is ahead; and what we sign holds
//! by the later. Of two members and us the one in the middle counts, however many more are known: those may be out of
//! reach for as long as our clock is not put right. An own clock from before what the network has signed is wrong without
//! asking anybody.

use std::collections::VecDeque;

use meshline_protocol::{NodeId, UnixMicros};

/// Votes kept, the latest of as many members: enough that a few liars do not move the median.
const MAX_VOTES: usize = 16;

/// Members that must have spoken before they are believed, where so many are known: with our own clock, which counts as
/// one of three until a third has spoken, no single liar turns the median.
const QUORUM: usize = 2;

/// Below this the own clock is good enough for judging records, and steadier than any median.
const TOLERANCE_MICROS: u64 = 60_000_000;

/// Our clock against the members'.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Each member's clock less ours, in microseconds.
    votes: VecDeque<(NodeId, i64)>,
    /// Members known at all: of one, its word is all there is.
    known_members: usize,
    newest_signed: UnixMicros,
}

impl Clock {
    pub(crate) fn new(newest_signed: UnixMicros) -> Self {
        Self { votes: VecDeque::new(), known_members: 1, newest_signed }
    }

    /// A member told its time.
    pub(crate) fn vote(&mut self, member: NodeId, offset: i64) {
        self.votes.retain(|(voter, _)| *voter != member);
        self.votes.push_back((member, offset));
        if self.votes.len() > MAX_VOTES {
            self.votes.pop_front();
        }
    }

    /// How many members are known.
    pub(crate) fn set_known_members(&mut self, count: usize) {
        self.known_members = count.max(1);
    }

    /// The network's key signed something at `time`: it is not earlier now. Says whether that is news.
    pub(crate) fn signed(&mut self, time: UnixMicros) -> bool {
        let newer = time > self.newest_signed;
        self.newest_signed = self.newest_signed.max(time);
        newer
    }

    pub(crate) fn newest_signed(&self) -> UnixMicros {
        self.newest_signed
    }

    /// The time by which what others signed has ended or not, given the system's.
    pub(crate) fn judged(&self, wall: UnixMicros) -> UnixMicros {
        self.corrected(wall, self.offsets(wall).0)
    }

    /// The latest time that it may be: nobody has written anything after it, and what we sign holds from then on.
    pub(crate) fn latest(&self, wall: UnixMicros) -> UnixMicros {
        self.corrected(wall, self.offsets(wall).1)
    }

    fn corrected(&self, wall: UnixMicros, offset: i64) -> UnixMicros {
        let is_off = offset.unsigned_abs() > TOLERANCE_MICROS;
        let corrected = if is_off { wall.offset(offset) } else { wall };
        corrected.max(self.newest_signed)
    }

    /// Between what our clock may be off.
    fn offsets(&self, wall: UnixMicros) -> (i64, i64) {
        if self.votes.len() < QUORUM.min(self.known_members) {
            return (0, 0);
        }
        let mut votes: Vec<i64> = self.votes.iter().map(|(_, offset)| *offset).collect();
        let own_counts = wall >= self.newest_signed;
        if let ([other], true) = (votes.as_slice(), own_counts) {
            return ((*other).min(0), (*other).max(0));
        }
        if votes.len() <= QUORUM && own_counts {
            votes.push(0);
        }
        let offset = median(votes).unwrap_or(0);
        (offset, offset)
    }
}

/// The median of a list; of an even number of values the lower one.
pub(crate) fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
