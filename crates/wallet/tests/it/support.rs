//! What the tests share: random bytes that repeat, and short ways to make things.

use std::path::{Path, PathBuf};

use meshline_ledger::{Amount, Lock};
use meshline_wallet::file::Cost;
use meshline_wallet::random::{NoRandom, Random};
use meshline_wallet::verbs::Access;
use meshline_wallet::{Address, Passphrase, Phrase, Prefix, Wallet};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random bytes from a seed.
pub(crate) struct Seeded(pub(crate) ChaCha8Rng);

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// A source that has nothing to give.
pub(crate) struct Dry;

impl Random for Dry {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), NoRandom> {
        Err(NoRandom)
    }
}

pub(crate) const PHRASE: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

pub(crate) fn prefix() -> Prefix {
    Prefix::parse("mesh").unwrap()
}

pub(crate) fn address(lock: Lock) -> Address {
    Address { prefix: prefix(), lock }
}

/// A lock of which nobody has the key.
pub(crate) fn stranger(number: u8) -> Lock {
    Lock::KeyHash([number; 20])
}

pub(crate) fn coins(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(crate) fn units(units: u64) -> Amount {
    Amount::from_units(units).unwrap()
}

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new("correct horse".to_owned()).unwrap()
}

pub(crate) fn phrase() -> Phrase {
    Phrase::parse(PHRASE).unwrap()
}

pub(crate) fn wallet() -> Wallet {
    Wallet::of_phrase(&phrase())
}

/// A wallet's file in a folder of its own, and what opens it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    passphrase: Passphrase,
    random: Seeded,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::seeded(7)
    }

    /// One whose wallet is another than those of other seeds.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), passphrase: passphrase(), random: Seeded::new(seed) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("wallet")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Calls `verb` with what it needs to open this wallet.
    pub(crate) fn open<T>(&mut self, verb: impl FnOnce(&mut Access<'_>) -> T) -> T {
        let path = self.path();
        verb(&mut Access { path: &path, passphrase: &self.passphrase, cost: Cost::LEAST, random: &mut self.random })
    }
}
