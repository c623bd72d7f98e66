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
        match decode_datagram(bytes) {
            Ok(Decoded::Frame(frame)) => self.on_datagram_frame((socket, from), &frame.message, bytes),
            Ok(Decoded::Unknown { .. }) => self.shared.count(Code::Other),
            Ok(Decoded::Invalid(fault)) | Err(fault) => self.shared.count(fault.code),
        }
    }

    fn on_datagram_frame(&mut self, (socket, from): (SocketId, SocketAddr), message: &Message, bytes: &Bytes) {
        if let Message::Time(time) = message {
            match time.attempt {
                Some(number) => self.punch.handle_packet((socket, from), number, bytes, &mut self.shared),
                None => self.nat.handle_time(socket, from, time, &mut self.shared),
            }
        } else if let Message::Peers(message) = message {
            self.on_peers_packet(from, message);
        } else if let Message::Error(error) = message {
            self.nat.handle_refusal(from, error, &mut self.shared);
        } else {
            self.shared.count(Code::UnexpectedMessage);
        }
    }
}
