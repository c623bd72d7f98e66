//! All headers that are known: a tree from the genesis block on, in which most work wins.
//!
//! Headers cost their sender proof of work, but those far below the tip cost little. Beside the best chain only
//! [`MAX_SIDE_HEADERS`] are held; the one with the least work behind it makes room.

use std::collections::{BTreeSet, HashMap};

use crate::consensus::{Header, Rule, work};
use crate::hash::BlockHash;
use crate::u256::U256;

/// Headers held beside the best chain: about 2.5 MB, and far more forks than an honest network has.
pub const MAX_SIDE_HEADERS: usize = 10_000;

/// The place of a header in the tree.
pub(crate) type Slot = u32;

/// What is known of the block of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Status {
    /// Its body is in the store.
    pub(crate) has_body: bool,
    /// It breaks a rule.
    pub(crate) invalid: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) hash: BlockHash,
    pub(crate) height: u32,
    /// Of the chain up to here.
    pub(crate) work: U256,
    pub(crate) parent: Option<Slot>,
    pub(crate) children: Vec<Slot>,
    pub(crate) status: Status,
    /// Bodies are there from the genesis block up to here, and none of them is invalid.
    pub(crate) connectable: bool,
    /// Of the headers with the same work the one that was seen first wins.
    seen: u64,
}

/// A header that was taken in.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub(crate) slot: Slot,
    /// The one that made room for it.
    pub(crate) gone: Option<Entry>,
}

/// How the best chains are ordered: most work, then first seen.
type Rank = (U256, std::cmp::Reverse<u64>, Slot);

#[derive(Debug)]
pub(crate) struct HeaderTree {
    entries: Vec<Option<Entry>>,
    by_hash: HashMap<BlockHash, Slot>,
    free: Vec<Slot>,
    /// Ends of chains of valid headers.
    leaves: BTreeSet<Rank>,
    /// Ends of chains of which all bodies are there, the active one included.
    candidates: BTreeSet<Rank>,
    /// The active chain by height.
    active: Vec<Slot>,
    /// The best chain of headers by height.
    best: Vec<Slot>,
    seen: u64,
    /// Blocks whose body is in the store.
    bodies: usize,
    /// The last target and its work: most headers have the bits of the one before.
    known_work: (u32, U256),
}

pub(crate) const GENESIS: Slot = 0;

impl HeaderTree {
    pub(crate) fn new(genesis: Header) -> Self {
        let mut tree = Self {
            entries: Vec::new(),
            by_hash: HashMap::default(),
            free: Vec::new(),
            leaves: BTreeSet::new(),
            candidates: BTreeSet::new(),
            active: vec![GENESIS],
            best: vec![GENESIS],
            seen: 0,
            bodies: 1,
            known_work: (0, U256::ZERO),
        };
        let hash = genesis.hash();
        let entry = Entry {
            header: genesis,
            hash,
            height: 0,
            work: tree.work_of(&genesis),
            parent: None,
            children: Vec::new(),
            status: Status { has_body: true, invalid: false },
            connectable: true,
            seen: 0,
        };
        let rank = rank(GENESIS, &entry);
        tree.entries.push(Some(entry));
        tree.by_hash.insert(hash, GENESIS);
        tree.leaves.insert(rank);
        tree.candidates.insert(rank);
        tree
    }

    pub(crate) fn slot(&self, hash: &BlockHash) -> Option<Slot> {
        self.by_hash.get(hash).copied()
    }

    pub(crate) fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// How many headers are held.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The end of the active chain.
    pub(crate) fn tip(&self) -> Slot {
        self.active.last().copied().unwrap_or(GENESIS)
    }

    pub(crate) fn tip_height(&self) -> u32 {
        u32::try_from(self.active.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(crate) fn active_at(&self, height: u32) -> Option<Slot> {
        self.active.get(height as usize).copied()
    }

    pub(crate) fn is_active(&self, slot: Slot) -> bool {
        self.entry(slot).is_some_and(|entry| self.active_at(entry.height) == Some(slot))
    }

    pub(crate) fn push_active(&mut self, slot: Slot) {
        self.active.push(slot);
    }

    pub(crate) fn pop_active(&mut self) {
        if self.active.len() > 1 {
            self.active.pop();
        }
    }

    /// Makes `tip` the end of the active chain.
    pub(crate) fn set_active(&mut self, tip: Slot) {
        let (mut way, mut at) = (Vec::new(), Some(tip));
        while let Some(slot) = at {
            way.push(slot);
            at = self.entry(slot).and_then(|entry| entry.parent);
        }
        way.reverse();
        self.active = way;
    }

    /// How many valid blocks have their body in the store.
    pub(crate) const fn bodies(&self) -> usize {
        self.bodies
    }

    /// The header with the most work behind it that is not known to be invalid.
    pub(crate) fn best_header(&self) -> Slot {
        self.leaves.last().map_or(GENESIS, |(.., slot)| *slot)
    }

    /// The block with the most work that could be the tip.
    pub(crate) fn best_candidate(&self) -> Slot {
        self.candidates.last().map_or(GENESIS, |(.., slot)| *slot)
    }

    /// The header of the best chain at a height.
    pub(crate) fn best_at(&self, height: u32) -> Option<Slot> {
        self.best.get(height as usize).copied()
    }

    /// The best chain of headers from the first on that waits for a body, or for one before it. Being connectable ends
    /// once along a chain, so that its end is searched by halves.
    pub(crate) fn best_unconnected(&self) -> impl Iterator<Item = &Entry> {
        let connectable = |slot: &Slot| self.entry(*slot).is_some_and(|entry| entry.connectable);
        let from = self.best.partition_point(connectable);
        self.best.iter().skip(from).filter_map(|slot| self.entry(*slot))
    }

    /// Brings [`Self::best`] up to the best leaf; only what differs is walked.
    fn follow_best(&mut self) {
        let (mut way, mut at) = (Vec::new(), self.best_header());
        while let Some((height, parent)) = self.entry(at).map(|entry| (entry.height as usize, entry.parent)) {
            if self.best.get(height) == Some(&at) {
                self.best.truncate(height + 1);
                break;
            }
            way.push(at);
            let Some(parent) = parent else { break };
            at = parent;
        }
        self.best.extend(way.into_iter().rev());
    }

    /// The ancestor at `height`, or the slot itself.
    pub(crate) fn ancestor(&self, mut slot: Slot, height: u32) -> Option<Slot> {
        loop {
            let entry = self.entry(slot)?;
            if entry.height <= height {
                return (entry.height == height).then_some(slot);
            }
            if self.active_at(entry.height) == Some(slot) {
                return self.active_at(height);
            }
            slot = entry.parent?;
        }
    }

    /// Adds a header whose rules are kept. What made room for it is told too.
    pub(crate) fn insert(&mut self, header: Header, hash: BlockHash, parent: Slot) -> Result<Inserted, Rule> {
        let own_work = self.work_of(&header);
        let work = self.entry(parent).ok_or(Rule::UnknownParent)?.work.checked_add(own_work).ok_or(Rule::Link)?;
        let extends_best = parent == self.best_header();
        let gone = if !extends_best && work <= self.best_work() { self.make_room(work, parent)? } else { None };
        Ok(Inserted { slot: self.insert_known(header, hash, parent)?, gone })
    }

    /// Adds a header that was held before: there was room for it.
    pub(crate) fn insert_known(&mut self, header: Header, hash: BlockHash, parent: Slot) -> Result<Slot, Rule> {
        let own_work = self.work_of(&header);
        let above = self.entry(parent).ok_or(Rule::UnknownParent)?;
        let (above_rank, height) = (rank(parent, above), above.height.checked_add(1).ok_or(Rule::Link)?);
        let work = above.work.checked_add(own_work).ok_or(Rule::Link)?;
        self.seen += 1;
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let entry = Entry {
            header,
            hash,
            height,
            work,
            parent: Some(parent),
            children: Vec::new(),
            status: Status::default(),
            connectable: false,
            seen: self.seen,
        };
        self.leaves.remove(&above_rank);
        self.leaves.insert(rank(slot, &entry));
        if let Some(above) = self.entry_mut(parent) {
            above.children.push(slot);
        }
        match self.entries.get_mut(slot as usize) {
            Some(place) => *place = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        self.by_hash.insert(hash, slot);
        self.follow_best();
        Ok(slot)
    }

    fn best_work(&self) -> U256 {
        self.leaves.last().map_or(U256::ZERO, |(work, ..)| *work)
    }

    /// Makes room for a header beside the best chain: a header without body goes that has less work behind it.
    fn make_room(&mut self, work: U256, parent: Slot) -> Result<Option<Entry>, Rule> {
        if self.len().saturating_sub(self.best.len()) < MAX_SIDE_HEADERS {
            return Ok(None);
        }
        let spare = |(leaf_work, _, slot): &&Rank| {
            let bare = self.entry(*slot).is_some_and(|entry| !entry.status.has_body);
            bare && *leaf_work < work && *slot != parent && !self.is_active(*slot)
        };
        let victim = self.leaves.iter().take(MAX_SIDE_HEADERS).find(spare).map(|(.., slot)| *slot);
        victim.map(|slot| self.remove(slot)).ok_or(Rule::HeaderFlood)
    }

    /// Removes a leaf beside the best chain.
    fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries.get_mut(slot as usize).and_then(Option::take)?;
        self.leaves.remove(&rank(slot, &entry));
        self.by_hash.remove(&entry.hash);
        self.free.push(slot);
        if let Some((parent, above)) = entry.parent.and_then(|parent| Some((parent, self.entry_mut(parent)?))) {
            above.children.retain(|child| *child != slot);
            if above.children.is_empty() && !above.status.invalid {
                let rank = rank(parent, above);
                self.leaves.insert(rank);
            }
        }
        Some(entry)
    }

    /// Notes that the body is in the store, and what becomes connectable by that.
    pub(crate) fn add_body(&mut self, slot: Slot) {
        let Some(entry) = self.entry_mut(slot) else { return };
        let (parent, is_new) = (entry.parent, !entry.status.has_body);
        entry.status.has_body = true;
        self.bodies += usize::from(is_new);
        let mut reached: Vec<Slot> = match parent {
            Some(parent) if self.entry(parent).is_some_and(|above| above.connectable) => vec![slot],
            Some(_) | None => return,
        };
        while let Some(slot) = reached.pop() {
            let Some(entry) = self.entry_mut(slot) else { continue };
            if !entry.status.has_body || entry.status.invalid || entry.connectable {
                continue;
            }
            entry.connectable = true;
            reached.extend(&entry.children);
            let (rank, parent) = (rank(slot, entry), entry.parent);
            self.candidates.insert(rank);
            if let Some(below) = parent.and_then(|parent| self.rank_of(parent)) {
                self.candidates.remove(&below);
            }
        }
    }

    fn rank_of(&self, slot: Slot) -> Option<Rank> {
        self.entry(slot).map(|entry| rank(slot, entry))
    }

    /// Notes that the block breaks a rule: neither it nor what is built on it can be the tip.
    pub(crate) fn mark_invalid(&mut self, slot: Slot) -> Vec<Slot> {
        let mut marked = Vec::new();
        let mut reached = vec![slot];
        while let Some(slot) = reached.pop() {
            let Some(entry) = self.entry_mut(slot) else { continue };
            let had_body = std::mem::take(&mut entry.status.has_body);
            entry.status.invalid = true;
            entry.connectable = false;
            reached.extend(&entry.children);
            let rank = rank(slot, entry);
            self.bodies -= usize::from(had_body);
            self.leaves.remove(&rank);
            self.candidates.remove(&rank);
            marked.push(slot);
        }
        self.add_leaf_above(slot);
        self.follow_best();
        marked
    }

    /// The parent of an invalid block is the end of its chain if no valid block follows it.
    fn add_leaf_above(&mut self, slot: Slot) {
        let Some(parent) = self.entry(slot).and_then(|entry| entry.parent) else { return };
        let Some(above) = self.entry(parent) else { return };
        let valid = |child: &Slot| self.entry(*child).is_some_and(|entry| !entry.status.invalid);
        let is_leaf = !above.status.invalid && !above.children.iter().any(valid);
        let (rank, connectable) = (rank(parent, above), above.connectable);
        if is_leaf {
            self.leaves.insert(rank);
        }
        if connectable {
            self.candidates.insert(rank);
        }
    }

    fn work_of(&mut self, header: &Header) -> U256 {
        let (bits, known) = self.known_work;
        if bits == header.bits.0 {
            return known;
        }
        let found = header.bits.target().map_or(U256::ZERO, work);
        self.known_work = (header.bits.0, found);
        found
    }
}

fn rank(slot: Slot, entry: &Entry) -> Rank {
    (entry.work, std::cmp::Reverse(entry.seen), slot)
}
