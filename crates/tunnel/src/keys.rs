//! Keys in use, and their change: each side changes its own sealing key after a number of packets, and says so by one
//! bit; the other side follows when the first packet opens with the next key.

use bytes::BytesMut;

use crate::limits::REKEY_PACKETS;
use crate::packet::{HEADER, Header};
use crate::session::{Keys, Open, Seal, nonce};

/// The keys of both directions.
#[derive(Debug)]
pub(crate) struct KeyRing {
    seal: Box<dyn Seal>,
    /// Packets sealed with it.
    sealed: u64,
    seal_generation: u64,
    open: Box<dyn Open>,
    next_open: Box<dyn Open>,
    /// For packets that were under way when the key changed.
    last_open: Option<Box<dyn Open>>,
    open_generation: u64,
}

impl KeyRing {
    pub(crate) fn new(keys: Keys) -> Self {
        let next_open = keys.open.next();
        Self {
            seal: keys.seal,
            sealed: 0,
            seal_generation: 0,
            open: keys.open,
            next_open,
            last_open: None,
            open_generation: 0,
        }
    }

    /// Whether the next packet says that the generation is odd.
    pub(crate) fn is_odd(&mut self) -> bool {
        if self.sealed >= REKEY_PACKETS {
            self.seal = self.seal.next();
            self.seal_generation += 1;
            self.sealed = 0;
        }
        self.seal_generation % 2 == 1
    }

    /// Seals a packet whose header is written.
    pub(crate) fn seal(&mut self, channel: u8, number: u64, packet: &mut BytesMut) -> bool {
        self.sealed += 1;
        self.seal.seal(nonce(channel, number), packet, HEADER)
    }

    /// Opens a packet in place; `false` if it is forged or too old.
    pub(crate) fn open(&mut self, header: &Header, packet: &mut BytesMut) -> bool {
        let nonce = nonce(header.channel, header.number);
        if header.is_odd_generation == (self.open_generation % 2 == 1) {
            return self.open.open(nonce, packet, HEADER);
        }
        let mut copy = packet.clone();
        if self.next_open.open(nonce, &mut copy, HEADER) {
            *packet = copy;
            self.last_open = Some(std::mem::replace(&mut self.open, self.next_open.next()));
            std::mem::swap(&mut self.open, &mut self.next_open);
            self.open_generation += 1;
            return true;
        }
        self.last_open.as_ref().is_some_and(|last| last.open(nonce, packet, HEADER))
    }

    /// How often either key was changed.
    pub(crate) fn generations(&self) -> (u64, u64) {
        (self.seal_generation, self.open_generation)
    }
}
