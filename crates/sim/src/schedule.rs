//! What happens when.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_mesh::{DialId, DialTarget, LinkId, RelayConnection, SignalRequest};
use meshline_protocol::Code;
use meshline_protocol::signal::NodeList;
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
    /// A write is on disk.
    Kept { run: Run, ticket: Ticket },
    /// A request reaches a signal server.
    Signal { run: Run, url: String, request: SignalRequest },
    /// Its answer reaches the node.
    SignalAnswer { run: Run, url: String, result: Result<Box<NodeList>, String> },
}

/// A place in the queue: the time, and among equals the order of entry.
pub(crate) type Place = (u64, u64);

/// The queue of what is due.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    entered: u64,
    due: BTreeMap<Place, Due>,
}

impl Schedule {
    pub(crate) fn enter(&mut self, at: u64, due: Due) -> Place {
        self.entered += 1;
        self.due.insert((at, self.entered), due);
        (at, self.entered)
    }

    pub(crate) fn cancel(&mut self, place: Place) {
        self.due.remove(&place);
    }

    /// Takes the next that is due by `limit`.
    pub(crate) fn pop(&mut self, limit: u64) -> Option<(u64, Due)> {
        let first = self.due.first_entry().filter(|entry| entry.key().0 <= limit)?;
        let ((at, _), due) = first.remove_entry();
        Some((at, due))
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
