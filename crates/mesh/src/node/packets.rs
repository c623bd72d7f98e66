//! Datagrams of UDP sockets: which area they belong to.

use std::net::SocketAddr;

use bytes::Bytes;
use meshline_protocol::frame::decode_datagram;
use meshline_protocol::{Code, Decoded, Message};

use super::Node;
use crate::input::SocketId;
use crate::nat::STUN_BELOW;

impl Node {
    /// STUN and frames without an attempt are questions about addresses; frames with one belong to an attempt.
    pub(super) fn on_packet(&mut self, socket: SocketId, from: SocketAddr, bytes: &Bytes) {
        if bytes.first().is_some_and(|first| *first < STUN_BELOW) {
            self.nat.handle_stun(socket, from, bytes, &mut self.shared);
            return;
        }
        let Ok(Decoded::Frame(frame)) = decode_datagram(bytes) else {
            self.shared.count(Code::InvalidFrame);
            return;
        };
        let Message::Time(time) = frame.message else {
            self.shared.count(Code::UnexpectedMessage);
            return;
        };
        match time.attempt {
            Some(number) => self.punch.handle_packet((socket, from), number, bytes, &mut self.shared),
            None => self.nat.handle_time(socket, from, &time, &mut self.shared),
        }
    }
}
