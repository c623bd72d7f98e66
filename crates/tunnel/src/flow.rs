//! UDP payloads: in pieces if they have to be, never sent twice, dropped rather than late.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use meshline_mesh::Mono;

use crate::frame::{FLOW_HEAD, FlowId, Frame, Violation};
use crate::limits::{
    FLOW_PATIENCE, MAX_ARRIVED, MAX_ARRIVED_BYTES, MAX_FLOW_BACKLOG, MAX_FLOW_PAYLOAD, MAX_PARTIAL, SPARSE_BURST,
    SPARSE_RATE,
};
use crate::ranges::Ranges;
use crate::stream::Lane;

/// Flows whose rates are remembered; others count as new.
const MAX_METERED: usize = 1_024;

/// What a waiting payload counts beside its bytes.
const OVERHEAD: usize = 64;

#[derive(Debug)]
struct Waiting {
    id: FlowId,
    number: u32,
    data: Bytes,
    sent: usize,
    since: Mono,
}

/// A payload of which parts are missing.
#[derive(Debug)]
struct Partial {
    data: BytesMut,
    have: Ranges,
    missing: usize,
    since: Mono,
}

/// The flows of one side.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    queues: [VecDeque<Waiting>; 2],
    bytes: usize,
    next_number: u32,
    /// What each may still send as small traffic, and since when.
    sparse: BTreeMap<FlowId, (u64, Mono)>,
    partial: BTreeMap<(FlowId, u32), Partial>,
    arrived: VecDeque<(FlowId, Bytes)>,
    arrived_bytes: usize,
    /// Payloads dropped here, on their way out and in.
    pub(crate) dropped: (u64, u64),
}

impl Flows {
    /// Queues a payload; `false` if it was dropped.
    pub(crate) fn send(&mut self, id: FlowId, data: Bytes, now: Mono) -> bool {
        let weight = data.len() + OVERHEAD;
        if data.len() > MAX_FLOW_PAYLOAD || self.bytes + weight > MAX_FLOW_BACKLOG {
            self.dropped.0 += 1;
            return false;
        }
        let lane = self.lane(id, data.len(), now);
        self.bytes += weight;
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.queue(lane).push_back(Waiting { id, number, data, sent: 0, since: now });
        true
    }

    fn lane(&mut self, id: FlowId, len: usize, now: Mono) -> Lane {
        if self.sparse.len() >= MAX_METERED && !self.sparse.contains_key(&id) {
            self.sparse.pop_first();
        }
        let (left, since) = self.sparse.entry(id).or_insert((SPARSE_BURST, now));
        let allowed = (*left + now.micros_since(*since).saturating_mul(SPARSE_RATE) / 1_000_000).min(SPARSE_BURST);
        let rest = allowed.checked_sub(u64::try_from(len).unwrap_or(u64::MAX));
        (*left, *since) = (rest.unwrap_or(0), now);
        if rest.is_some() { Lane::Sparse } else { Lane::Bulk }
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<Waiting> {
        let [sparse, bulk] = &mut self.queues;
        match lane {
            Lane::Sparse => sparse,
            Lane::Bulk => bulk,
        }
    }

    pub(crate) fn has_data(&self, lane: Lane) -> bool {
        let [sparse, bulk] = &self.queues;
        match lane {
            Lane::Sparse => !sparse.is_empty(),
            Lane::Bulk => !bulk.is_empty(),
        }
    }

    /// Writes payloads into a packet, as far as they fit. Those that waited too long are dropped.
    pub(crate) fn fill(&mut self, lane: Lane, limit: usize, out: &mut BytesMut, now: Mono) -> Vec<FlowId> {
        let mut written = vec![];
        while let Some(first) = self.queue(lane).front_mut() {
            if first.sent == 0 && now.since(first.since) > FLOW_PATIENCE {
                self.pop(lane);
                self.dropped.0 += 1;
                continue;
            }
            if out.len() + FLOW_HEAD > limit {
                break;
            }
            let room = limit - out.len() - FLOW_HEAD;
            let rest = first.data.len() - first.sent;
            // A payload that fits into the next packet is not cut for this one.
            if room < rest && (!written.is_empty() || room == 0) {
                break;
            }
            let piece = first.data.slice(first.sent..first.sent + rest.min(room));
            let (Ok(offset), Ok(len)) = (u16::try_from(first.sent), u16::try_from(first.data.len())) else { break };
            first.sent += piece.len();
            let (id, is_whole) = (first.id, first.sent == first.data.len());
            Frame::Flow { id, number: first.number, offset, len, data: piece }.write(out);
            written.push(id);
            if !is_whole {
                break;
            }
            self.pop(lane);
        }
        written
    }

    fn pop(&mut self, lane: Lane) {
        if let Some(first) = self.queue(lane).pop_front() {
            self.bytes -= first.data.len() + OVERHEAD;
        }
    }

    /// Takes in a piece.
    ///
    /// # Errors
    /// It lies outside of its payload.
    pub(crate) fn take(
        &mut self,
        key: (FlowId, u32),
        (offset, len): (u16, u16),
        data: Bytes,
        now: Mono,
    ) -> Result<(), Violation> {
        let (from, len) = (usize::from(offset), usize::from(len));
        let to = from + data.len();
        if to > len || len > MAX_FLOW_PAYLOAD || (data.is_empty() && len > 0) {
            return Err(Violation::new("a piece outside of its payload"));
        }
        if data.len() == len {
            self.arrive(key.0, data);
            return Ok(());
        }
        if !self.partial.contains_key(&key) && self.partial.len() >= MAX_PARTIAL {
            let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.since).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.partial.remove(&oldest));
            self.dropped.1 += 1;
        }
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            data: BytesMut::zeroed(len),
            have: Ranges::default(),
            missing: len,
            since: now,
        });
        let range = u64::from(offset)..u64::try_from(to).unwrap_or(u64::MAX);
        let Some(place) = partial.data.get_mut(from..to) else {
            return Err(Violation::new("a piece outside of its payload"));
        };
        if partial.have.insert(range) {
            place.copy_from_slice(&data);
            partial.missing -= data.len();
        }
        if partial.missing == 0
            && let Some(partial) = self.partial.remove(&key)
        {
            self.arrive(key.0, partial.data.freeze());
        }
        Ok(())
    }

    fn arrive(&mut self, id: FlowId, data: Bytes) {
        if self.arrived.len() >= MAX_ARRIVED || self.arrived_bytes + data.len() > MAX_ARRIVED_BYTES {
            self.dropped.1 += 1;
            return;
        }
        self.arrived_bytes += data.len();
        self.arrived.push_back((id, data));
    }

    /// The next payload that arrived.
    pub(crate) fn poll_arrived(&mut self) -> Option<(FlowId, Bytes)> {
        let (id, data) = self.arrived.pop_front()?;
        self.arrived_bytes -= data.len();
        Some((id, data))
    }

    pub(crate) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }
}
