//! The paths of a tunnel: which there are, which answer, and which one the next packet takes.

use std::sync::Arc;
use std::time::Duration;

use meshline_mesh::Mono;
use meshline_protocol::NodeId;

use crate::channel::{Carried, Channel};
use crate::limits::{MAX_CHANNELS, MAX_PATHS};
use crate::stream::Lane;

/// A way to the other end, as routing knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The members on it: the first is linked with us, the last is the other end.
    pub hops: Arc<[NodeId]>,
    /// Expected delivery time of a packet in microseconds.
    pub cost_us: u64,
    /// It is one link, encrypted, whose other end is the other end of the tunnel: packets need no sealing.
    pub is_private: bool,
}

#[derive(Debug)]
struct Slot {
    info: PathInfo,
    /// It did not answer in time: it is tried, and used only if there is no other.
    is_doubted: bool,
    /// The link it begins with takes no more bulk for now.
    is_blocked: bool,
}

/// All paths with their channels.
#[derive(Debug)]
pub(crate) struct Paths {
    slots: [Option<Slot>; MAX_PATHS],
    channels: Vec<Channel>,
}

/// The channel of a path for a lane.
fn channel_number(slot: usize, lane: Lane) -> usize {
    slot * 2 + usize::from(lane == Lane::Bulk)
}

impl Paths {
    pub(crate) fn new(now: Mono) -> Self {
        Self { slots: [const { None }; MAX_PATHS], channels: (0..MAX_CHANNELS).map(|_| Channel::new(now)).collect() }
    }

    /// Uses these paths from now on. What was under way on those that are gone is handed out.
    pub(crate) fn set(&mut self, infos: &[PathInfo], now: Mono) -> Vec<Carried> {
        let mut lost = vec![];
        // A link that came in the place of another has not been filled yet.
        self.unblock();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let Some(used) = slot else { continue };
            if let Some(info) = infos.iter().find(|info| info.hops == used.info.hops) {
                used.info = info.clone();
            } else {
                *slot = None;
                for lane in [Lane::Sparse, Lane::Bulk] {
                    if let Some(channel) = self.channels.get_mut(channel_number(number, lane)) {
                        lost.extend(channel.abandon());
                    }
                }
            }
        }
        for info in infos {
            if self.slots.iter().flatten().any(|slot| slot.info.hops == info.hops) {
                continue;
            }
            let Some(free) = self.slots.iter().position(Option::is_none) else { break };
            for lane in [Lane::Sparse, Lane::Bulk] {
                if let Some(channel) = self.channels.get_mut(channel_number(free, lane)) {
                    lost.extend(channel.take_over(Some(Duration::from_micros(info.cost_us.saturating_mul(2))), now));
                }
            }
            if let Some(slot) = self.slots.get_mut(free) {
                *slot = Some(Slot { info: info.clone(), is_doubted: false, is_blocked: false });
            }
        }
        lost
    }

    pub(crate) fn channel(&self, number: usize) -> Option<&Channel> {
        self.channels.get(number)
    }

    pub(crate) fn channel_mut(&mut self, number: usize) -> Option<&mut Channel> {
        self.channels.get_mut(number)
    }

    /// The path of a channel, if it has one.
    pub(crate) fn info(&self, channel: usize) -> Option<&PathInfo> {
        self.slots.get(channel / 2)?.as_ref().map(|slot| &slot.info)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// The channels that have a path.
    pub(crate) fn used(&self) -> impl Iterator<Item = usize> {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
        used.flat_map(|(number, _)| [number * 2, number * 2 + 1])
    }

    /// The paths worth using, by the numbers of their slots: those that answer, or all if none does.
    fn candidates(&self) -> impl Iterator<Item = (usize, &PathInfo)> {
        let has_good = self.slots.iter().flatten().any(|slot| !slot.is_doubted);
        self.slots.iter().enumerate().filter_map(move |(number, slot)| {
            slot.as_ref().filter(|slot| !has_good || !slot.is_doubted).map(|slot| (number, &slot.info))
        })
    }

    /// The channel in which something small arrives first.
    pub(crate) fn quickest(&mut self) -> Option<usize> {
        let channels = self.candidates().filter_map(|(slot, _)| {
            let number = channel_number(slot, Lane::Sparse);
            let channel = self.channels.get(number)?;
            Some((channel.room() == 0, channel.tries, channel.rtt.smoothed(), number))
        });
        let (is_full, _, _, number) = channels.min()?;
        if is_full && let Some(channel) = self.channels.get_mut(number) {
            channel.window.note_full();
        }
        (!is_full).then_some(number)
    }

    /// The channel for an acknowledgement: the way on which the packets came if there is one, be it in doubt or not (it
    /// may be sound in one direction only as far as we know), or else the quickest. It needs no room.
    pub(crate) fn back(&self, from: Option<&NodeId>) -> Option<usize> {
        let same = self
            .slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|slot| from.is_some() && slot.info.hops.first() == from));
        let quickest = self.candidates().filter_map(|(slot, _)| {
            let channel = self.channels.get(channel_number(slot, Lane::Sparse))?;
            Some((channel.tries, channel.rtt.smoothed(), slot))
        });
        let slot = same.or_else(|| quickest.min().map(|(_, _, slot)| slot))?;
        Some(channel_number(slot, Lane::Sparse))
    }

    /// The n-th of the usable channels for small traffic, counted round.
    pub(crate) fn nth(&self, n: usize) -> Option<usize> {
        let numbers: Vec<usize> = self.candidates().map(|(slot, _)| channel_number(slot, Lane::Sparse)).collect();
        numbers.get(n.checked_rem(numbers.len())?).copied()
    }

    /// The channel in which the next packet of bulk arrives first, if it has room: of `backlog` bytes, it would be
    /// better to wait for a fast path than to send the last ones over a slow one.
    pub(crate) fn earliest(&mut self, backlog: u64) -> Option<usize> {
        let estimates: Vec<(u32, Duration, bool, usize)> = self
            .candidates()
            .filter_map(|(slot, _)| {
                let number = channel_number(slot, Lane::Bulk);
                let channel = self.channels.get(number)?;
                let size = u64::try_from(channel.packet_limit()).unwrap_or(0).min(backlog);
                Some((channel.tries, channel.delivery(size), channel.room() > 0, number))
            })
            .collect();
        let (_, _, _, best) = *estimates.iter().min()?;
        for (_, _, has_room, number) in &estimates {
            if !has_room && let Some(channel) = self.channels.get_mut(*number) {
                channel.window.note_full();
            }
        }
        let is_open = |(_, _, has_room, number): &&(_, _, bool, usize)| *has_room && !self.is_blocked(*number);
        let open = estimates.iter().filter(is_open).min().copied();
        let (_, delivery, _, chosen) = open?;
        if chosen == best {
            return Some(chosen);
        }
        let waits = self.channels.get(best).map(|channel| channel.delivery(backlog));
        waits.is_none_or(|waits| delivery <= waits).then_some(chosen)
    }

    /// The link to this member takes no more bulk until [`Paths::unblock`].
    pub(crate) fn block(&mut self, first: &NodeId) {
        let through = self.slots.iter_mut().flatten().filter(|slot| slot.info.hops.first() == Some(first));
        through.for_each(|slot| slot.is_blocked = true);
    }

    /// Links take bulk again, as far as is known.
    pub(crate) fn unblock(&mut self) {
        self.slots.iter_mut().flatten().for_each(|slot| slot.is_blocked = false);
    }

    fn is_blocked(&self, channel: usize) -> bool {
        self.slots.get(channel / 2).and_then(Option::as_ref).is_some_and(|slot| slot.is_blocked)
    }

    /// Doubts the path of a channel. Says whether there is another that answers.
    pub(crate) fn doubt(&mut self, channel: usize) -> bool {
        let Some(slot) = self.slots.get_mut(channel / 2).and_then(Option::as_mut) else { return false };
        slot.is_doubted = true;
        self.slots.iter().flatten().any(|slot| !slot.is_doubted)
    }

    /// The path of a channel answered.
    pub(crate) fn trust(&mut self, channel: usize) {
        if let Some(slot) = self.slots.get_mut(channel / 2).and_then(Option::as_mut) {
            slot.is_doubted = false;
        }
    }

    pub(crate) fn is_doubted(&self, channel: usize) -> bool {
        self.slots.get(channel / 2).and_then(Option::as_ref).is_some_and(|slot| slot.is_doubted)
    }

    /// The least smoothed round trip of the paths in use, in microseconds.
    pub(crate) fn least_rtt_us(&self) -> u64 {
        let rtts = self.candidates().filter_map(|(slot, _)| self.channels.get(channel_number(slot, Lane::Sparse)));
        let least = rtts.map(|channel| channel.rtt.smoothed()).min();
        least.map_or(100_000, |rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX))
    }
}
