//! How members came to be known, and how long they wait for their first dial.

use std::time::Duration;

use meshline_protocol::NodeId;

/// How the smaller of two ids waits before it dials a member it heard of, and the larger: by then the
/// connection of the other is there, and no second one is made for nothing.
pub(super) const FIRST_DIAL_SMALLER: Duration = Duration::from_millis(150);
pub(super) const FIRST_DIAL_LARGER: Duration = Duration::from_millis(1_200);

/// How others that are known from before a restart wait for those that were linked for long: these come first, where there
/// is not room for all, and after them whoever has the luck.
const FIRST_DIAL_KEPT: Duration = Duration::from_millis(2);

/// How a member came to our knowledge, as far as it matters for the first dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// From a list, or linked for long before a restart: the member may not know us, so it is dialled at once.
    Listed,
    /// From the disk.
    Kept,
    /// From the member itself or another one: it hears of us as well.
    Told,
}

impl Heard {
    /// How long the first dial of a member waits.
    pub(super) fn wait(self, own: &NodeId, id: &NodeId) -> Duration {
        match self {
            Self::Listed => Duration::ZERO,
            Self::Kept => FIRST_DIAL_KEPT,
            Self::Told if own < id => FIRST_DIAL_SMALLER,
            Self::Told => FIRST_DIAL_LARGER,
        }
    }
}
