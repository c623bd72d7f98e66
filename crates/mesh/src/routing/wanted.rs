//! What was asked of peers and has not come yet: an advertisement is asked of one peer at a time, however many say that
//! they have it, and of another one if that one does not send it.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::message::SummaryEntry;
use meshline_protocol::{NodeId, UnixMicros};

use crate::gossip::MAX_MEMBERS;
use crate::now::Mono;

/// Whoever has it sends it within a round trip and the time of a few frames; then somebody else is asked.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug)]
struct Asked {
    of: NodeId,
    seq: UnixMicros,
    until: Mono,
    /// Who said as well to have it, or one at least this new.
    spare: Option<(NodeId, UnixMicros)>,
}

/// What was asked for, by author. No more than there may be members; what is beyond is asked of everybody.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    asked: BTreeMap<NodeId, Asked>,
    look_at: Option<Mono>,
}

impl Wanted {
    /// Which of the advertisements that a peer has, and we have not, it is to be asked for.
    pub(super) fn ask(&mut self, of: NodeId, entries: impl Iterator<Item = SummaryEntry>, now: Mono) -> Vec<NodeId> {
        entries.filter(|entry| self.is_to_be_asked(of, entry, now)).map(|entry| entry.id).collect()
    }

    fn is_to_be_asked(&mut self, of: NodeId, entry: &SummaryEntry, now: Mono) -> bool {
        if let Some(asked) = self.asked.get_mut(&entry.id).filter(|asked| asked.seq >= entry.seq && now < asked.until) {
            if asked.of != of {
                asked.spare.get_or_insert((of, entry.seq));
            }
            return false;
        }
        if self.asked.len() < MAX_MEMBERS || self.asked.contains_key(&entry.id) {
            let until = now.after(PATIENCE);
            self.asked.insert(entry.id, Asked { of, seq: entry.seq, until, spare: None });
            self.look_at.get_or_insert(until);
        }
        true
    }

    /// An advertisement is here, whoever sent it.
    pub(super) fn came(&mut self, author: &NodeId, seq: UnixMicros) {
        if self.asked.get(author).is_some_and(|asked| asked.seq <= seq) {
            self.asked.remove(author);
        }
    }

    /// A new link to a peer, perhaps in place of one that had questions under way: they are asked again.
    pub(super) fn link_up(&mut self, peer: &NodeId) {
        self.asked.retain(|_, asked| asked.of != *peer);
    }

    /// A peer is gone: what was asked of it is to be asked of others at once.
    pub(super) fn link_down(&mut self, peer: &NodeId, now: Mono) {
        for asked in self.asked.values_mut().filter(|asked| asked.of == *peer) {
            asked.until = now;
            self.look_at = Some(now);
        }
    }

    /// What did not come in time, with who else has it.
    pub(super) fn take_late(&mut self, now: Mono) -> Vec<(NodeId, SummaryEntry)> {
        if self.look_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let late = self.asked.extract_if(.., |_, asked| asked.until <= now);
        let late = late.filter_map(|(id, asked)| asked.spare.map(|(peer, seq)| (peer, SummaryEntry { id, seq })));
        let late = late.collect();
        self.look_at = self.asked.values().map(|asked| asked.until).min();
        late
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.look_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn entry(author: u64, seq: u64) -> SummaryEntry {
        SummaryEntry { id: id(author), seq: UnixMicros::new(seq) }
    }

    fn ask(wanted: &mut Wanted, of: u64, entry: SummaryEntry, ms: u64) -> bool {
        !wanted.ask(id(of), std::iter::once(entry), Mono(ms * 1_000)).is_empty()
    }

    #[test]
    fn what_several_have_is_asked_of_one_and_of_the_next_if_it_does_not_come() {
        let mut wanted = Wanted::default();
        assert!(ask(&mut wanted, 1, entry(9, 5), 0));
        assert!(!ask(&mut wanted, 1, entry(9, 5), 10), "it has been asked");
        assert!(!ask(&mut wanted, 2, entry(9, 5), 10));
        assert!(ask(&mut wanted, 3, entry(9, 6), 20), "a newer one is another one");
        assert!(!ask(&mut wanted, 2, entry(9, 5), 30));
        assert_eq!(wanted.next_timeout(), Some(Mono(300_000)));
        assert_eq!(wanted.take_late(Mono(300_000)), []);
        assert_eq!(wanted.take_late(Mono(320_000)), [(id(2), entry(9, 5))]);
        assert_eq!(wanted.next_timeout(), None);
    }

    #[test]
    fn what_came_is_asked_of_nobody_and_an_older_one_is_not_what_was_asked_for() {
        let mut wanted = Wanted::default();
        assert!(ask(&mut wanted, 1, entry(9, 5), 0) && !ask(&mut wanted, 2, entry(9, 5), 0));
        wanted.came(&id(9), UnixMicros::new(4));
        assert!(!ask(&mut wanted, 2, entry(9, 5), 10));
        wanted.came(&id(9), UnixMicros::new(5));
        assert_eq!(wanted.take_late(Mono(400_000)), []);
    }

    #[test]
    fn when_a_peer_is_gone_what_it_was_asked_for_is_asked_of_others_at_once() {
        let mut wanted = Wanted::default();
        assert!(ask(&mut wanted, 1, entry(9, 5), 0) && !ask(&mut wanted, 2, entry(9, 5), 0));
        wanted.link_down(&id(1), Mono(1_000));
        assert_eq!(wanted.take_late(Mono(1_000)), [(id(2), entry(9, 5))]);
    }

    #[test]
    fn beyond_as_many_as_there_may_be_members_everybody_is_asked() {
        let mut wanted = Wanted::default();
        let most = u64::try_from(MAX_MEMBERS).unwrap();
        assert!((0..most).all(|author| ask(&mut wanted, 1, entry(author, 5), 0)));
        assert!(!ask(&mut wanted, 2, entry(most - 1, 5), 0), "the last that is remembered");
        assert!(ask(&mut wanted, 1, entry(most, 5), 0) && ask(&mut wanted, 2, entry(most, 5), 0));
        assert_eq!(wanted.asked.len(), MAX_MEMBERS);
    }
}
