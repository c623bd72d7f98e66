//! The end-to-end handshake: TLS 1.3 with the node keys, and packet keys derived from it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use bytes::BytesMut;
use meshline_protocol::NodeId;
use meshline_tunnel::{Keys, Open, Role, Seal, Session, TAG};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::tls::proved;

/// What the exporter is asked for (RFC 8446, 7.5): a name nobody else uses.
const LABEL: &[u8] = b"EXPORTER-meshline-tunnel-1";

/// Bytes of a secret, from which a key, an IV and the next secret are derived (as RFC 9001, 6.1 does).
const SECRET: usize = 32;

/// A handshake with one member.
pub(super) struct TlsSession {
    connection: Connection,
    role: Role,
    expected: NodeId,
    is_done: bool,
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsSession").field("role", &self.role).finish_non_exhaustive()
    }
}

impl TlsSession {
    /// The side that opens the tunnel.
    pub(super) fn opener(config: &Arc<ClientConfig>, expected: NodeId) -> Result<Self, rustls::Error> {
        let name = ServerName::try_from("meshline").map_err(|error| rustls::Error::General(error.to_string()))?;
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        Ok(Self { connection: connection.into(), role: Role::Opener, expected, is_done: false })
    }

    /// The other side.
    pub(super) fn acceptor(config: &Arc<ServerConfig>, expected: NodeId) -> Result<Self, rustls::Error> {
        let connection = ServerConnection::new(Arc::clone(config))?;
        Ok(Self { connection: connection.into(), role: Role::Acceptor, expected, is_done: false })
    }

    fn derive(&self) -> Result<Keys, String> {
        let mut secrets = [0; 2 * SECRET];
        let exported = self.connection.export_keying_material(&mut secrets, LABEL, None);
        exported.map_err(|error| error.to_string())?;
        let (opener, acceptor) = secrets.split_at(SECRET);
        let (own, other) = if self.role == Role::Opener { (opener, acceptor) } else { (acceptor, opener) };
        let suite = self.connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = match suite {
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => Cipher::ChaCha20,
            _ => Cipher::Aes128,
        };
        let failed = || "the packet keys could not be made".to_owned();
        let seal = PacketKey::new(cipher, own).ok_or_else(failed)?;
        let open = PacketKey::new(cipher, other).ok_or_else(failed)?;
        Ok(Keys { seal: Box::new(seal), open: Box::new(open) })
    }
}

impl Session for TlsSession {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        while self.connection.wants_write() {
            self.connection.write_tls(out).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            // Once the other side has said goodbye nothing is taken any more.
            if self.connection.read_tls(&mut bytes).map_err(|error| error.to_string())? == 0 {
                return Err("the handshake goes on behind its end".to_owned());
            }
            self.connection.process_new_packets().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<Option<Keys>, String> {
        if self.is_done || self.connection.is_handshaking() {
            return Ok(None);
        }
        self.is_done = true;
        let found = proved(self.connection.peer_certificates()).map_err(|error| error.to_string())?;
        if found != self.expected {
            return Err(format!("expected {}, found {found}", self.expected));
        }
        self.derive().map(Some)
    }
}

/// How packets are sealed: as TLS would.
#[derive(Clone, Copy, Debug)]
enum Cipher {
    Aes128,
    ChaCha20,
}

impl Cipher {
    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128 => &aead::AES_128_GCM,
            Self::ChaCha20 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// The key of one direction, and what the next is made of.
#[derive(Clone)]
struct PacketKey {
    cipher: Cipher,
    key: Arc<LessSafeKey>,
    iv: [u8; 12],
    next: [u8; SECRET],
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PacketKey").field("cipher", &self.cipher).finish_non_exhaustive()
    }
}

/// How many bytes are derived.
#[derive(Clone, Copy)]
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

impl PacketKey {
    fn new(cipher: Cipher, secret: &[u8]) -> Option<Self> {
        let (mut key, mut iv, mut next) = ([0; 32], [0; 12], [0; SECRET]);
        let key = key.get_mut(..cipher.algorithm().key_len())?;
        expand(secret, b"meshline key", key)?;
        expand(secret, b"meshline iv", &mut iv)?;
        expand(secret, b"meshline next", &mut next)?;
        let key = Arc::new(LessSafeKey::new(UnboundKey::new(cipher.algorithm(), key).ok()?));
        Some(Self { cipher, key, iv, next })
    }

    fn nonce(&self, nonce: meshline_tunnel::Nonce) -> Nonce {
        let mut mixed = self.iv;
        mixed.iter_mut().zip(nonce).for_each(|(byte, other)| *byte ^= other);
        Nonce::assume_unique_for_key(mixed)
    }

    fn following(&self) -> Self {
        // It was derived once with the same lengths, which is all that can fail.
        Self::new(self.cipher, &self.next).unwrap_or_else(|| self.clone())
    }
}

fn expand(secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    prk.expand(&[label], Len(out.len())).ok()?.fill(out).ok()
}

impl Seal for PacketKey {
    fn seal(&self, nonce: meshline_tunnel::Nonce, packet: &mut BytesMut, clear: usize) -> bool {
        let Some((head, body)) = packet.split_at_mut_checked(clear) else { return false };
        match self.key.seal_in_place_separate_tag(self.nonce(nonce), Aad::from(&*head), body) {
            Ok(tag) => {
                packet.extend_from_slice(tag.as_ref());
                true
            }
            Err(_) => false,
        }
    }

    fn next(&self) -> Box<dyn Seal> {
        Box::new(self.following())
    }
}

impl Open for PacketKey {
    fn open(&self, nonce: meshline_tunnel::Nonce, packet: &mut BytesMut, clear: usize) -> bool {
        let Some(len) = packet.len().checked_sub(TAG) else { return false };
        let Some((head, body)) = packet.split_at_mut_checked(clear) else { return false };
        let is_genuine = self.key.open_in_place(self.nonce(nonce), Aad::from(&*head), body).is_ok();
        packet.truncate(len);
        is_genuine
    }

    fn next(&self) -> Box<dyn Open> {
        Box::new(self.following())
    }
}
