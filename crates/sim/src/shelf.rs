//! Announcements that nodes keep on disk, each once for the whole world: a thousand nodes keep those of the same members.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_mesh::Saved;
use meshline_protocol::SignedRecord;

use crate::host::Host;

/// Before this many nobody looks whether some are kept by no node any more.
const FIRST_LOOK: usize = 4_096;

/// The announcements, by signature.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    records: BTreeMap<String, Arc<SignedRecord>>,
    look_at: usize,
}

impl Shelf {
    /// Puts what a node keeps on its disk, with the announcements here.
    pub(crate) fn put(&mut self, host: &mut Host, mut saved: Saved) {
        host.shelved = saved.peers.iter_mut().map(|peer| peer.record.take().map(|record| self.keep(record))).collect();
        host.saved = saved;
        if self.records.len() >= self.look_at.max(FIRST_LOOK) {
            self.records.retain(|_, record| Arc::strong_count(record) > 1);
            self.look_at = 2 * self.records.len();
        }
    }

    fn keep(&mut self, record: SignedRecord) -> Arc<SignedRecord> {
        if let Some(kept) = self.records.get(&record.sig).filter(|kept| ***kept == record) {
            return Arc::clone(kept);
        }
        let kept = Arc::new(record);
        self.records.insert(kept.sig.clone(), Arc::clone(&kept));
        kept
    }
}

impl Host {
    /// What is on the disk as the node wrote it.
    pub(crate) fn take_from_shelf(&mut self) {
        for (peer, record) in self.saved.peers.iter_mut().zip(std::mem::take(&mut self.shelved)) {
            peer.record = record.map(Arc::unwrap_or_clone);
        }
    }
}

#[cfg(test)]
mod tests {
    use meshline_identity::KeyPair;
    use meshline_mesh::{Config, SavedPeer};
    use meshline_protocol::{NodeId, UnixMicros};

    use super::*;

    fn record(number: usize) -> SignedRecord {
        SignedRecord { signed: "x".repeat(number), by: NodeId::from_bytes([7; 32]), sig: number.to_string() }
    }

    fn saved(records: impl Iterator<Item = usize>) -> Saved {
        let peer = |number| SavedPeer {
            id: NodeId::from_bytes([7; 32]),
            name: "n".parse().unwrap(),
            addresses: Vec::new(),
            last_linked: UnixMicros::new(0),
            found: None,
            anchor: false,
            record: Some(record(number)),
        };
        Saved { peers: records.map(peer).collect(), ..Saved::default() }
    }

    fn host() -> Host {
        Host::new(Config::new("lab".parse().unwrap(), "n".parse().unwrap()), KeyPair::from_secret([1; 32]))
    }

    #[test]
    fn what_two_keep_is_here_once_and_comes_back_whole() {
        let (mut shelf, mut one, mut other) = (Shelf::default(), host(), host());
        shelf.put(&mut one, saved(1..4));
        shelf.put(&mut other, saved(2..5));
        assert_eq!(shelf.records.len(), 4);
        assert!(Arc::ptr_eq(one.shelved[1].as_ref().unwrap(), other.shelved[0].as_ref().unwrap()));
        one.take_from_shelf();
        assert_eq!(one.saved.peers, saved(1..4).peers);
    }

    #[test]
    fn what_nobody_keeps_any_more_goes_when_there_is_much() {
        let (mut shelf, mut one) = (Shelf::default(), host());
        for first in 0..FIRST_LOOK {
            shelf.put(&mut one, saved(first..first + 2));
        }
        assert!(shelf.records.len() <= FIRST_LOOK, "{}", shelf.records.len());
        one.take_from_shelf();
        assert_eq!(one.saved.peers, saved(FIRST_LOOK - 1..FIRST_LOOK + 1).peers);
    }
}
