//! One more link for a node that is further from the root of the tree than nearly all others, or near it, at the place
//! that is free for newcomers otherwise.
//!
//! With seven links each a few of ten thousand members are one link further away than anybody else, and every message
//! takes that one more to be with all. Such a member tries members drawn at random until one brings it nearer. The few
//! next to the root, of whom each has thousands behind it, do the same until somebody comes after them who was further
//! away. The link goes as soon as it brings nobody nearer, or as either end needs its place for one that stays; newcomers
//! stand beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use meshline_protocol::NodeId;
use meshline_protocol::message::LinkPurpose;

use super::far::{any_place, position};
use super::picks::PICK_LIMIT;
use super::shape::Shape;
use super::trial::TRIAL;
use super::{Around, Choice, LinkSet, Purposes, is_linkable, link_to};
use crate::gossip::RING_SIDE;
use crate::now::Mono;
use crate::shared::Shared;

/// Before a node that needs a shortcut looks for one: after a disturbance places change for seconds.
const LACKED_FOR: Duration = Duration::from_secs(20);

/// A shortcut by which nobody is nearer to the root by then is none: places are told within a tenth of a second.
const USELESS_AFTER: Duration = Duration::from_secs(3);

/// The other end tells of one that has lasted: it is none of those by then.
const LASTED: Duration = Duration::from_secs(5);

/// Links beside a shortcut above the limit, for the seconds that a newcomer is there or a link takes to part: members look in
/// at each other all the time, and none should go for that.
pub(super) const MAX_BESIDE: usize = 1;

/// Between two that came to nothing: at first, and at most. Each costs both ends a handshake.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(600);

/// Members looked at from a place on the ring of ids.
const MAX_LOOK: usize = 16;

/// A member that this node chose.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    id: NodeId,
    /// When it was chosen, or last seen to serve.
    since: Mono,
    /// One of its ends reaches the root over it.
    serves: bool,
}

/// The shortcuts.
#[derive(Debug, Default)]
pub(super) struct Shortcuts {
    own: Option<Chosen>,
    /// Links that their other ends keep for this.
    theirs: BTreeSet<NodeId>,
    lacked_since: Option<Mono>,
    try_at: Mono,
    pause: Duration,
}

impl Shortcuts {
    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.is_own(id) || self.theirs.contains(id)
    }

    /// Whether this node chose it.
    pub(super) fn is_own(&self, id: &NodeId) -> bool {
        self.own.is_some_and(|own| own.id == *id)
    }

    pub(super) fn own(&self) -> Option<NodeId> {
        self.own.map(|own| own.id)
    }

    /// It came to nothing, or ended.
    pub(super) fn forget(&mut self, id: &NodeId, now: Mono) {
        self.theirs.remove(id);
        if self.is_own(id) {
            self.own = None;
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
            self.try_at = now.after(self.pause);
        }
    }

    /// When to look again if nothing happens.
    pub(super) fn next_timeout(&self, now: Mono) -> Option<Mono> {
        let judged = self.own.filter(|own| !own.serves);
        let judged = judged.into_iter().flat_map(|own| [USELESS_AFTER, PICK_LIMIT].map(|limit| own.since.after(limit)));
        let looks = self.lacked_since.filter(|_| self.own.is_none());
        let looks = looks.map(|since| since.after(LACKED_FOR).max(self.try_at));
        // What had to wait for a place waits on.
        judged.chain(looks).filter(|at| *at > now).min()
    }
}

impl LinkSet {
    /// Shortcuts that are linked.
    pub(super) fn count_shortcuts(&self, shared: &Shared) -> usize {
        shared.up.keys().filter(|id| self.shortcuts.has(id)).count()
    }

    /// Whether a guest stays as a shortcut by now. `None` if it is none. Nobody is told of one that does not last.
    pub(super) fn judge_shortcut(
        &mut self,
        shape: Shape,
        (id, since): (&NodeId, Mono),
        around: Around<'_>,
        shared: &Shared,
    ) -> Option<bool> {
        let lasted = shared.now.mono.since(since);
        if self.shortcuts.is_own(id) {
            return Some(lasted >= TRIAL && self.is_serving(shape, id, around, shared));
        }
        let address = &link_to(id, around.links, shared)?.remote;
        let is_free = self.regular(shared) + self.count_shortcuts(shared) < shared.config.max_links;
        let stays = self.is_only_shortcut(id)
            && is_free
            && !self.is_redrawing()
            && !self.far.is_pressing(shape, address, 0, (around, shared));
        stays.then(|| lasted >= LASTED && self.shortcuts.theirs.insert(*id))
    }

    /// Whether the other end keeps a link for this alone.
    fn is_only_shortcut(&self, id: &NodeId) -> bool {
        self.theirs.get(id) == Some(&Purposes::from_iter([LinkPurpose::Shortcut]))
    }

    /// Whether one of the ends reaches the root over a link: this one, if it is not so near that it helps others.
    fn is_serving(&self, shape: Shape, id: &NodeId, around: Around<'_>, shared: &Shared) -> bool {
        shared.tree.parent() == Some(*id)
            || (shared.tree.is_of_tree(id) && is_near_root(shape, self.estimate(around, shared), shared))
    }

    /// Ends what leads to no better place, and looks for a better one if this node is far from the root or next to it.
    pub(super) fn review_shortcuts(
        &mut self,
        shape: Shape,
        around: Around<'_>,
        (shared, choice): (&mut Shared, &mut Choice),
    ) {
        let now = shared.now.mono;
        let theirs = std::mem::take(&mut self.shortcuts.theirs);
        let stays = |id: &NodeId| shared.up.contains_key(id) && self.is_only_shortcut(id) && !self.is_own(id);
        self.shortcuts.theirs = theirs.into_iter().filter(stays).collect();
        self.end_surplus_shortcut(around, (&*shared, choice));
        self.judge_own_shortcut(shape, around, (&*shared, choice));
        let members = self.estimate(around, shared);
        let is_far = shared.tree.place().hops > shape.depth(members);
        // Nobody is nearer for what a view has.
        let is_lacked = shared.config.carries() && (is_far || is_near_root(shape, members, shared));
        let since = self.shortcuts.lacked_since.filter(|_| is_lacked);
        self.shortcuts.lacked_since = is_lacked.then(|| since.unwrap_or(now));
        let is_settled = since.is_some_and(|since| now.since(since) >= LACKED_FOR) && !self.is_redrawing();
        let is_free = shared.up.len() < shared.config.max_links && self.regular(shared) >= shape.fill;
        if is_settled && is_free && self.shortcuts.own.is_none() && self.shortcuts.try_at <= now {
            let id = self.draw_shortcut(shape, around, shared);
            self.shortcuts.own = id.map(|id| Chosen { id, since: now, serves: false });
        }
    }

    /// What this node chose lasts as long as it serves. What it is needed for otherwise is no shortcut.
    fn judge_own_shortcut(&mut self, shape: Shape, around: Around<'_>, (shared, choice): (&Shared, &mut Choice)) {
        let (now, Some(Chosen { id, since, serves })) = (shared.now.mono, self.shortcuts.own) else { return };
        let since = self.guests.get(&id).copied().unwrap_or(since);
        let is_up = shared.up.contains_key(&id);
        if self.is_own(&id) {
            self.shortcuts.own = None;
        } else if !is_up && now.since(since) >= PICK_LIMIT {
            self.shortcuts.forget(&id, now);
        } else if is_up && self.is_serving(shape, &id, around, shared) {
            self.shortcuts.own = Some(Chosen { id, since: now, serves: true });
            self.shortcuts.pause = Duration::ZERO;
        } else if is_up && serves {
            self.shortcuts.own = Some(Chosen { id, since: now, serves: false });
        } else if is_up && now.since(since) >= USELESS_AFTER {
            self.end_shortcut(id, around, (shared, choice));
        }
    }

    /// With more links that stay one goes, another's before our own.
    fn end_surplus_shortcut(&mut self, around: Around<'_>, (shared, choice): (&Shared, &mut Choice)) {
        let shortcuts = self.count_shortcuts(shared);
        if shortcuts == 0 || self.regular_but(&choice.ended, shared) + shortcuts <= shared.config.max_links {
            return;
        }
        let all = self.shortcuts.theirs.iter().copied().chain(self.shortcuts.own());
        if let Some(id) = all.into_iter().find(|id| shared.up.contains_key(id)) {
            self.end_shortcut(id, around, (shared, choice));
        }
    }

    fn end_shortcut(&mut self, id: NodeId, around: Around<'_>, (shared, choice): (&Shared, &mut Choice)) {
        let now = shared.now.mono;
        self.shortcuts.forget(&id, now);
        let is_told = !self.guests.contains_key(&id) && self.is_used(&id, around, shared);
        if !is_told {
            choice.ended.push(id);
        } else if self.begin_parting(id, now) {
            choice.parted.push(id);
        }
    }

    /// Anybody, wherever it is: those at a given distance from the root are all over the ring.
    fn draw_shortcut(&self, shape: Shape, around: Around<'_>, shared: &mut Shared) -> Option<NodeId> {
        let place = any_place(shared);
        let mut from_place = around.members.clockwise(&place).take(MAX_LOOK);
        from_place.find(|known| self.far.is_good(shape, known, (around, shared))).map(|known| known.member.id)
    }

    /// About how many members there are. Where only a part is known the distances on the ring of ids tell, to those next to
    /// a place, who are known everywhere: of sixteen it is off by a quarter.
    pub(super) fn estimate(&self, around: Around<'_>, shared: &Shared) -> u64 {
        let judged = shared.judged();
        let known = u64::try_from(around.members.len()).unwrap_or(u64::MAX).saturating_add(1);
        let place = |known: &crate::gossip::Known| position(&known.member.id);
        let mut after = around.members.clockwise(&shared.id).filter(|known| is_linkable(known, judged)).map(place);
        let mut before =
            around.members.counterclockwise(&shared.id).filter(|known| is_linkable(known, judged)).map(place);
        let (Some(first), Some(last)) = (before.nth(RING_SIDE - 1), after.nth(RING_SIDE - 1)) else { return known };
        let gaps = u128::try_from(2 * RING_SIDE).unwrap_or(0) << u64::BITS;
        u64::try_from(gaps / u128::from(last.wrapping_sub(first).max(1))).unwrap_or(u64::MAX).max(known)
    }
}

/// Whether a node is so near to the root that those who come after it make the tree wider.
fn is_near_root(shape: Shape, members: u64, shared: &Shared) -> bool {
    shape.near_root(members).is_some_and(|near| shared.tree.place().hops <= near)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshline_identity::Member;
    use meshline_protocol::message::{BroadcastPlace, Role};
    use meshline_protocol::{SignedRecord, UnixMicros};

    use super::super::tests::{id, linked};
    use super::*;
    use crate::gossip::Members;
    use crate::link::Links;
    use crate::peers::book::Book;

    #[test]
    fn hardly_anybody_is_further_from_the_root_than_the_depth() {
        let depth = |links: usize, members: u64| Shape::of(links).expect("enough links").depth(members);
        assert_eq!([100, 1_000, 3_000, 10_000, 100_000].map(|members| depth(8, members)), [3, 5, 5, 6, 7]);
        assert_eq!((depth(64, 10_000), depth(4, 10), depth(8, 0), depth(8, u64::MAX)), (3, 5, 0, 25));
        let near = |members: u64| Shape::of(8).expect("enough links").near_root(members);
        assert_eq!([0, 511, 512, 1_000, 10_000, 100_000].map(near), [None, None, Some(1), Some(2), Some(3), Some(4)]);
    }

    /// What is done about shortcuts so much later.
    fn review(set: &mut LinkSet, shape: Shape, shared: &mut Shared, after: Duration) -> Choice {
        review_among(&Members::default(), (set, shape, shared), after)
    }

    fn review_among(
        members: &Members,
        (set, shape, shared): (&mut LinkSet, Shape, &mut Shared),
        after: Duration,
    ) -> Choice {
        let (links, book) = (Links::default(), Book::default());
        let around = Around { links: &links, members, book: &book };
        shared.now.mono = shared.now.mono.after(after);
        let mut choice = Choice::default();
        set.review_shortcuts(shape, around, (&mut *shared, &mut choice));
        choice
    }

    /// A peer that is so many links from the root.
    fn place(shared: &mut Shared, peer: u8, hops: u8) {
        let now = shared.now.mono;
        shared.tree.link_up(id(peer), now);
        shared.tree.placed(&id(peer), BroadcastPlace { root: id(0), hops }, now);
    }

    #[test]
    fn a_shortcut_stays_while_the_root_is_reached_over_it() {
        let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7, 8]);
        place(&mut shared, 1, 9);
        assert!(review(&mut set, shape, &mut shared, Duration::ZERO).ended.is_empty());
        assert!(set.shortcuts.lacked_since.is_some(), "ten links away");
        set.shortcuts.own = Some(Chosen { id: id(8), since: shared.now.mono, serves: false });
        place(&mut shared, 8, 2);
        for _ in 0..9 {
            assert!(review(&mut set, shape, &mut shared, LAST_PAUSE).ended.is_empty());
        }
        assert_eq!((set.regular(&shared), set.count_shortcuts(&shared)), (7, 1), "it is beside the others");
        place(&mut shared, 2, 1);
        assert!(review(&mut set, shape, &mut shared, Duration::ZERO).ended.is_empty(), "it may be so for a moment");
        assert_eq!(review(&mut set, shape, &mut shared, USELESS_AFTER).ended, [id(8)]);
        assert!(!set.shortcuts.has(&id(8)));
    }

    /// So many members, at equal distances on the ring.
    fn members(count: u64) -> Members {
        let mut members = Members::default();
        for n in 0..count {
            let mut bytes = [0; 32];
            bytes.iter_mut().zip((n * (u64::MAX / count)).to_be_bytes()).for_each(|(byte, part)| *byte = part);
            let id = NodeId::from_bytes(bytes);
            members.insert(Arc::new(Member {
                id,
                name: format!("n{n}").parse().expect("a name"),
                roles: vec![Role::Node],
                addresses: Vec::new(),
                next: None,
                seq: UnixMicros::new(1),
                expires: UnixMicros::new(u64::MAX / 4),
                membership_seq: None,
                record: SignedRecord { signed: String::new(), by: id, sig: String::new() },
            }));
        }
        members
    }

    #[test]
    fn next_to_the_root_a_shortcut_stays_while_its_other_end_reaches_the_root_over_it() {
        let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let (own, now, many, few) = (shared.id, shared.now.mono, members(600), members(400));
        assert_eq!(shared.tree.place().hops, 0, "it is the root itself");
        shared.tree.link_up(id(8), now);
        shared.tree.placed(&id(8), BroadcastPlace { root: own, hops: 1 }, now);
        shared.tree.grafted(&id(8), now);
        let mut review = |members: &Members, after: Duration| {
            let since = shared.now.mono;
            set.shortcuts.own.get_or_insert_with(|| Chosen { id: id(8), since, serves: false });
            review_among(members, (&mut set, shape, &mut shared), after).ended
        };
        assert!((0..9).all(|_| review(&many, LAST_PAUSE).is_empty()));
        assert!(review(&few, Duration::ZERO).is_empty(), "it may be so for a moment");
        assert_eq!(review(&few, USELESS_AFTER), [id(8)], "in a small network it is of no use");
        assert!((0..9).all(|_| review(&many, LAST_PAUSE).is_empty()));
        let later = shared.now.mono;
        shared.tree.pruned(&id(8), later);
        let mut review = |after: Duration| review_among(&many, (&mut set, shape, &mut shared), after).ended;
        assert!(review(Duration::ZERO).is_empty());
        assert_eq!(review(USELESS_AFTER), [id(8)], "nobody comes after it there");
    }

    #[test]
    fn one_that_came_to_nothing_is_followed_by_a_longer_and_longer_pause() {
        let mut shortcuts = Shortcuts::default();
        let mut pauses = Vec::new();
        for _ in 0..11 {
            shortcuts.own = Some(Chosen { id: id(8), since: Mono(0), serves: false });
            shortcuts.forget(&id(8), Mono(0));
            pauses.push(shortcuts.try_at.since(Mono(0)).as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        shortcuts.forget(&id(7), Mono(0));
        assert_eq!(shortcuts.pause, LAST_PAUSE, "another link is none of its business");
    }

    #[test]
    fn with_more_links_that_stay_a_shortcut_goes_another_s_before_our_own() {
        let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let only = Purposes::from_iter([LinkPurpose::Shortcut]);
        shared.config.max_links = 8;
        set.shortcuts.own = Some(Chosen { id: id(8), since: Mono(0), serves: true });
        set.shortcuts.theirs.insert(id(7));
        set.handle_purpose(id(7), only, Mono(0));
        assert!(review(&mut set, shape, &mut shared, Duration::ZERO).ended.is_empty(), "eight in all");
        let up = shared.up.values().next().expect("one is up").clone();
        shared.up.insert(id(9), up);
        assert_eq!(review(&mut set, shape, &mut shared, Duration::ZERO).ended, [id(7)]);
        assert!(set.shortcuts.is_own(&id(8)) && !set.shortcuts.has(&id(7)));
    }
}
