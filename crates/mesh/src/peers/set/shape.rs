//! How many links are kept for what.

/// With fewer links than this there is nothing to mix: they go to whoever comes first.
const LEAST_LINKS: usize = 4;

/// Places for newcomers at most: each is taken for seconds only.
const MAX_GUESTS: usize = 4;

/// From so many links on there are two neighbours on each side, so that one may die without a gap.
const TWO_A_SIDE_FROM: usize = 16;

/// Levels of the tree above the last that are as wide as the links alone make them.
const WIDE_FROM: u8 = 3;

/// Among fewer members than this a message passes ten links at most however they are chosen, and free places are better left
/// to newcomers.
const WIDE_MEMBERS: u64 = 512;

/// What a node does with its links when there are more members than links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Neighbours in the order of ids, on each side.
    pub(super) side: usize,
    /// Of those nearest by round trip.
    pub(super) near: usize,
    /// Links that this node chose and dialled itself, at least: nobody else decides who they lead to.
    pub(super) far: usize,
    /// With fewer links more are looked for.
    pub(super) fill: usize,
    /// No more stay for long: what is left is for newcomers.
    pub(super) room: usize,
}

impl Shape {
    /// For so many links; `None` if they are too few for it.
    pub(crate) fn of(max_links: usize) -> Option<Self> {
        if max_links < LEAST_LINKS {
            return None;
        }
        let eighth = (max_links / 8).max(1);
        let room = max_links.saturating_sub(eighth.min(MAX_GUESTS));
        Some(Self {
            side: if max_links < TWO_A_SIDE_FROM { 1 } else { 2 },
            near: eighth,
            far: max_links / 4,
            // If everybody filled its room, nobody who looks for a link would find one.
            fill: room.saturating_sub(eighth),
            room,
        })
    }

    /// Long links that are drawn from the number of an order: half. The others lead to members found before, for whoever is
    /// most in the network is most among those that are drawn.
    pub(super) fn drawn(self) -> usize {
        self.far.div_ceil(2)
    }

    /// Links from the root of the tree to those who are furthest, or hardly anybody is further, among so many members that
    /// each have as many links as stay: in a random graph each level has as many more members as each of the one before
    /// has links to others, and in the last but one half of all are found.
    pub(super) fn depth(self, members: u64) -> u8 {
        let more = u64::try_from(self.room.saturating_sub(1)).unwrap_or(u64::MAX).max(2);
        let (mut depth, mut reached) = (0_u8, 1_u64);
        while reached < members.saturating_mul(2) {
            (depth, reached) = (depth.saturating_add(1), reached.saturating_mul(more));
        }
        depth
    }

    /// Links from the root up to which a node keeps one more, for whoever comes after it: three less than the depth, which is one
    /// member in thirty. `None` in a small network.
    pub(super) fn near_root(self, members: u64) -> Option<u8> {
        self.depth(members).checked_sub(WIDE_FROM).filter(|_| members >= WIDE_MEMBERS)
    }

    /// Links to one prefix at most: a quarter.
    pub(super) fn share(self) -> usize {
        (self.room / 4).max(1)
    }

    /// Long links to members that tell of no place by which they could be judged, at most: half. Many homes behind routers
    /// tell of none, and whoever makes up members need not.
    pub(super) fn most_hidden(self) -> usize {
        self.far.div_ceil(2)
    }

    /// With fewer links a node asks to be let in where there is no room.
    pub(super) fn is_poor(&self, links: usize) -> bool {
        links < self.fill.div_ceil(2)
    }
}
