//! Whether the mesh is badly shaped, as one member sees it, and when it says so.
//!
//! It is looked at once a minute and judged by the last few looks, because each change of links makes it look worse for a
//! moment. Whoever finds it bad tells all, unless enough have done so. A member that may sign orders and is configured to
//! does so when enough propose it and it finds the same, at growing intervals if that helps nothing.

use std::time::Duration;

use meshline_protocol::message::RebuildCause;

use crate::now::Mono;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);

/// After a start, and after links were chosen anew, nothing is judged: the mesh is finding its shape.
const SETTLING: Duration = Duration::from_secs(300);

/// It is bad after so many bad looks in a row, and good again after so many good ones.
const BAD_LOOKS: u32 = 5;
const GOOD_LOOKS: u32 = 3;

/// Nobody proposes what so many propose already.
pub(crate) const ENOUGH: usize = 8;

/// How long a proposal counts, in microseconds: a few looks.
pub(crate) const PROPOSAL_VALIDITY: i64 = 900_000_000;

/// Proposals that move a member to sign an order by itself, or half of all members where there are fewer: one that lies
/// moves nobody.
const MOVED_BY: usize = 5;

/// Between orders that a member signs by itself: twice as long each time, as long as it stays bad.
const FIRST_PAUSE: Duration = Duration::from_secs(3_600);
const LAST_PAUSE: Duration = Duration::from_secs(24 * 3_600);

/// How far ahead such an order's instant is, in microseconds: every member has it by then, and people see it coming.
pub(crate) const AUTO_LEAD: i64 = 30_000_000;

/// What a member knows of the shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Members known, with this one.
    pub(crate) members: usize,
    /// Links it looks for more below of.
    pub(crate) fill: usize,
    /// Links of this node that stay, and those of them that neither end needs.
    pub(crate) links: usize,
    pub(crate) idle: usize,
    /// Links on the longest of the best ways.
    pub(crate) longest: usize,
    /// Links that each member says it has.
    pub(crate) degrees: Vec<usize>,
}

impl Facts {
    /// What is wrong, the worst first.
    pub(crate) fn cause(&self) -> Option<RebuildCause> {
        if self.longest > self.most_hops() {
            return Some(RebuildCause::LongWays);
        }
        if self.is_uneven() {
            return Some(RebuildCause::UnevenLoad);
        }
        (self.links >= self.fill && self.idle * 2 > self.links).then_some(RebuildCause::IdleLinks)
    }

    /// Twice as many as a random network of so many members with so many links needs, and two more.
    fn most_hops(&self) -> usize {
        let branches = self.fill.saturating_sub(1).max(2);
        let (mut reached, mut hops) = (1_usize, 0_usize);
        while reached < self.members {
            reached = reached.saturating_mul(branches);
            hops += 1;
        }
        hops * 2 + 2
    }

    /// A quarter of the members have less than half of the links that most have.
    fn is_uneven(&self) -> bool {
        let mut degrees = self.degrees.clone();
        degrees.sort_unstable();
        let Some(middle) = degrees.get(degrees.len() / 2) else { return false };
        let poor = degrees.iter().filter(|degree| **degree * 2 < *middle).count();
        degrees.len() >= ENOUGH && poor * 4 >= degrees.len()
    }
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// To tell all.
    Propose(RebuildCause),
    /// To sign an order.
    Order(RebuildCause),
}

/// The last looks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    look_at: Option<Mono>,
    bad: u32,
    good: u32,
    cause: Option<RebuildCause>,
    longest: usize,
    proposed_until: Mono,
    pause: Duration,
    paused_until: Mono,
}

impl Watch {
    /// Whether it is time for a look.
    pub(crate) fn is_due(&mut self, now: Mono) -> bool {
        *self.look_at.get_or_insert_with(|| now.after(SETTLING)) <= now
    }

    /// A look. `proposals` are known, of others; `may_sign` whether this node may and should sign orders; `next_at` is when
    /// to look again, [`Watch::pause_until_next`] with some chance in it.
    pub(crate) fn look(&mut self, facts: &Facts, (proposals, may_sign): (usize, bool), now: Mono) -> Next {
        self.longest = facts.longest;
        let found = facts.cause();
        (self.bad, self.good) = if found.is_some() { (self.bad + 1, 0) } else { (0, self.good + 1) };
        if self.bad >= BAD_LOOKS {
            self.cause = found;
        }
        if self.good >= GOOD_LOOKS {
            (self.cause, self.pause) = (None, Duration::ZERO);
        }
        let Some(cause) = self.cause else { return Next::Nothing };
        let own = usize::from(now < self.proposed_until);
        let enough = MOVED_BY.min(facts.members.div_ceil(2)).max(1);
        if may_sign && proposals + own >= enough && now >= self.paused_until {
            return Next::Order(cause);
        }
        if own > 0 || proposals >= ENOUGH {
            return Next::Nothing;
        }
        self.proposed_until = now.after(Duration::from_micros(PROPOSAL_VALIDITY.unsigned_abs()));
        Next::Propose(cause)
    }

    /// When to look again, before chance spreads it.
    pub(crate) fn plan(&mut self, at: Mono) {
        self.look_at = Some(at);
    }

    /// Links were chosen anew. If that does not help, the next time is later.
    pub(crate) fn rebuilt(&mut self, now: Mono) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
        self.paused_until = now.after(self.pause);
        (self.bad, self.good, self.cause, self.proposed_until) = (0, 0, None, now);
        self.look_at = Some(now.after(SETTLING));
    }

    pub(crate) fn cause(&self) -> Option<RebuildCause> {
        self.cause
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.look_at
    }
}

/// The time between two looks.
pub(crate) const fn pause() -> Duration {
    LOOK
}

#[cfg(test)]
mod tests;
