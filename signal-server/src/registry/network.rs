//! The members of one network, and the list of them.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use meshline_identity::RevocationList;
use meshline_protocol::signal::LIST_SCHEMA;
use meshline_protocol::{NetworkId, UnixMicros};

use super::entry::{Entry, NO_SLOT, Slot};
use super::sample::{Chance, Sample};
use super::slots::Slots;

/// One network.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) id: NetworkId,
    /// Without gaps, so that a random choice is an index.
    pub(super) members: Vec<Slot>,
    pub(super) proxies: Vec<Slot>,
    pub(super) revoked: RevocationList,
    sample: Option<Sample>,
}

impl Network {
    fn new(id: NetworkId) -> Self {
        Self { id, members: Vec::new(), proxies: Vec::new(), revoked: RevocationList::default(), sample: None }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nothing is left to be kept.
    pub(super) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.revoked.is_empty()
    }

    /// Takes in an entry that has its number.
    pub(super) fn join(&mut self, slot: Slot, is_proxy: bool, slots: &mut Slots) {
        let Some(entry) = slots.get_mut(slot) else { return };
        entry.place = place_behind(&self.members);
        entry.proxy_place = if is_proxy { place_behind(&self.proxies) } else { NO_SLOT };
        self.members.push(slot);
        if is_proxy {
            self.proxies.push(slot);
        }
        if self.sample.as_ref().is_some_and(|sample| sample.whole) {
            self.sample = None;
        }
    }

    /// Lets an entry go, before its number is given to another.
    pub(super) fn leave(&mut self, slot: Slot, slots: &mut Slots) {
        let Some((place, proxy_place)) = slots.get(slot).map(|entry| (entry.place, entry.proxy_place)) else { return };
        if let Some(moved) = take_place(&mut self.members, place).and_then(|moved| slots.get_mut(moved)) {
            moved.place = place;
        }
        if let Some(moved) = take_place(&mut self.proxies, proxy_place).and_then(|moved| slots.get_mut(moved)) {
            moved.proxy_place = proxy_place;
        }
        self.on_changed(slot);
    }

    /// An entry is to be shown otherwise.
    pub(super) fn on_changed(&mut self, slot: Slot) {
        if self.sample.as_ref().is_some_and(|sample| sample.holds(slot)) {
            self.sample = None;
        }
    }

    /// Forgets the ready list, because what stands in it beside the members changed.
    pub(super) fn on_revocations_changed(&mut self) {
        self.sample = None;
    }

    /// The list with up to `limit` members and as many proxies, as a JSON object without its closing brace.
    pub(super) fn list(&mut self, limit: usize, slots: &Slots, chance: &mut Chance, now: UnixMicros) -> Bytes {
        if let Some(sample) = self.sample.as_ref().filter(|sample| sample.serves(limit, now)) {
            return sample.head.clone();
        }
        let sample = self.choose(limit, slots, chance, now);
        let head = sample.head.clone();
        self.sample = Some(sample);
        head
    }

    /// What tells the list that was given out last from others.
    pub(super) fn tag(&mut self, slots: &Slots) -> u64 {
        let tag = |sample: &mut Sample| *sample.tag.get_or_insert_with(|| slots.tag(&sample.head));
        self.sample.as_mut().map_or(0, tag)
    }

    fn choose(&self, limit: usize, slots: &Slots, chance: &mut Chance, now: UnixMicros) -> Sample {
        let mut pick = |from: &[Slot]| -> Vec<Slot> {
            let picked = chance.pick(from.len(), limit).into_iter().filter_map(|at| from.get(at).copied());
            picked.filter(|slot| slots.get(*slot).is_some_and(|entry| entry.ends > now)).collect()
        };
        let (nodes, proxies) = (pick(&self.members), pick(&self.proxies));
        let entries = |of: &[Slot]| of.iter().filter_map(|slot| slots.get(*slot)).collect::<Vec<&Entry>>();
        let revocations: Vec<String> =
            self.revoked.records().filter_map(|record| serde_json::to_string(record).ok()).collect();
        let mut head = BytesMut::with_capacity(64 + 256 * (nodes.len() + proxies.len()) + 1_024 * revocations.len());
        head.put_slice(format!("{{\"schema\":\"{LIST_SCHEMA}\"").as_bytes());
        put_list(&mut head, "nodes", entries(&nodes).iter().filter_map(|entry| entry.json()));
        put_list(&mut head, "proxies", entries(&proxies).iter().filter_map(|entry| entry.json()));
        if !revocations.is_empty() {
            put_list(&mut head, "revocations", revocations.into_iter());
        }
        let mut members: Vec<Slot> = nodes.into_iter().chain(proxies).collect();
        members.sort_unstable();
        let until = entries(&members).iter().map(|entry| entry.ends).min();
        Sample { limit, made: now, until, whole: self.members.len() <= limit, members, head: head.freeze(), tag: None }
    }
}

fn place_behind(places: &[Slot]) -> u32 {
    u32::try_from(places.len()).unwrap_or(NO_SLOT)
}

/// Empties a place and says who was put into it instead.
fn take_place(places: &mut Vec<Slot>, place: u32) -> Option<Slot> {
    let at = usize::try_from(place).ok().filter(|at| *at < places.len())?;
    places.swap_remove(at);
    places.get(at).copied()
}

fn put_list(to: &mut BytesMut, name: &str, rows: impl Iterator<Item = String>) {
    to.put_slice(format!(",\"{name}\":[").as_bytes());
    for (at, row) in rows.enumerate() {
        if at > 0 {
            to.put_u8(b',');
        }
        to.put_slice(row.as_bytes());
    }
    to.put_u8(b']');
}

/// The list of a network that is not there.
pub(super) fn empty_list() -> Bytes {
    Bytes::from(format!("{{\"schema\":\"{LIST_SCHEMA}\",\"nodes\":[],\"proxies\":[]"))
}

/// All networks, by name and by number: entries name theirs by number.
#[derive(Debug, Default)]
pub(super) struct Networks {
    numbers: BTreeMap<NetworkId, u32>,
    held: Vec<Option<Network>>,
    free: Vec<u32>,
}

impl Networks {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn number(&self, id: &NetworkId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Network> {
        self.held.get(usize::try_from(number).ok()?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Network> {
        self.held.get_mut(usize::try_from(number).ok()?)?.as_mut()
    }

    /// All, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Network> {
        self.numbers.values().filter_map(|number| self.get(*number))
    }

    /// The number of a network, which is made if it is not there.
    pub(super) fn number_or_new(&mut self, id: &NetworkId) -> u32 {
        if let Some(number) = self.number(id) {
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| u32::try_from(self.held.len()).unwrap_or(u32::MAX));
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if at == self.held.len() {
            self.held.push(None);
        }
        if let Some(place) = self.held.get_mut(at) {
            *place = Some(Network::new(id.clone()));
        }
        self.numbers.insert(id.clone(), number);
        number
    }

    /// Forgets a network in which nothing is left.
    pub(super) fn tidy(&mut self, number: u32) {
        let Some(idle) = self.get(number).filter(|held| held.is_idle()) else { return };
        let id = idle.id.clone();
        self.numbers.remove(&id);
        if let Some(place) = usize::try_from(number).ok().and_then(|at| self.held.get_mut(at)) {
            *place = None;
            self.free.push(number);
        }
    }

    /// The numbers of all.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.numbers.values().copied().collect()
    }
}
