//! Members known at this place of the ring by their names.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::{Name, NodeId, SignedRecord};

use crate::now::Mono;
use crate::routing::greedy::distance;

/// Members kept. In a network of ten thousand there are two at each place; of more than fit the nearest ones stay.
const MAX_POINTERS: usize = 256;

/// A member that has not made itself known for so long is forgotten: three times as long as it should take.
const KEPT_FOR: Duration = Duration::from_secs(1_800);

#[derive(Debug)]
struct Pointer {
    name: Name,
    record: SignedRecord,
    at: Mono,
}

/// Members by the place of their name and their id.
#[derive(Debug, Default)]
pub(crate) struct Pointers {
    kept: BTreeMap<(NodeId, NodeId), Pointer>,
}

impl Pointers {
    /// Keeps a member. Says whether there was room: whoever is nearer to its place keeps it.
    pub(super) fn keep(&mut self, place: NodeId, member: &Member, (own, now): (NodeId, Mono)) -> bool {
        let pointer = Pointer { name: member.name.clone(), record: member.record.clone(), at: now };
        self.kept.insert((place, member.id), pointer);
        if self.kept.len() <= MAX_POINTERS {
            return true;
        }
        self.expire(now);
        let surplus = self.kept.len() > MAX_POINTERS;
        let farthest = self.kept.keys().max_by_key(|(place, _)| distance(place, &own)).copied().filter(|_| surplus);
        if let Some(farthest) = farthest {
            self.kept.remove(&farthest);
        }
        farthest != Some((place, member.id))
    }

    /// The members of a name that were known at a place.
    pub(crate) fn at<'a>(&'a self, place: NodeId, name: &'a Name) -> impl Iterator<Item = &'a SignedRecord> {
        let at_place =
            self.kept.range((place, NodeId::from_bytes([0; 32]))..).take_while(move |((at, _), _)| *at == place);
        at_place.filter(move |(_, pointer)| pointer.name == *name).map(|(_, pointer)| &pointer.record)
    }

    pub(super) fn expire(&mut self, now: Mono) {
        self.kept.retain(|_, pointer| now.since(pointer.at) < KEPT_FOR);
    }

    pub(crate) fn forget(&mut self, id: &NodeId) {
        self.kept.retain(|(_, of), _| of != id);
    }
}
