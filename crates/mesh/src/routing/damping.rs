//! Links that come and go are not told to all each time (RFC 2439 in small).

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use crate::now::Mono;

/// What an end of a link adds to its penalty.
const PER_END: u32 = 1_000;

/// Above this a link is not advertised any more: the third end within a short time.
const SUPPRESS_ABOVE: u32 = 2_500;

/// Below this it is advertised again.
const REUSE_BELOW: u32 = 1_000;

/// The penalty halves in this time.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// Links remembered; the ones with the least penalty give way.
const MAX_REMEMBERED: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Penalty {
    points: u32,
    at: Mono,
    suppressed: bool,
}

impl Penalty {
    fn now(self, now: Mono) -> u32 {
        let halves = now.micros_since(self.at) / u64::try_from(HALF_LIFE.as_micros()).unwrap_or(1);
        self.points.checked_shr(u32::try_from(halves).unwrap_or(u32::MAX)).unwrap_or(0)
    }
}

/// The penalties of links, by peer.
#[derive(Debug, Default)]
pub(crate) struct Damping {
    penalties: BTreeMap<NodeId, Penalty>,
}

impl Damping {
    /// A link ended by itself.
    pub(crate) fn ended(&mut self, peer: NodeId, now: Mono) {
        let known = self.penalties.get(&peer).copied();
        let points = known.map_or(0, |penalty| penalty.now(now)).saturating_add(PER_END);
        let suppressed = points > SUPPRESS_ABOVE || known.is_some_and(|penalty| penalty.suppressed);
        self.penalties.insert(peer, Penalty { points, at: now, suppressed });
        if self.penalties.len() > MAX_REMEMBERED {
            let least = self.penalties.iter().min_by_key(|(_, penalty)| penalty.now(now)).map(|(peer, _)| *peer);
            least.map(|peer| self.penalties.remove(&peer));
        }
    }

    /// Whether a link is not to be advertised for now.
    pub(crate) fn is_suppressed(&mut self, peer: &NodeId, now: Mono) -> bool {
        let Some(penalty) = self.penalties.get_mut(peer) else { return false };
        if penalty.suppressed && penalty.now(now) < REUSE_BELOW {
            penalty.suppressed = false;
        }
        penalty.suppressed
    }

    /// Whether a link is kept out as far as was decided last.
    pub(crate) fn is_kept_out(&self, peer: &NodeId) -> bool {
        self.penalties.get(peer).is_some_and(|penalty| penalty.suppressed)
    }

    /// How many links are kept out.
    pub(crate) fn kept_out(&self) -> usize {
        self.penalties.values().filter(|penalty| penalty.suppressed).count()
    }

    /// Whether any link is suppressed: then it must be looked at again.
    pub(crate) fn is_watching(&self) -> bool {
        self.penalties.values().any(|penalty| penalty.suppressed)
    }
}
