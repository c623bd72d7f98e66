//! Datagrams of UDP sockets: which area they belong to.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Node;
use crate::input::SocketId;
use crate::nat::STUN_BELOW;

impl Node {
    /// STUN and frames without an attempt are questions about addresses; frames with one belong to an attempt.
    pub(super) fn on_packet(&mut self, socket: SocketId, from: SocketAddr, bytes: &Bytes) {
        if bytes.first().is_some_and(|first| *first < STUN_BELOW) {
            self.nat.handle_stun(socket, from, bytes, &mut self.shared);
        }
    }
}
