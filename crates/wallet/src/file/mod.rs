//! The wallet file: a line of JSON, the sealed secrets, and a checksum over both.
//!
//! The line says how the key comes from the passphrase (Argon2id); under that key XChaCha20-Poly1305 seals the secrets
//! and vouches for the very bytes of the line. The checksum (SHA-256) at the end has nothing to do with secrecy: it
//! tells a file that a disk has damaged from one that the passphrase does not open. Whoever alters a file on purpose can
//! make a checksum that fits, and is then answered like a wrong passphrase: nobody can tell those two apart.

mod disk;
mod header;

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use disk::{MAX_FILE, Place, PlaceError};
pub use header::{Cost, MAX_HEADER, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, VERSION};

use crate::random::{NoRandom, Random};
use crate::secrets::{SECRETS, Secrets};
use header::{Header, derive_key};

/// Longest passphrase, in bytes: a page of text, so that an environment gone wrong is not hashed for minutes.
pub const MAX_PASSPHRASE: usize = 4096;

const CHECKSUM: usize = 32;
const TAG: usize = 16;

/// Why the content of a file was refused, or none could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Something else altogether.
    #[error("not a wallet file")]
    NotAWallet,
    /// The checksum does not fit, or what it covers was never written by a wallet.
    #[error("the wallet file is damaged; restore the wallet from its phrase, or the file from a copy")]
    Damaged,
    /// Of a version that is not known.
    #[error("the wallet file is of version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// It asks for more memory or time than anything should take, or for less than protects.
    #[error(
        "the wallet file asks for {} KiB of memory, {} passes and {} lanes, which is outside of what is allowed",
        .0.memory_kib, .0.passes, .0.lanes
    )]
    TooCostly(Cost),
    /// The passphrase does not open it.
    #[error("the passphrase does not open the wallet file (or somebody altered the file on purpose)")]
    WrongPassphrase,
    /// A passphrase that protects nothing, or too long a one.
    #[error("a passphrase has 1 to {MAX_PASSPHRASE} bytes")]
    BadPassphrase,
    /// No random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// What opens a wallet file. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase")
    }
}

impl Passphrase {
    /// A passphrase as it was typed.
    ///
    /// # Errors
    /// If it is empty or longer than [`MAX_PASSPHRASE`].
    pub fn new(text: String) -> Result<Self, FileError> {
        let text = Zeroizing::new(text);
        let fits = !text.is_empty() && text.len() <= MAX_PASSPHRASE;
        if fits { Ok(Self(text)) } else { Err(FileError::BadPassphrase) }
    }

    /// As it was typed: for handing it to whoever opens the wallet, and for nobody else.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What seals and opens one file: the key of its passphrase. Making one costs what the file says, using it nothing.
pub struct Sealer {
    cost: Cost,
    salt: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealer").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Sealer {
    /// For a new file.
    ///
    /// # Errors
    /// If the cost is out of bounds, or there are no random bytes.
    pub fn new(passphrase: &Passphrase, cost: Cost, random: &mut dyn Random) -> Result<Self, FileError> {
        if !cost.is_bounded() {
            return Err(FileError::TooCostly(cost));
        }
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let key = derive_key(passphrase, &salt, cost)?;
        Ok(Self { cost, salt, key })
    }

    /// The bytes of a file that holds `secrets`.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn seal(&self, secrets: &Secrets, random: &mut dyn Random) -> Result<Vec<u8>, FileError> {
        // Drawn anew each time; 24 random bytes never meet again.
        let mut nonce = [0; 24];
        random.fill(&mut nonce)?;
        let line = Header { cost: self.cost, salt: self.salt, nonce }.to_line();
        let mut sealed = Zeroizing::new(Vec::with_capacity(SECRETS + TAG));
        sealed.extend_from_slice(secrets.to_bytes().as_slice());
        self.cipher()
            .encrypt_in_place(&XNonce::from(nonce), line.as_bytes(), &mut *sealed)
            .map_err(|_| FileError::Damaged)?;
        let mut file = line.into_bytes();
        file.extend_from_slice(&sealed);
        let checksum = Sha256::digest(&file);
        file.extend_from_slice(&checksum);
        Ok(file)
    }

    /// Opens the bytes of a file.
    ///
    /// # Errors
    /// [`FileError`]. The cost is not spent on a damaged file.
    pub fn open(file: &[u8], passphrase: &Passphrase) -> Result<(Self, Secrets), FileError> {
        let (line, sealed) = parts(file)?;
        let Header { cost, salt, nonce } = Header::parse(line)?;
        let sealer = Self { cost, salt, key: derive_key(passphrase, &salt, cost)? };
        let mut opened = Zeroizing::new(sealed.to_vec());
        sealer
            .cipher()
            .decrypt_in_place(&XNonce::from(nonce), line, &mut *opened)
            .map_err(|_| FileError::WrongPassphrase)?;
        let secrets = Secrets::from_bytes(&opened).ok_or(FileError::Damaged)?;
        Ok((sealer, secrets))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

/// The line with its end and what is sealed, if the checksum fits.
fn parts(file: &[u8]) -> Result<(&[u8], &[u8]), FileError> {
    let end = file.iter().take(MAX_HEADER).position(|byte| *byte == b'\n').ok_or(FileError::NotAWallet)?;
    if !file.starts_with(b"{\"meshline_wallet\":") {
        return Err(FileError::NotAWallet);
    }
    let covered = file.len().checked_sub(CHECKSUM).filter(|covered| *covered > end).ok_or(FileError::Damaged)?;
    let (content, checksum) = file.split_at(covered);
    if Sha256::digest(content).as_slice() != checksum {
        return Err(FileError::Damaged);
    }
    Ok(content.split_at(end + 1))
}
