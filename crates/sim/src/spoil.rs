//! Members that spoil what they should pass on.

use std::sync::Arc;

use meshline_mesh::LinkId;
use meshline_protocol::message::{Broadcast, Gossip, Peers, Routing};
use meshline_protocol::{Bounded, Frame, Message, NodeId, SignedRecord};

use crate::schedule::Due;
use crate::world::World;

/// What a node does with what others sent and it should pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiling {
    /// It is never sent on.
    Drop,
    /// It is held for so many microseconds.
    Delay(u64),
    /// As `Drop`, but for what its accomplices sent: those that do the same. Of members it tells of these alone.
    Conspire,
}

impl World {
    /// From now on a node spoils what it should pass on.
    pub fn spoil(&mut self, node: usize, how: Spoiling) {
        self.spoilers.insert(node, how);
    }

    /// Whether a node is one of an attacker's.
    #[must_use]
    pub fn conspires(&self, node: usize) -> bool {
        self.spoilers.get(&node) == Some(&Spoiling::Conspire)
    }

    /// Says whether a frame is to be sent now.
    pub(crate) fn passes(&mut self, node: usize, link: LinkId, frame: &Arc<Frame>) -> bool {
        let Some(how) = self.spoilers.get(&node).copied() else { return true };
        match how {
            Spoiling::Drop => !self.is_of_another(node, frame, |_| true),
            Spoiling::Conspire => match self.of_accomplices(frame) {
                Some(left) => {
                    self.send_late(self.run_of(node), link, &Arc::new(left));
                    false
                }
                None => !self.is_of_another(node, frame, |is_accomplice| !is_accomplice),
            },
            Spoiling::Delay(micros) => {
                let holds = self.is_of_another(node, frame, |_| true);
                if holds {
                    let run = self.run_of(node);
                    let at = self.now + micros;
                    self.schedule.enter(at, Due::Late { run, link, frame: Arc::clone(frame) });
                }
                !holds
            }
        }
    }

    /// What is left of a frame that tells of members, if not all of them are accomplices.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few tell of members")]
    fn of_accomplices(&self, frame: &Frame) -> Option<Frame> {
        let is_one = |record: &&SignedRecord| self.index(record.by).is_some_and(|index| self.conspires(index));
        let mut message = frame.message.clone();
        let records = match &mut message {
            Message::Gossip(Gossip::Records(told)) => {
                let all = told.records.len();
                told.records = Bounded::from_first(told.records.iter().filter(is_one).cloned());
                return (told.records.len() < all && !told.records.is_empty()).then(|| message.into());
            }
            Message::Peers(Peers::Others(told)) => &mut told.records,
            Message::Peers(Peers::Shuffle(told)) => &mut told.records,
            Message::Peers(Peers::Answer(told)) => &mut told.records,
            _ => return None,
        };
        let all = records.len();
        *records = Bounded::from_first(records.iter().filter(is_one).cloned());
        let is_less = records.len() < all;
        is_less.then(|| message.into())
    }

    /// Whether a frame bears what another node made, of those for whom `counts` holds: it is told whether it is an
    /// accomplice.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is said between neighbours")]
    fn is_of_another(&self, node: usize, frame: &Frame, counts: impl Fn(bool) -> bool) -> bool {
        let own = self.id(node);
        let others = |id: &NodeId| *id != own && counts(self.index(*id).is_some_and(|index| self.conspires(index)));
        match &frame.message {
            Message::Broadcast(Broadcast::Flood(line) | Broadcast::Ring(line)) => others(&line.by),
            Message::Gossip(Gossip::Records(records)) => records.records.iter().any(|record| others(&record.by)),
            Message::Peers(Peers::Others(told)) => told.records.iter().any(|record| others(&record.by)),
            Message::Peers(Peers::Shuffle(told)) => told.records.iter().any(|record| others(&record.by)),
            Message::Peers(Peers::Answer(told)) => told.records.iter().any(|record| others(&record.by)),
            Message::Peers(Peers::Ask(ask)) => others(&ask.asker.by),
            Message::Routing(Routing::Advertisement(line)) => others(&line.by),
            Message::Routing(Routing::Advertisements(several)) => several.entries.iter().any(|part| others(&part.by)),
            Message::Datagram(datagram) => others(&datagram.src),
            _ => {
                let author = self.watch.author_in(frame);
                author.is_some_and(|author| author != node && counts(self.conspires(author)))
            }
        }
    }
}
