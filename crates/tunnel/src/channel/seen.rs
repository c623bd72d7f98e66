//! What was received on a channel: nothing is taken twice, and the other side is told.

use meshline_mesh::Mono;
use meshline_protocol::NodeId;

use crate::frame::{Ack, Violation};
use crate::limits::{ACK_BYTES, ACK_DELAY, ACK_PACKETS, MAX_ACK_RANGES, MAX_NUMBER_STEP, MAX_SEEN_RANGES};
use crate::ranges::Ranges;

/// The receiving half of a channel.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    numbers: Ranges,
    /// Numbers below this count as received.
    floor: u64,
    /// The newest number and when it came.
    newest: Option<(u64, Mono)>,
    /// Packets and bytes that were not acknowledged yet.
    waiting: (u32, u64),
    due: Option<Mono>,
    /// Who handed over the newest packet: the way back begins there, if it can.
    pub(crate) from: Option<NodeId>,
}

impl Seen {
    /// Whether a packet was not seen yet.
    ///
    /// # Errors
    /// It is so far ahead that nobody honest sent it.
    pub(crate) fn is_new(&self, number: u64) -> Result<bool, Violation> {
        let newest = self.newest.map_or(0, |(newest, _)| newest);
        if number > newest + MAX_NUMBER_STEP {
            return Err(Violation::new("a packet number far ahead"));
        }
        Ok(number >= self.floor && !self.numbers.contains(number))
    }

    /// Notes a packet.
    pub(crate) fn note(&mut self, number: u64, from: NodeId, now: Mono) {
        self.numbers.insert(number..number + 1);
        self.from = Some(from);
        if self.newest.is_none_or(|(newest, _)| number > newest) {
            self.newest = Some((number, now));
        }
        while self.numbers.len() > MAX_SEEN_RANGES {
            let Some(range) = self.numbers.pop_first() else { break };
            self.floor = self.floor.max(range.end);
        }
    }

    /// The packet wants an acknowledgement; soon, if it was small or others wait already.
    pub(crate) fn want_ack(&mut self, bytes: usize, is_out_of_order: bool, now: Mono) {
        self.waiting.0 += 1;
        self.waiting.1 += u64::try_from(bytes).unwrap_or(u64::MAX);
        let at_once = self.waiting.0 >= ACK_PACKETS || self.waiting.1 >= ACK_BYTES || is_out_of_order;
        let due = if at_once { now } else { now.after(ACK_DELAY) };
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// Whether a number is not the next one in the order.
    pub(crate) fn is_out_of_order(&self, number: u64) -> bool {
        self.newest.is_some_and(|(newest, _)| number != newest + 1)
    }

    /// When an acknowledgement has to go.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// The acknowledgement; it counts as sent.
    pub(crate) fn take_ack(&mut self, channel: u8, now: Mono) -> Option<Ack> {
        let (_, at) = self.newest?;
        self.due = None;
        self.waiting = (0, 0);
        let ranges = self.numbers.descending().take(MAX_ACK_RANGES).map(|range| (range.start, range.end - 1)).collect();
        Some(Ack { channel, delay_us: u32::try_from(now.micros_since(at)).unwrap_or(u32::MAX), ranges })
    }

    /// Whether anything waits to be acknowledged, due or not.
    pub(crate) fn has_waiting(&self) -> bool {
        self.due.is_some()
    }
}
