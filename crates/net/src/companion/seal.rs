//! Sealing and opening packets, and telling those that came before.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::BytesMut;
use meshline_protocol::Ticket;
use meshline_protocol::message::CompanionSealed;

/// How far behind the newest a packet may be: more than a busy path puts out of order.
const WINDOW: u64 = 1_024;
const WORDS: usize = 16;

/// The key of one direction.
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    pub(super) fn new(secret: &Ticket) -> Option<Self> {
        let key = digest(&SHA256, secret.as_str().as_bytes());
        Some(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?)))
    }

    pub(super) fn seal(&self, head: CompanionSealed, inside: &mut BytesMut) -> Option<()> {
        self.0.seal_in_place_append_tag(nonce(head), authenticated(head), inside).ok()
    }

    pub(super) fn open(&self, head: CompanionSealed, inside: &mut BytesMut) -> Option<()> {
        let length = self.0.open_in_place(nonce(head), authenticated(head), inside).ok()?.len();
        inside.truncate(length);
        Some(())
    }
}

fn nonce(head: CompanionSealed) -> Nonce {
    let [a, b, c, d, e, f, g, h] = head.number.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

fn authenticated(head: CompanionSealed) -> Aad<[u8; 12]> {
    let ([a, b, c, d], [e, f, g, h, i, j, k, l]) = (head.id.to_be_bytes(), head.number.to_be_bytes());
    Aad::from([a, b, c, d, e, f, g, h, i, j, k, l])
}

/// The numbers seen of late (RFC 6479): a ring of bits, of which one word is always about to be taken anew.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// One above the highest number seen.
    end: u64,
    bits: [u64; WORDS + 1],
}

impl Window {
    /// Whether a number has not been seen, and is not too old to tell.
    pub(super) fn is_new(&self, number: u64) -> bool {
        number >= self.end || (self.end - number <= WINDOW && self.word(number) & bit(number) == 0)
    }

    /// A packet with this number was genuine.
    pub(super) fn note(&mut self, number: u64) {
        let Some(end) = number.checked_add(1) else { return };
        if end > self.end {
            let first = self.end.div_ceil(64);
            let last = number / 64;
            // What lies between was not seen; of a long leap that is everything.
            let span = u64::try_from(self.bits.len()).unwrap_or(0);
            for word in first.max(last.saturating_sub(span - 1))..=last {
                self.set(word, |_| 0);
            }
            self.end = end;
        }
        self.set(number / 64, |bits| bits | bit(number));
    }

    fn word(&self, number: u64) -> u64 {
        self.bits.get(index(number / 64)).copied().unwrap_or(u64::MAX)
    }

    fn set(&mut self, word: u64, change: impl FnOnce(u64) -> u64) {
        if let Some(bits) = self.bits.get_mut(index(word)) {
            *bits = change(*bits);
        }
    }
}

fn index(word: u64) -> usize {
    usize::try_from(word % (WORDS as u64 + 1)).unwrap_or(0)
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}
