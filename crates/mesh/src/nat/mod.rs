//! What is known of address translation between here and the others: addresses as others see them, and how the
//! translation behaves. Evidence, never a reason to give up.

use std::net::SocketAddr;

use bytes::Bytes;
use meshline_protocol::message::TimeFrame;

use crate::input::SocketId;
use crate::shared::Shared;

/// The first byte of a STUN message is below this (RFC 9443 §2).
pub(crate) const STUN_BELOW: u8 = 4;

/// How the port seen outside follows from the socket inside (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// Not enough has been seen.
    #[default]
    Unknown,
    /// One port outside for all destinations, or no translation.
    Independent,
    /// Another port for each destination.
    Dependent {
        /// From one destination to the next, if the ports are counted up.
        step: Option<i32>,
    },
}

/// Where this node may be reached by UDP, and what is known of the way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Addresses of this host.
    pub(crate) host: Vec<SocketAddr>,
    /// Addresses at which others saw it, the latest first.
    pub(crate) reflexive: Vec<SocketAddr>,
    /// Addresses that a router forwards here, verified from outside.
    pub(crate) mapped: Vec<SocketAddr>,
    /// How ports outside are chosen.
    pub(crate) mapping: Mapping,
}

/// The evidence.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    candidates: Candidates,
}

impl Nat {
    /// The addresses of this host with the port of its UDP socket.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.candidates.host = addresses;
    }

    /// Where this node may be reached, as far as it is known now.
    pub(crate) fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// Whether the addresses seen from outside are to be kept fresh: while a peer is punched, or wants to be.
    pub(crate) fn keep_fresh(&mut self, _: bool, _: &mut Shared) {}

    /// A time frame without an attempt: a question about an address, or the answer to one.
    pub(crate) fn handle_time(&mut self, _: SocketId, _: SocketAddr, frame: &TimeFrame, _: &mut Shared) {
        let Some(seen) = frame.seen.as_ref().and_then(|seen| seen.as_str().parse::<SocketAddr>().ok()) else { return };
        let candidates = &mut self.candidates;
        candidates.mapping = match candidates.reflexive.first() {
            None => Mapping::Unknown,
            Some(before) if *before == seen => Mapping::Independent,
            Some(before) => {
                let step = i32::from(seen.port()) - i32::from(before.port());
                Mapping::Dependent { step: Some(step).filter(|step| step.abs() <= 4) }
            }
        };
        candidates.reflexive.retain(|other| *other != seen);
        candidates.reflexive.insert(0, seen);
        candidates.reflexive.truncate(4);
    }

    /// A STUN message.
    pub(crate) fn handle_stun(&mut self, _: SocketId, _: SocketAddr, _: &Bytes, _: &mut Shared) {}
}
