//! The neighbours in the order of ids.
//!
//! On each side the nearest members that are linked are the neighbours; whoever stands before them and is not linked is
//! dialled, a few at first and more as time passes, so that a gap of dead ones is crossed in seconds. Whoever answers that all
//! its links are taken is no gap: somebody stands between the two, of whom it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::{Code, NodeId};

use super::shape::Shape;
use super::{LinkSet, is_linkable};
use crate::gossip::{Known, Members};
use crate::now::Mono;
use crate::peers::choice::is_full_there;
use crate::shared::Shared;

/// Members dialled together on a side at first. Half as many more are added after each interval.
const FIRST_REACH: usize = 2;
const REACH_INTERVAL: Duration = Duration::from_millis(300);

/// The same where one of them answered that its links are taken. Whom it told of is dialled meanwhile; but it may lie, and then
/// whoever stands behind it is reached all the same.
const ANSWERED_INTERVAL: Duration = Duration::from_secs(3);

/// An answer counts for so long, unless the next attempt ends otherwise: attempts are a minute apart at most.
const ANSWER_HOLDS: Duration = Duration::from_secs(60);

/// Answers remembered, the latest: more than are dialled on both sides before a minute is over.
pub(super) const MAX_ANSWERED: usize = 64;

/// Members looked at on a side: with four of five dead the neighbour is among the first sixty in all but one of a million
/// cases.
pub(super) const MAX_LOOK: usize = 256;

/// Who answered that all its links are taken, with the time until which that counts.
#[derive(Debug, Default)]
pub(super) struct Answered(BTreeMap<NodeId, Mono>);

impl Answered {
    /// An attempt failed, or a link ended.
    pub(super) fn note(&mut self, id: NodeId, code: Code, now: Mono) {
        if !is_full_there(code) {
            self.0.remove(&id);
            return;
        }
        self.0.insert(id, now.after(ANSWER_HOLDS));
        while self.0.len() > MAX_ANSWERED {
            let first = self.0.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            first.map(|id| self.0.remove(&id));
        }
    }

    pub(super) fn has(&self, id: &NodeId, now: Mono) -> bool {
        self.0.get(id).is_some_and(|until| *until > now)
    }
}

/// What is known of a member that may be a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Linked,
    /// All its links are taken.
    Full,
    /// It was not reached, or not tried.
    Missing,
}

/// How far is dialled on one side.
#[derive(Debug)]
pub(super) struct Side {
    reach: usize,
    /// Since when it is waited for those dialled, and how long.
    waits: Option<Mono>,
    interval: Duration,
}

impl Default for Side {
    fn default() -> Self {
        Self { reach: FIRST_REACH, waits: None, interval: REACH_INTERVAL }
    }
}

impl Side {
    /// Of members in order the `count` nearest linked ones, and whom to dial before them.
    pub(super) fn choose(
        &mut self,
        candidates: impl Iterator<Item = (NodeId, Standing)>,
        count: usize,
        now: Mono,
    ) -> (Vec<NodeId>, BTreeSet<NodeId>) {
        let (mut linked, mut missing) = (Vec::new(), Vec::new());
        for (id, standing) in candidates.take(MAX_LOOK) {
            if standing == Standing::Linked {
                linked.push(id);
            } else {
                missing.push((id, standing));
            }
            if linked.len() >= count {
                break;
            }
        }
        let has_answered = missing.iter().take(self.reach).any(|(_, standing)| *standing == Standing::Full);
        self.interval = if has_answered { ANSWERED_INTERVAL } else { REACH_INTERVAL };
        self.go_on(missing.len(), now);
        (linked, missing.into_iter().take(self.reach).map(|(id, _)| id).collect())
    }

    fn go_on(&mut self, missing: usize, now: Mono) {
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.reach += (self.reach / 2).max(1);
            self.waits = None;
        }
        if missing <= FIRST_REACH {
            self.reach = FIRST_REACH;
        }
        if self.reach >= missing {
            self.waits = None;
        } else {
            self.waits.get_or_insert(now);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.waits.map(|since| since.after(self.interval))
    }
}

impl LinkSet {
    /// The neighbours that are linked, and whom to dial before them.
    pub(super) fn choose_ring(&mut self, shape: Shape, members: &Members, shared: &Shared) -> BTreeSet<NodeId> {
        if !shared.config.carries() {
            // Whoever only connects out has no place in the order.
            self.ring.clear();
            return BTreeSet::new();
        }
        let (judged, now, answered) = (shared.judged(), shared.now.mono, &self.answered);
        let candidate = |known: &Known| {
            let id = known.member.id;
            let standing = match shared.up.contains_key(&id) {
                true => Standing::Linked,
                false if answered.has(&id, now) => Standing::Full,
                false => Standing::Missing,
            };
            let may_be = standing == Standing::Linked || !known.member.addresses.is_empty();
            (is_linkable(known, judged) && may_be).then_some((id, standing))
        };
        let [after, before] = &mut self.sides;
        let (next, missing_after) = after.choose(members.clockwise(&shared.id).filter_map(candidate), shape.side, now);
        let (previous, missing_before) =
            before.choose(members.counterclockwise(&shared.id).filter_map(candidate), shape.side, now);
        self.ring = next.into_iter().chain(previous).collect();
        missing_after.into_iter().chain(missing_before).chain(self.ring.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::id;
    use super::*;

    #[test]
    fn the_nearest_linked_ones_are_neighbours_and_a_gap_is_crossed_faster_and_faster() {
        let mut side = Side::default();
        // Thirty that are not linked, then three that are.
        let candidates = || (0..33).map(|n| (id(n), if n >= 30 { Standing::Linked } else { Standing::Missing }));
        let (linked, missing) = side.choose(candidates(), 2, Mono(0));
        assert_eq!((linked, missing.len()), (vec![id(30), id(31)], 2));
        let mut reached = Vec::new();
        while let Some(at) = side.next_timeout() {
            let (_, missing) = side.choose(candidates(), 2, at);
            reached.push(missing.len());
        }
        assert_eq!(reached, [3, 4, 6, 9, 13, 19, 28, 30]);
        // The gap is filled: it begins anew.
        let of_nine = (0..9).map(|n| (id(n), if n > 0 { Standing::Linked } else { Standing::Missing }));
        let (linked, missing) = side.choose(of_nine, 2, Mono(9_000_000));
        assert_eq!((linked, missing), (vec![id(1), id(2)], BTreeSet::from([id(0)])));
    }

    #[test]
    fn whoever_has_no_room_is_no_gap_but_does_not_hide_those_behind_it_for_ever() {
        let mut side = Side::default();
        let candidates = || (0..33).map(|n| (id(n), if n == 1 { Standing::Full } else { Standing::Missing }));
        let (_, missing) = side.choose(candidates(), 1, Mono(0));
        assert_eq!(missing.len(), 2);
        let mut reached = Vec::new();
        for _ in 0..4 {
            let at = side.next_timeout().expect("some are missing");
            let (_, missing) = side.choose(candidates(), 1, at);
            reached.push((at.0 / 1_000_000, missing.len()));
        }
        assert_eq!(reached, [(3, 3), (6, 4), (9, 6), (12, 9)]);
        // It is gone: what is waited for now is over.
        let gone = || (0..33).map(|n| (id(n), Standing::Missing));
        let (_, missing) = side.choose(gone(), 1, Mono(12_300_000));
        assert_eq!(missing.len(), 13);
    }

    #[test]
    fn answers_are_bounded_and_end_with_an_attempt_that_fails_otherwise() {
        let mut answered = Answered::default();
        for n in 0..=u64::try_from(MAX_ANSWERED).expect("few") {
            answered.note(id(u8::try_from(n).expect("few")), Code::TooManyLinks, Mono(n));
        }
        let last = u8::try_from(MAX_ANSWERED).expect("few");
        let now = Mono(100);
        assert_eq!(
            (answered.has(&id(0), now), answered.has(&id(1), now), answered.has(&id(last), now)),
            (false, true, true)
        );
        answered.note(id(1), Code::ConnectionLost, now);
        assert!(!answered.has(&id(1), now));
        assert!(!answered.has(&id(2), Mono(2).after(Duration::from_secs(60))));
    }
}
