//! Members that a signal server named, and of whom nobody else told yet; and those that were known before a restart, of
//! whom nothing holds any more.
//!
//! Where there are more members than links, links are chosen among members that are known. Whoever knows only those that
//! came by themselves would never look for others: an attacker who is there first would keep it for good, and two meshes
//! that know nothing of each other would stay two. So some of those listed are tried at a time; who is reached is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::{Address, NodeId, UnixMicros};

use super::{Heard, Peers};
use crate::gossip::Members;
use crate::now::Mono;
use crate::shared::Shared;

/// So many are remembered; the next answer of a server names others.
pub(crate) const MAX_LISTED: usize = 64;

/// So many are tried at a time by whoever has no link but those that came, for so long: a direct dial takes four seconds at
/// most, a relayed one as many more.
pub(crate) const LISTED_AT_ONCE: usize = 4;
const TRY_FOR: Duration = Duration::from_secs(9);

/// Others try one at a time, so seldom that of all that know each other somebody does every other second: where nobody knows
/// all there is always somebody unknown. Beyond the longest pause it is more in all, and of each node a dial in half an hour.
const PAUSE_A_MEMBER: Duration = Duration::from_secs(2);
const LEAST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);

/// A server names its members again and again; of one that was known before a restart nobody does, so it is tried again so often.
const KEPT_RETRIES: u8 = 8;

/// Those named.
#[derive(Debug, Default)]
pub(super) struct Listed {
    waiting: BTreeSet<NodeId>,
    /// With the time at which it is another one's turn.
    tried: BTreeMap<NodeId, Mono>,
    /// Those that were known before a restart, with the trials they have left.
    kept: BTreeMap<NodeId, u8>,
    /// When one is tried without need.
    seldom_at: Option<Mono>,
}

impl Listed {
    fn note(&mut self, id: NodeId) {
        if self.waiting.len() < MAX_LISTED && !self.tried.contains_key(&id) {
            self.waiting.insert(id);
        }
    }

    /// Whether it has a turn yet.
    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.waiting.contains(id) || self.tried.contains_key(id)
    }

    fn keep(&mut self, id: NodeId) {
        if self.kept.len() < MAX_LISTED {
            self.kept.insert(id, KEPT_RETRIES);
            self.note(id);
        }
    }

    /// Whoever was tried in vain has no other turn until it is named again, or has trials left.
    fn end_turns(&mut self, now: Mono, is_unknown: impl Fn(&NodeId) -> bool) {
        self.kept.retain(|id, left| *left > 0 && is_unknown(id));
        let is_over = |id: &NodeId, until: Mono| until <= now || !is_unknown(id);
        let over: Vec<NodeId> = self.tried.extract_if(.., |id, until| is_over(id, *until)).map(|(id, _)| id).collect();
        for id in over {
            if let Some(left) = self.kept.get_mut(&id) {
                *left -= 1;
                self.note(id);
            }
        }
        self.waiting.retain(is_unknown);
    }

    /// Whom to try now. Those that are known by now need no trial, and of the others it is not the server that says who is
    /// first.
    pub(super) fn take_turns(&mut self, has_dialled: bool, members: &Members, shared: &mut Shared) -> Vec<NodeId> {
        let (now, judged) = (shared.now.mono, shared.judged());
        self.end_turns(now, |id| is_unknown(members, id, judged));
        let most = if has_dialled { self.seldom(members.len(), shared) } else { LISTED_AT_ONCE };
        self.seldom_at = self.seldom_at.filter(|_| has_dialled);
        while self.tried.len() < most && !self.waiting.is_empty() {
            let Some(id) = self.waiting.iter().nth(shared.below(self.waiting.len())).copied() else { break };
            self.waiting.remove(&id);
            self.tried.insert(id, now.after(TRY_FOR));
        }
        self.tried.keys().copied().collect()
    }

    /// How many are tried without need: one when its time has come.
    fn seldom(&mut self, members: usize, shared: &mut Shared) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let all = PAUSE_A_MEMBER.saturating_mul(u32::try_from(members).unwrap_or(u32::MAX));
        let pause = all.clamp(LEAST_PAUSE, LONGEST_PAUSE);
        let is_due = self.seldom_at.is_some_and(|at| at <= shared.now.mono);
        if is_due || self.seldom_at.is_none() {
            let millis = usize::try_from(2 * pause.as_millis()).unwrap_or(usize::MAX);
            let later = Duration::from_millis(u64::try_from(shared.below(millis)).unwrap_or(u64::MAX));
            self.seldom_at = Some(shared.now.mono.after(later));
        }
        usize::from(is_due)
    }

    /// When it is the next one's turn.
    pub(super) fn next_turn(&self) -> Option<Mono> {
        let seldom = self.seldom_at.filter(|_| !self.waiting.is_empty());
        self.tried.values().copied().chain(seldom).min()
    }
}

/// Whether nothing is known of a member that still holds: whoever was parted from it for an hour knows it no more.
fn is_unknown(members: &Members, id: &NodeId, judged: UnixMicros) -> bool {
    members.get(id).is_none_or(|known| !known.is_current(judged))
}

impl Peers {
    /// Takes in a member that a signal server named without anything signed.
    pub(crate) fn add_listed(&mut self, shared: &mut Shared, id: NodeId, addresses: &[Address], members: &Members) {
        if id != shared.id && is_unknown(members, &id, shared.judged()) {
            self.listed.note(id);
            self.set.changed(shared.now.mono);
        }
        self.add_member(shared, id, addresses, Heard::Listed);
    }

    /// A member was kept on disk. If what it announced holds no more, it is tried as those are that a server names.
    pub(crate) fn note_kept(&mut self, id: NodeId, members: &Members, shared: &Shared) {
        if is_unknown(members, &id, shared.judged()) {
            self.listed.keep(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use meshline_identity::KeyPair;

    use super::*;
    use crate::config::Config;
    use crate::now::Now;

    fn shared() -> Shared {
        let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
        let now = Now { mono: Mono(0), wall: UnixMicros::new(1_800_000_000_000_000) };
        Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], now)
    }

    /// All that are tried until no turn is left, and how many of them at once at most.
    fn tried(has_dialled: bool) -> (BTreeSet<NodeId>, usize, Mono) {
        let (mut shared, members, mut listed) = (shared(), Members::default(), Listed::default());
        for number in 0..=u8::MAX {
            listed.note(NodeId::from_bytes([number; 32]));
        }
        let (mut tried, mut at_once) = (BTreeSet::new(), 0);
        loop {
            let now = listed.take_turns(has_dialled, &members, &mut shared);
            at_once = at_once.max(now.len());
            tried.extend(now);
            let Some(next) = listed.next_turn() else { break };
            // Who waits for its turn is woken for it, and not before.
            shared.now.mono = next.max(shared.now.mono.after(Duration::from_millis(1)));
        }
        (tried, at_once, shared.now.mono)
    }

    #[test]
    fn each_is_tried_and_no_more_are_remembered_than_may_be() {
        let (tried, at_once, took) = tried(false);
        assert_eq!((tried.len(), at_once), (MAX_LISTED, LISTED_AT_ONCE));
        let turns = u32::try_from(MAX_LISTED / LISTED_AT_ONCE).expect("few");
        assert_eq!(took, Mono(0).after(TRY_FOR * turns));
    }

    #[test]
    fn those_kept_on_disk_are_tried_some_times_and_then_no_more() {
        let (mut shared, members, mut listed) = (shared(), Members::default(), Listed::default());
        for number in 0..=u8::MAX {
            listed.keep(NodeId::from_bytes([number; 32]));
        }
        let mut turns: BTreeMap<NodeId, usize> = BTreeMap::new();
        loop {
            for id in listed.take_turns(false, &members, &mut shared) {
                *turns.entry(id).or_default() += 1;
            }
            let Some(next) = listed.next_turn() else { break };
            shared.now.mono = next;
        }
        assert_eq!(turns.len(), MAX_LISTED);
        assert!(turns.values().all(|turns| *turns == 1 + usize::from(KEPT_RETRIES)), "{turns:?}");
    }

    #[test]
    fn whoever_has_dialled_somebody_tries_one_now_and_then() {
        let (tried, at_once, took) = tried(true);
        assert_eq!((tried.len(), at_once), (MAX_LISTED, 1));
        let least = LEAST_PAUSE * u32::try_from(MAX_LISTED).expect("few") / 2;
        assert!(took > Mono(0).after(least), "{took:?}");
    }
}
