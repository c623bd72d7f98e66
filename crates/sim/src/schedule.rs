//! What happens when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use bytes::Bytes;
use meshline_mesh::{DialId, DialTarget, LinkId, RelayConnection, SignalRequest};
use meshline_protocol::signal::NodeList;
use meshline_protocol::{Code, Frame};
use meshline_services::chat::Ticket;

use crate::udp::{QuicDial, Transit};

/// A run of a node: results of an earlier run must not reach a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) node: usize,
    pub(crate) boot: u64,
}

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// The timer of a node.
    Timer(usize),
    /// The oldest parcel on its way to this end of a connection.
    Parcel(LinkId),
    /// A connection attempt reaches the address, or the proxy.
    Dial { run: Run, dial: DialId, target: DialTarget },
    /// An attempt has failed.
    DialFailed { run: Run, dial: DialId, code: Code, detail: &'static str },
    /// A UDP packet arrives.
    Packet { transit: Transit, bytes: Bytes },
    /// A packet of a QUIC handshake is due.
    QuicDial(QuicDial),
    /// A proxy learns that a connection of a pipe ended.
    RelayEnded { run: Run, connection: RelayConnection },
    /// A frame that was held is sent.
    Late { run: Run, link: LinkId, frame: std::sync::Arc<Frame> },
    /// A write is on disk.
    Kept { run: Run, ticket: Ticket },
    /// A request reaches a signal server.
    Signal { run: Run, url: String, request: SignalRequest },
    /// Its answer reaches the node.
    SignalAnswer { run: Run, url: String, result: Result<Box<NodeList>, String> },
}

impl Due {
    /// What it is and whom it is for, as a number.
    pub(crate) fn digest(&self) -> u64 {
        let of = |kind: u64, whom: u64| (kind << 56) ^ whom;
        let node = |run: &Run| u64::try_from(run.node).unwrap_or(u64::MAX);
        match self {
            Self::Timer(node) => of(1, u64::try_from(*node).unwrap_or(u64::MAX)),
            Self::Parcel(link) => of(2, link.0),
            Self::Dial { run, dial, .. } => of(3, node(run) ^ (dial.0 << 24)),
            Self::DialFailed { run, dial, .. } => of(4, node(run) ^ (dial.0 << 24)),
            Self::Packet { .. } => of(5, 0),
            Self::QuicDial(dial) => of(6, node(&dial.run)),
            Self::RelayEnded { run, .. } => of(7, node(run)),
            Self::Late { run, link, .. } => of(8, node(run) ^ (link.0 << 24)),
            Self::Kept { run, .. } => of(9, node(run)),
            Self::Signal { run, .. } => of(10, node(run)),
            Self::SignalAnswer { run, .. } => of(11, node(run)),
        }
    }
}

/// A place in the queue: the time, and among equals the order of entry.
pub(crate) type Place = (u64, u64);

/// The queue of what is due. Timers and parcels are nearly all of it and have queues of their own, of small entries.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    entered: u64,
    taken: u64,
    timers: BTreeSet<(Place, usize)>,
    parcels: BinaryHeap<Reverse<(Place, LinkId)>>,
    others: BTreeMap<Place, Due>,
}

impl Schedule {
    pub(crate) fn enter(&mut self, at: u64, due: Due) -> Place {
        self.entered += 1;
        let place = (at, self.entered);
        match due {
            Due::Timer(node) => {
                self.timers.insert((place, node));
            }
            Due::Parcel(link) => self.parcels.push(Reverse((place, link))),
            other @ (Due::Dial { .. }
            | Due::DialFailed { .. }
            | Due::Packet { .. }
            | Due::QuicDial(_)
            | Due::RelayEnded { .. }
            | Due::Late { .. }
            | Due::Kept { .. }
            | Due::Signal { .. }
            | Due::SignalAnswer { .. }) => {
                self.others.insert(place, other);
            }
        }
        place
    }

    /// Takes a timer out.
    pub(crate) fn cancel(&mut self, place: Place, node: usize) {
        self.timers.remove(&(place, node));
    }

    /// Takes the next that is due by `limit`.
    pub(crate) fn pop(&mut self, limit: u64) -> Option<(u64, Due)> {
        let timer = self.timers.first().map(|(place, _)| *place);
        let parcel = self.parcels.peek().map(|Reverse((place, _))| *place);
        let other = self.others.first_key_value().map(|(place, _)| *place);
        let first = [timer, parcel, other].into_iter().flatten().min().filter(|(at, _)| *at <= limit)?;
        let due = if timer == Some(first) {
            self.timers.pop_first().map(|(_, node)| Due::Timer(node))
        } else if parcel == Some(first) {
            self.parcels.pop().map(|Reverse((_, link))| Due::Parcel(link))
        } else {
            self.others.pop_first().map(|(_, due)| due)
        }?;
        self.taken += 1;
        Some((first.0, due))
    }

    /// When the next is due.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let timer = self.timers.first().map(|((at, _), _)| *at);
        let parcel = self.parcels.peek().map(|Reverse(((at, _), _))| *at);
        let other = self.others.first_key_value().map(|((at, _), _)| *at);
        [timer, parcel, other].into_iter().flatten().min()
    }

    /// So many timers were taken, of nodes that woke so often.
    pub(crate) fn note_wakes(&mut self, timers: u64, wakes: u64) {
        self.taken = self.taken.saturating_sub(timers) + wakes;
    }

    /// Taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    pub(crate) fn len(&self) -> usize {
        self.timers.len() + self.parcels.len() + self.others.len()
    }
}
