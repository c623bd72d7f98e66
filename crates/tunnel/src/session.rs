//! What a tunnel needs of cryptography, which it does not do itself.

use std::fmt;

use bytes::BytesMut;

/// A nonce: the channel and the packet's number, so that none is used twice with one key.
pub type Nonce = [u8; 12];

/// The end-to-end handshake: bytes in, bytes out, keys at the end.
pub trait Session: Send + fmt::Debug {
    /// Appends what is to be sent to the other end.
    ///
    /// # Errors
    /// Why the handshake failed, in words.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), String>;

    /// Takes bytes of the other end, in order.
    ///
    /// # Errors
    /// Why the handshake failed, in words.
    fn read(&mut self, bytes: &[u8]) -> Result<(), String>;

    /// The keys, once, when both ends are known to be who they should be.
    ///
    /// # Errors
    /// Why the other end is refused, in words.
    fn keys(&mut self) -> Result<Option<Keys>, String>;
}

/// The keys of both directions.
#[derive(Debug)]
pub struct Keys {
    /// For what goes out.
    pub seal: Box<dyn Seal>,
    /// For what comes in.
    pub open: Box<dyn Open>,
}

/// Seals packets.
pub trait Seal: Send + fmt::Debug {
    /// Encrypts what stands behind the first `clear` bytes, which are bound to it, and appends a tag of
    /// [`crate::TAG`] bytes. `false` if that failed; the packet must not be sent then.
    #[must_use]
    fn seal(&self, nonce: Nonce, packet: &mut BytesMut, clear: usize) -> bool;

    /// The key after this one. What this one sealed cannot be opened with it.
    fn next(&self) -> Box<dyn Seal>;
}

/// Opens packets.
pub trait Open: Send + fmt::Debug {
    /// Decrypts what stands behind the first `clear` bytes and cuts off the tag. `false` if anything was altered; the
    /// packet is of no use then, and may be overwritten.
    #[must_use]
    fn open(&self, nonce: Nonce, packet: &mut BytesMut, clear: usize) -> bool;

    /// The key after this one.
    fn next(&self) -> Box<dyn Open>;
}

/// The nonce of a packet.
pub(crate) fn nonce(channel: u8, number: u64) -> Nonce {
    let mut nonce = [0; 12];
    let (front, back) = nonce.split_at_mut(4);
    if let Some(last) = front.last_mut() {
        *last = channel;
    }
    back.copy_from_slice(&number.to_be_bytes());
    nonce
}
