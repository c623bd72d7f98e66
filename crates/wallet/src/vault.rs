//! An open wallet and the file it is kept in.

use std::path::Path;

use crate::chain::{Chain, ChainError};
use crate::file::{Cost, FileError, Passphrase, Place, PlaceError, Sealer};
use crate::keys::GAP;
use crate::payment::Refusal;
use crate::phrase::{Phrase, PhraseError};
use crate::random::{NoRandom, Random};
use crate::wallet::Wallet;

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The file cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What it holds cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The phrase is none.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The ledger gave no answer, or a bad one.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<NoRandom> for WalletError {
    fn from(error: NoRandom) -> Self {
        Self::File(FileError::NoRandom(error))
    }
}

/// An open wallet, with the sole right to its file. What it hands out is on the disk before anybody learns of it.
#[derive(Debug)]
pub struct Vault {
    place: Place,
    sealer: Sealer,
    wallet: Wallet,
}

impl Vault {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// If there is none, another process uses it, or the passphrase does not open it.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, WalletError> {
        let place = Place::take(path)?;
        let (sealer, secrets) = Sealer::open(&place.read()?, passphrase)?;
        let wallet = Wallet::new(secrets).ok_or(FileError::Damaged)?;
        Ok(Self { place, sealer, wallet })
    }

    /// Opens the file at `path`, and looks for addresses in use beyond those handed out.
    ///
    /// # Errors
    /// As [`Vault::open`], or if the ledger does not answer.
    pub fn open_with(
        path: &Path,
        passphrase: &Passphrase,
        chain: &dyn Chain,
        random: &mut dyn Random,
    ) -> Result<Self, WalletError> {
        let mut vault = Self::open(path, passphrase)?;
        if vault.wallet.catch_up(chain, GAP)? {
            vault.save(random)?;
        }
        Ok(vault)
    }

    /// Makes a file at `path`, where none may be, for the wallet of a phrase as `fill` leaves it.
    ///
    /// # Errors
    /// If a file is there, or the system refuses; no file is left then.
    pub fn create(
        path: &Path,
        passphrase: &Passphrase,
        phrase: &Phrase,
        making: &mut Making<'_>,
    ) -> Result<Self, WalletError> {
        let place = Place::take(path)?;
        if place.is_present()? {
            return Err(PlaceError::Present(path.to_path_buf()).into());
        }
        let mut wallet = Wallet::of_phrase(phrase);
        (making.fill)(&mut wallet)?;
        let sealer = Sealer::new(passphrase, making.cost, making.random)?;
        place.create(&sealer.seal(wallet.secrets(), making.random)?)?;
        Ok(Self { place, sealer, wallet })
    }

    /// Writes what the wallet has handed out.
    ///
    /// # Errors
    /// If the system refuses; the file is then as it was.
    pub fn save(&self, random: &mut dyn Random) -> Result<(), WalletError> {
        let bytes = self.sealer.seal(self.wallet.secrets(), random)?;
        Ok(self.place.replace(&bytes)?)
    }

    /// The wallet.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The wallet, to be changed. [`Vault::save`] before anybody learns of what it hands out.
    pub const fn wallet_mut(&mut self) -> &mut Wallet {
        &mut self.wallet
    }
}

/// How a file is made.
pub struct Making<'a> {
    /// What it costs to try a passphrase.
    pub cost: Cost,
    /// Where random bytes come from.
    pub random: &'a mut dyn Random,
    /// What is done with the wallet before it is written.
    pub fill: &'a mut dyn FnMut(&mut Wallet) -> Result<(), WalletError>,
}

impl std::fmt::Debug for Making<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Making").field("cost", &self.cost).finish_non_exhaustive()
    }
}
