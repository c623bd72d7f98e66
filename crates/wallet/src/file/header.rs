//! The first line of a wallet file: its version and how the key that opens it comes from the passphrase.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{FileError, Passphrase};

/// The version that is written, and the only one so far.
pub const VERSION: u32 = 1;

/// Longest header looked at, in bytes with its line end; one that is written has about 190.
pub const MAX_HEADER: usize = 512;

/// Most memory a file may ask for, in KiB: a quarter of a GiB, which a small board has. A file from elsewhere must not
/// bring down who opens it.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// Most passes a file may ask for: with [`MAX_MEMORY_KIB`] some seconds.
pub const MAX_PASSES: u32 = 16;

/// Most lanes a file may ask for. They are worked off one after the other here, so more of them help nobody.
pub const MAX_LANES: u32 = 4;

/// Argon2id's own least: eight blocks a lane.
const MIN_MEMORY_PER_LANE_KIB: u32 = 8;

/// What it costs to try a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// What new files are written with: the second recommendation of RFC 9106, with one lane because they are worked
    /// off one after the other. A fifth of a second here, and 64 MiB for each try of whoever stole the file.
    pub const NORMAL: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// The least Argon2id allows. For tests: it protects nothing.
    pub const LEAST: Self = Self { memory_kib: MIN_MEMORY_PER_LANE_KIB, passes: 1, lanes: 1 };

    /// Whether it lies within the bounds.
    #[must_use]
    pub const fn is_bounded(self) -> bool {
        let Self { memory_kib, passes, lanes } = self;
        passes >= 1
            && passes <= MAX_PASSES
            && lanes >= 1
            && lanes <= MAX_LANES
            && memory_kib >= MIN_MEMORY_PER_LANE_KIB * lanes
            && memory_kib <= MAX_MEMORY_KIB
    }
}

/// What is public of a wallet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cost: Cost,
    pub(super) salt: [u8; 16],
    pub(super) nonce: [u8; 24],
}

/// The header as JSON. Its very bytes are authenticated.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    meshline_wallet: u32,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
}

/// What every version's header has.
#[derive(Deserialize)]
struct AnyVersion {
    meshline_wallet: u32,
}

const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20poly1305";

impl Header {
    /// The line with its end.
    pub(super) fn to_line(&self) -> String {
        let Self { cost, salt, nonce } = self;
        let line = Line {
            meshline_wallet: VERSION,
            kdf: KDF.to_owned(),
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: BASE64.encode(salt),
            cipher: CIPHER.to_owned(),
            nonce: BASE64.encode(nonce),
        };
        serde_json::to_string(&line).map(|json| json + "\n").unwrap_or_default()
    }

    pub(super) fn parse(line: &[u8]) -> Result<Self, FileError> {
        let any: AnyVersion = serde_json::from_slice(line).map_err(|_| FileError::Damaged)?;
        if any.meshline_wallet != VERSION {
            return Err(FileError::Version(any.meshline_wallet));
        }
        let line: Line = serde_json::from_slice(line).map_err(|_| FileError::Damaged)?;
        if line.kdf != KDF || line.cipher != CIPHER {
            return Err(FileError::Damaged);
        }
        let cost = Cost { memory_kib: line.memory_kib, passes: line.passes, lanes: line.lanes };
        if !cost.is_bounded() {
            return Err(FileError::TooCostly(cost));
        }
        Ok(Self { cost, salt: bytes(&line.salt)?, nonce: bytes(&line.nonce)? })
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], FileError> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| FileError::Damaged)?;
    bytes.try_into().map_err(|_| FileError::Damaged)
}

/// The key that a passphrase gives with this salt at this cost. The memory used is wiped.
pub(super) fn derive_key(
    passphrase: &Passphrase,
    salt: &[u8; 16],
    cost: Cost,
) -> Result<Zeroizing<[u8; 32]>, FileError> {
    let refused = |_| FileError::TooCostly(cost);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(params.block_count()).map_err(|_| FileError::TooCostly(cost))?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.bytes(), salt, key.as_mut_slice(), memory.as_mut_slice())
        .map_err(refused)?;
    Ok(key)
}
