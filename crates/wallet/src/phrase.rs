//! The phrase: twelve to twenty-four English words that hold everything (BIP-39).

use std::fmt;

use bip39::{Error, Language, Mnemonic};
use zeroize::Zeroizing;

/// Random bytes behind a new phrase: twelve words. An ed25519 key is no stronger than 2^126 tries, so more words would
/// protect nothing more and be mistaken more often.
pub const ENTROPY: usize = 16;

/// Longest text looked at, in bytes: the longest phrase has 24 words of at most 8 letters.
pub const MAX_TEXT: usize = 1024;

/// Why a text is no phrase. None of them repeats a word of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not 12, 15, 18, 21 or 24 words.
    #[error("a phrase has 12, 15, 18, 21 or 24 words, not {0}")]
    Words(usize),
    /// A word that is not in the list.
    #[error("word {0} of the phrase is not in the English list of BIP-39")]
    Unknown(usize),
    /// All words are in the list, but they do not belong together.
    #[error("the words are known, but their checksum is wrong: one is mistaken, or two are swapped")]
    Checksum,
    /// Longer than [`MAX_TEXT`].
    #[error("no phrase is longer than {MAX_TEXT} bytes")]
    TooLong,
}

/// A phrase that is right in itself. It cannot be printed by accident and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Mnemonic);

impl fmt::Debug for Phrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Phrase")
    }
}

impl Phrase {
    /// The phrase of random bytes: 16, 20, 24, 28 or 32 of them, which must come from the system's random source.
    ///
    /// # Errors
    /// For any other number of bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, PhraseError> {
        Mnemonic::from_entropy(entropy).map(Self).map_err(|_| PhraseError::Words(entropy.len() / 4 * 3))
    }

    /// Reads a phrase as people write it: any white space, capitals allowed.
    ///
    /// # Errors
    /// [`PhraseError`]; words are counted from 1.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        if text.len() > MAX_TEXT {
            return Err(PhraseError::TooLong);
        }
        let mut text = Zeroizing::new(text.to_owned());
        text.make_ascii_lowercase();
        Mnemonic::parse_in_normalized(Language::English, &text).map(Self).map_err(|error| match error {
            Error::BadWordCount(count) => PhraseError::Words(count),
            Error::UnknownWord(index) => PhraseError::Unknown(index + 1),
            Error::InvalidChecksum | Error::BadEntropyBitCount(_) | Error::AmbiguousLanguages(_) => {
                PhraseError::Checksum
            }
        })
    }

    /// The words with one space between them.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
        for word in self.0.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The random bytes it was made of, and how many of the array they are.
    #[must_use]
    pub fn entropy(&self) -> (Zeroizing<[u8; 33]>, usize) {
        let (bytes, length) = self.0.to_entropy_array();
        (Zeroizing::new(bytes), length)
    }

    /// The seed all keys come from. `extra` is BIP-39's additional word, empty where there is none.
    #[must_use]
    pub fn seed(&self, extra: &str) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_seed_normalized(extra))
    }
}
