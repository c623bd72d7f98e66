//! Where the ledger of a node is kept, and why it cannot be used.
//!
//! In `data_dir/ledger`: `genesis.json` (the chain), `chain.redb` (its blocks and unspent outputs), `index.redb` (which
//! transactions concern whom; made anew whenever it is lost), `mempool.dat` and `own.dat` (what waits for a block).
//! The wallet is `data_dir/wallet`.

use std::path::{Path, PathBuf};

use meshline_ledger::chain::{OpenError, VerifyError};
use meshline_ledger::consensus::GenesisError;
use meshline_ledger::store::StoreError;
use meshline_ledger::{BlockHash, Genesis};
use meshline_wallet::{Address, AddressError, Prefix};

use crate::config::NodeConfig;
use crate::files::{self, FileError};

/// What addresses begin with before there is a chain that says so.
const PREFIX_WITHOUT_CHAIN: &str = "mesh";

/// Why the ledger of a node cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is none.
    #[error(
        "there is no ledger here ({path} is missing): make one with `node ledger create`, or name the genesis file of \
         another in the configuration: \"ledger\": {{\"genesis\": \"genesis.json\"}}",
        path = .0.display()
    )]
    None(PathBuf),
    /// The same where ledgers are followed and none is made.
    #[error(
        "there is no ledger here ({path} is missing): put the genesis file of one there, or name it as ledger.genesis",
        path = .0.display()
    )]
    NoneFollowed(PathBuf),
    /// It is followed and not kept here.
    #[error(
        "this member follows the ledger and keeps no blocks: GET /api/v1/ledger/light says how far it is, its wallet is \
         asked under /api/v1/wallet, and everything else of a node that keeps the ledger"
    )]
    Followed,
    /// It is kept here and not followed.
    #[error("this member keeps the whole ledger and follows nobody's: GET /api/v1/ledger says how it stands")]
    Kept,
    /// There is one already.
    #[error("{path}: there is a ledger already, of the chain {chain}", path = .path.display())]
    Present {
        /// Its genesis file.
        path: PathBuf,
        /// Which chain.
        chain: BlockHash,
    },
    /// The genesis file is wrong.
    #[error("{path}: not the genesis file of a ledger: {source}", path = .path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GenesisError,
    },
    /// A file cannot be used, or another process uses the folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The chain cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index failed.
    #[error("the index of the ledger: {0}")]
    Index(Box<redb::Error>),
    /// The unspent outputs could not be built anew.
    #[error("the unspent outputs were not built anew: {0}")]
    Rebuild(String),
    /// A block breaks a rule.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// An address that is none, or of another chain.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A mistake of whoever asks.
    #[error("{0}")]
    Wrong(String),
    /// It ends, or has more to do than it can.
    #[error("the ledger does not answer: {0}")]
    Silent(&'static str),
}

impl From<redb::Error> for LedgerError {
    fn from(error: redb::Error) -> Self {
        Self::Index(Box::new(error))
    }
}

impl LedgerError {
    /// Whether another process uses the ledger at the moment.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::File(FileError::Locked(_)))
    }
}

/// Where the ledger and the wallet of a node are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPlace {
    /// The genesis file.
    pub genesis: PathBuf,
    /// The folder of everything else.
    pub folder: PathBuf,
    /// The wallet's file.
    pub wallet: PathBuf,
    /// Whether filters are made of its blocks, and served to views.
    pub filters: bool,
    /// Whether ledgers are followed here, and none is kept.
    pub is_light: bool,
}

impl LedgerPlace {
    /// As a node's configuration has it.
    #[must_use]
    pub fn of(config: &NodeConfig) -> Self {
        let folder = config.ledger.data_dir.clone().unwrap_or_else(|| config.data_dir.join("ledger"));
        let genesis = config.ledger.genesis.clone().unwrap_or_else(|| folder.join("genesis.json"));
        let filters = config.ledger.filters.unwrap_or(true);
        let is_light = config.ledger.light;
        Self { genesis, folder, wallet: config.data_dir.join("wallet"), filters, is_light }
    }

    /// That there is none, and what to do about it here.
    #[must_use]
    pub fn none(&self) -> LedgerError {
        let genesis = self.genesis.clone();
        if self.is_light { LedgerError::NoneFollowed(genesis) } else { LedgerError::None(genesis) }
    }

    /// Whether the node has a ledger: a genesis file is there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.genesis.is_file()
    }

    /// Whether another process has the ledger at the moment.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(files::lock_folder(&self.folder), Err(FileError::Locked(_)))
    }

    /// Reads the genesis file.
    ///
    /// # Errors
    /// If there is none or it is wrong.
    pub fn read_genesis(&self) -> Result<Genesis, LedgerError> {
        read_genesis(&self.genesis)
    }

    /// What addresses begin with here.
    ///
    /// # Errors
    /// If there is a genesis file and it is wrong.
    pub fn prefix(&self) -> Result<Prefix, LedgerError> {
        match self.read_genesis() {
            Ok(genesis) => prefix_of(&genesis),
            Err(LedgerError::None(_)) => Ok(Prefix::parse(PREFIX_WITHOUT_CHAIN)?),
            Err(error) => Err(error),
        }
    }

    /// An address as people write it.
    ///
    /// # Errors
    /// If it is none, or of another chain.
    pub fn address(&self, text: &str) -> Result<Address, LedgerError> {
        Ok(Address::parse(text, self.prefix()?)?)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Reads a genesis file.
///
/// # Errors
/// If there is none or it is wrong.
pub fn read_genesis(path: &Path) -> Result<Genesis, LedgerError> {
    let text = match files::read(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Err(LedgerError::None(path.to_path_buf())),
        Err(error) => return Err(error.into()),
    };
    Genesis::from_json(text.as_bytes()).map_err(|source| LedgerError::Genesis { path: path.to_path_buf(), source })
}

/// What the addresses of a chain begin with.
///
/// # Errors
/// Never, for a genesis file that was read.
pub fn prefix_of(genesis: &Genesis) -> Result<Prefix, LedgerError> {
    Ok(Prefix::parse(genesis.params.prefix.as_str())?)
}
