//! The connection of an attempt, begun with its first packets: if that is where the way is found, it costs no round trip.
//!
//! A handshake is more than three small packets, so it goes only where the host is known to be the peer's.

use std::net::SocketAddr;

use super::super::Cx;
use super::super::offer::Told;
use super::{Run, Step, Way};
use crate::input::SocketId;
use crate::now::Mono;

/// A connection that was begun before a round trip was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Mono,
    way: Way,
    /// Something came from there.
    heard: bool,
}

impl Run {
    /// The connection is begun with the first packet that is to arrive: at the likeliest address.
    pub(super) fn begin_told(&mut self, cx: &Cx<'_>) -> Option<Step> {
        let (peer, now) = (self.start.peer, cx.shared.now.mono);
        let is_theirs = |to: &SocketAddr| cx.hosts.is_confirmed(peer, to.ip(), now);
        let told = self.start.targets.iter().filter(|(_, told)| *told == Told::Far).map(|(to, _)| *to);
        let to = told.filter(|_| self.begun.is_none()).find(is_theirs)?;
        self.begin((self.start.socket, to), false, cx)
    }

    /// Or where the peer was heard, if that is elsewhere.
    pub(super) fn begin_heard(&mut self, at: (SocketId, SocketAddr), cx: &Cx<'_>) -> Option<Step> {
        if let Some(begun) = self.begun.as_mut() {
            let is_there = (begun.way.socket, begun.way.remote) == at;
            if begun.heard || is_there {
                begun.heard |= is_there;
                return None;
            }
        }
        self.begin(at, true, cx)
    }

    /// Where the host is known to be the peer's.
    fn begin(&mut self, (socket, remote): (SocketId, SocketAddr), heard: bool, cx: &Cx<'_>) -> Option<Step> {
        let (peer, now) = (self.start.peer, cx.shared.now.mono);
        // The smaller id opens the connection.
        let is_ours = cx.shared.id < peer && self.best.is_none() && !self.over;
        if !is_ours || !cx.hosts.is_confirmed(peer, remote.ip(), now) {
            return None;
        }
        let rtt_us = self.start.rtt_us.unwrap_or(0);
        let way = Way { socket, remote, rtt_us, kind: self.kind(socket, remote) };
        self.begun = Some(Begun { at: now, way, heard });
        Some(Step::Begin(way))
    }

    /// Whether the connection that was begun is the one for this way. One that is much older has lost packets and waits
    /// long between the next.
    pub(in crate::punch) fn has_begun(&self, way: Way, now: Mono) -> bool {
        self.quic.is_some()
            && self.begun.is_some_and(|begun| {
                let is_it = (begun.way.socket, begun.way.remote) == (way.socket, way.remote);
                is_it && now.micros_since(begun.at) <= way.rtt_us.max(begun.way.rtt_us).saturating_mul(2)
            })
    }

    /// The way of the connection: what was measured, or where it was begun.
    pub(in crate::punch) fn way(&self) -> Option<Way> {
        self.best.or_else(|| self.begun.map(|begun| begun.way))
    }
}
