//! A handshake and a seal without cryptography: what is altered is noticed all the same.

use bytes::BytesMut;
use meshline_tunnel::{Keys, Nonce, Open, Role, Seal, Session, TAG};

/// Says hello twice each way, in a row.
#[derive(Debug)]
pub(crate) struct Fake {
    role: Role,
    said: u8,
    heard: Vec<u8>,
    is_done: bool,
}

const HELLO: [u8; 600] = [7; 600];

impl Fake {
    pub(crate) fn new(role: Role) -> Self {
        Self { role, said: 0, heard: vec![], is_done: false }
    }
}

impl Session for Fake {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let heard = self.heard.len() / HELLO.len();
        let due = match self.role {
            Role::Opener => heard + 1,
            Role::Acceptor => heard,
        };
        while usize::from(self.said) < due.min(2) {
            out.extend_from_slice(&HELLO);
            self.said += 1;
        }
        Ok(())
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.iter().any(|byte| *byte != 7) {
            return Err("not a hello".to_owned());
        }
        self.heard.extend_from_slice(bytes);
        Ok(())
    }

    fn keys(&mut self) -> Result<Option<Keys>, String> {
        let needed = if self.role == Role::Opener { 1 } else { 2 };
        let is_ready = self.heard.len() >= needed * HELLO.len() && !self.is_done;
        self.is_done |= is_ready;
        let (own, other) = if self.role == Role::Opener { (1, 2) } else { (2, 1) };
        Ok(is_ready.then(|| Keys { seal: Box::new(FakeKey(own)), open: Box::new(FakeKey(other)) }))
    }
}

/// A checksum instead of a tag.
#[derive(Debug)]
struct FakeKey(u64);

impl FakeKey {
    fn tag(&self, nonce: Nonce, bytes: &[u8]) -> [u8; TAG] {
        let mut sum = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for chunk in nonce.chunks(8).chain(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        let mut tag = [0; TAG];
        tag[..8].copy_from_slice(&sum.to_le_bytes());
        tag
    }
}

impl Seal for FakeKey {
    fn seal(&self, nonce: Nonce, packet: &mut BytesMut, _: usize) -> bool {
        let tag = self.tag(nonce, packet);
        packet.extend_from_slice(&tag);
        true
    }

    fn next(&self) -> Box<dyn Seal> {
        Box::new(Self(self.0 + 2))
    }
}

impl Open for FakeKey {
    fn open(&self, nonce: Nonce, packet: &mut BytesMut, clear: usize) -> bool {
        let Some(len) = packet.len().checked_sub(TAG).filter(|len| *len >= clear) else { return false };
        let tag = packet.split_off(len);
        tag[..] == self.tag(nonce, packet)
    }

    fn next(&self) -> Box<dyn Open> {
        Box::new(Self(self.0 + 2))
    }
}
