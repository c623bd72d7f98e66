//! What a wallet file holds: the phrase's random bytes, and how many addresses were handed out.

use std::fmt;

use zeroize::Zeroizing;

use crate::phrase::Phrase;

/// Bytes of the sealed form: always the same number, so that the file's size tells nothing.
pub const SECRETS: usize = 1 + 32 + 4 + 4;

/// Everything a wallet has to remember. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    entropy: Zeroizing<[u8; 32]>,
    length: u8,
    /// Addresses handed out to be paid to.
    pub receive: u32,
    /// Addresses used for change.
    pub change: u32,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secrets")
            .field("receive", &self.receive)
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Of a phrase of which no address was handed out yet.
    #[must_use]
    pub fn new(phrase: &Phrase) -> Self {
        let (bytes, length) = phrase.entropy();
        let mut entropy = Zeroizing::new([0; 32]);
        entropy.iter_mut().zip(bytes.iter().take(length)).for_each(|(to, from)| *to = *from);
        Self { entropy, length: u8::try_from(length).unwrap_or_default(), receive: 0, change: 0 }
    }

    /// The phrase, if the bytes are one's.
    #[must_use]
    pub fn phrase(&self) -> Option<Phrase> {
        Phrase::from_entropy(self.entropy.get(..usize::from(self.length))?).ok()
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; SECRETS]> {
        let mut bytes = Zeroizing::new([0; SECRETS]);
        let (receive, change) = (self.receive.to_be_bytes(), self.change.to_be_bytes());
        let parts = [self.length].into_iter().chain(*self.entropy).chain(receive).chain(change);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first()?;
        let (entropy, rest) = rest.split_first_chunk::<32>()?;
        let (receive, rest) = rest.split_first_chunk()?;
        let change = rest.try_into().ok()?;
        let secrets = Self {
            entropy: Zeroizing::new(*entropy),
            length: *length,
            receive: u32::from_be_bytes(*receive),
            change: u32::from_be_bytes(change),
        };
        secrets.phrase().map(|_| secrets)
    }
}
