//! Network time: the clock that the members have in common. Nobody's system clock is set by it.
//!
//! It is the median of all clocks that are known, our own among them; of an even number the mean of the middle two. Members
//! that know the same clocks have the same network time, and as long as fewer than half of the others lie it is between two
//! honest clocks. Of each clock an interval is known that it lies in; the median of the lower ends and that of the upper
//! ends are an interval the median lies in, whatever the paths are like, and no wider than the half of the exchanges that
//! went well.
//!
//! Beside [`Clock`](super::Clock), which judges records by what hellos say: that has to work before anything is measured.

use std::collections::BTreeMap;

use meshline_protocol::limits::MAX_INTEGER;
use meshline_protocol::{NodeId, UnixMicros};

use super::Reading;
use crate::now::{Mono, Now};

/// Clocks remembered: the median of so many does not change noticeably by more, and is taken in microseconds.
pub(crate) const MAX_READINGS: usize = 256;

/// Of members that are gone clocks are remembered this long, so that what is agreed on holds while links break; by drift
/// alone that is 30 ms.
const KEPT_US: u64 = 600_000_000;

/// Where that many clocks are known already, a further one takes the place of one that was not read for four asks of an
/// idle link.
const STALE_US: u64 = 60_000_000;

/// If our calendar gains this much on our steady clock from one input to the next, it was set, or the host slept and the
/// steady clock with it.
const JUMP_US: i64 = 2_000_000;

/// Network time against our calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Network time less our calendar.
    pub(crate) offset_us: i64,
    /// Bound on the error of that: against the median of the clocks it was taken from.
    pub(crate) error_us: u64,
    /// Members whose clocks are in it.
    pub(crate) members: usize,
}

/// The clocks of the members that are linked, or were lately.
#[derive(Debug, Default)]
pub(crate) struct NetworkTime {
    readings: BTreeMap<NodeId, Reading>,
    last: Option<Now>,
}

impl NetworkTime {
    /// Time passes. Readings are held against the steady clock, so a host that slept has none any more.
    pub(crate) fn advance(&mut self, now: Now) {
        if let Some(last) = self.last.replace(now) {
            let steady = i64::try_from(now.mono.micros_since(last.mono)).unwrap_or(i64::MAX);
            if now.wall.since(last.wall).saturating_sub(steady) >= JUMP_US {
                self.readings.clear();
            }
        }
    }

    /// An exchange with a member was completed.
    pub(crate) fn read(&mut self, member: NodeId, reading: Reading, now: Mono) {
        if let Some(kept) = self.readings.get_mut(&member) {
            kept.merge(reading);
        } else if self.has_room(now) {
            self.readings.insert(member, reading);
        }
    }

    /// A member was expelled: its clock counts no more.
    pub(crate) fn forget(&mut self, member: &NodeId) {
        self.readings.remove(member);
    }

    /// What a member's clock shows now, and the bound on the error of that.
    pub(crate) fn clock_of(&self, member: &NodeId, now: Mono) -> Option<(UnixMicros, u64)> {
        self.readings.get(member).map(|reading| reading.clock(now))
    }

    /// A member's clock less our calendar, and the bound on the error of that: by the best exchange over whatever link.
    pub(crate) fn offset_of(&self, member: &NodeId, now: Now) -> Option<(i64, u64)> {
        self.readings.get(member).map(|reading| reading.offset(now))
    }

    fn has_room(&mut self, now: Mono) -> bool {
        if self.readings.len() < MAX_READINGS {
            return true;
        }
        let oldest = self.readings.iter().max_by_key(|(_, reading)| reading.age_us(now));
        let Some((id, _)) = oldest.filter(|(_, reading)| reading.age_us(now) >= STALE_US) else { return false };
        let id = *id;
        self.readings.remove(&id).is_some()
    }

    /// Network time now. Clocks from before what the network's key has signed are wrong without asking anybody; where all
    /// are, our own among them, nothing is known but that.
    pub(crate) fn estimate(&self, now: Now, newest_signed: UnixMicros) -> Estimate {
        let least = newest_signed.since(now.wall);
        let fresh = self.readings.values().filter(|reading| reading.age_us(now.mono) <= KEPT_US);
        let bounds = fresh.map(|reading| bounds(reading.offset(now))).filter(|(_, high)| *high >= least);
        let (mut lows, mut highs): (Vec<i64>, Vec<i64>) = bounds.unzip();
        let members = lows.len();
        if least <= 0 {
            lows.push(0);
            highs.push(0);
        }
        let (Some(low), Some(high)) = (middle(lows), middle(highs)) else {
            return Estimate { offset_us: least, error_us: MAX_INTEGER, members };
        };
        let offset_us = i64::midpoint(low, high).max(least);
        Estimate { offset_us, error_us: high.abs_diff(offset_us).max(low.abs_diff(offset_us)), members }
    }
}

fn bounds((offset, error): (i64, u64)) -> (i64, i64) {
    (offset.saturating_sub_unsigned(error), offset.saturating_add_unsigned(error))
}

/// The median; of an even number of values the mean of the middle two, which favours neither.
fn middle(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some(i64::midpoint(*values.get(last / 2)?, *values.get(last.div_ceil(2))?))
}
