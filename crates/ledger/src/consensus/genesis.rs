//! The genesis file: the parameters of a chain and its first block, as JSON that people hand to each other.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, AmountError};
use crate::consensus::block::Block;
use crate::consensus::compact::{CompactBits, meets};
use crate::consensus::difficulty::Difficulty;
use crate::consensus::header::{Header, merkle_root};
use crate::consensus::params::{Params, ParamsError};
use crate::consensus::prefix::{AddressPrefix, NotAPrefix};
use crate::hash::{BlockHash, NotAHash};
use crate::transaction::{KEY_HASH_SIZE, Lock, MAX_COINBASE_EXTRA, TRANSACTION_VERSION, Transaction, TxIn, TxOut};

/// The version of blocks there is.
pub const BLOCK_VERSION: u32 = 1;
/// What the file says it is.
pub const GENESIS_SCHEMA: &str = "meshline/genesis/1";
/// Bytes of text a genesis block has room for beside the hash of the parameters.
pub const MAX_GENESIS_MESSAGE: usize = MAX_COINBASE_EXTRA as usize - 32;
/// A genesis file is smaller: more is not read.
pub const MAX_GENESIS_FILE: usize = 16 * 1024;
/// The text of Bitcoin's first block, which the tutorial repeats.
const HEADLINE: &str = "The Times 03/Jan/2009 Chancellor on brink of second bailout for banks";

/// What nodes of a chain do beyond its rules, unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Least fee for relaying, in base units for 1,000 bytes.
    pub least_fee_rate: u64,
    /// Whether blocks without payments are mined.
    pub mine_empty: bool,
    /// A block is mined from so many waiting transactions on.
    pub template_from: u32,
}

/// Known sets of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// As the tutorial has it: 10 a block for ever, fixed work, no fees, no waiting.
    Tutorial,
    /// For trying out: a block every 15 s, easy from the start.
    Test,
    /// Bitcoin's numbers, with ASERT.
    Main,
}

impl Preset {
    /// The preset of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "tutorial" => Some(Self::Tutorial),
            "test" => Some(Self::Test),
            "main" => Some(Self::Main),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tutorial => "tutorial",
            Self::Test => "test",
            Self::Main => "main",
        }
    }

    /// Its parameters.
    pub const fn params(self) -> Params {
        let coins = match self {
            Self::Tutorial => 10,
            Self::Test | Self::Main => 50,
        };
        let subsidy = match Amount::from_coins(coins) {
            Ok(subsidy) => subsidy,
            Err(_) => Amount::ZERO,
        };
        let common = Params {
            difficulty: Difficulty::Fixed,
            // 2^16 hashes: about 10 ms on one core.
            bits: CompactBits(0x1f00_ffff),
            subsidy,
            halving_interval: 0,
            maturity: 1,
            max_block_size: 1_000_000,
            // A block full of inputs; more would be a second limit on size.
            max_signatures: 7_500,
            prefix: AddressPrefix::MESH,
        };
        match self {
            Self::Tutorial => common,
            Self::Test => Params {
                difficulty: Difficulty::Asert { spacing_s: 15, half_life_s: 3_600 },
                halving_interval: 210_000,
                maturity: 10,
                prefix: AddressPrefix::TRIAL,
                ..common
            },
            Self::Main => Params {
                difficulty: Difficulty::Asert { spacing_s: 600, half_life_s: 172_800 },
                // 2^24 hashes: a few seconds for the genesis block.
                bits: CompactBits(0x1e00_ffff),
                halving_interval: 210_000,
                maturity: 100,
                ..common
            },
        }
    }

    /// Its policy.
    pub const fn policy(self) -> Policy {
        match self {
            Self::Tutorial => Policy { least_fee_rate: 0, mine_empty: false, template_from: 2 },
            Self::Test | Self::Main => Policy { least_fee_rate: 1_000, mine_empty: true, template_from: 0 },
        }
    }
}

/// A chain: its rules and its first block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// What people call it.
    pub name: String,
    /// The numbers of its rules.
    pub params: Params,
    /// What its nodes do beyond the rules.
    pub policy: Policy,
    /// The first block. Its hash is the id of the chain.
    pub block: Block,
}

/// Why a genesis file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON of the expected members.
    #[error("{0}")]
    Json(String),
    /// Another kind of file.
    #[error("the schema is not {GENESIS_SCHEMA}")]
    Schema,
    /// The parameters are out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Not an amount.
    #[error("subsidy: {0}")]
    Subsidy(#[from] AmountError),
    /// Not the beginning of an address.
    #[error("prefix: {0}")]
    Prefix(#[from] NotAPrefix),
    /// Not eight hexadecimal digits.
    #[error("bits are eight hexadecimal digits, such as 1f00ffff")]
    Bits,
    /// Not 40 hexadecimal digits.
    #[error("the owner is the hash of a key, 40 hexadecimal digits")]
    Owner,
    /// The text or the file is too long.
    #[error("the message may have {MAX_GENESIS_MESSAGE} bytes, the file {MAX_GENESIS_FILE}")]
    TooLong,
    /// Not a hash.
    #[error("hash: {0}")]
    NotAHash(#[from] NotAHash),
    /// The members give another block than the file says.
    #[error("the hash of the genesis block is {0}: a parameter was changed")]
    Hash(BlockHash),
    /// The block has no proof of work.
    #[error("the genesis block has no proof of work")]
    ProofOfWork,
}

impl Genesis {
    /// The first block of a chain, without proof of work: its nonce is still to be searched.
    pub fn unmined(params: &Params, time: u32, owner: Lock, message: Option<&str>) -> Result<Block, GenesisError> {
        params.check()?;
        let message = message.unwrap_or(HEADLINE);
        if message.len() > MAX_GENESIS_MESSAGE {
            return Err(GenesisError::TooLong);
        }
        let extra = [&params.hash(), message.as_bytes()].concat();
        let coinbase = Transaction {
            version: TRANSACTION_VERSION,
            inputs: vec![TxIn::Coinbase { height: 0, extra }],
            outputs: vec![TxOut { amount: params.subsidy_at(0), lock: owner }],
            lock_time: 0,
        };
        let header = Header {
            version: BLOCK_VERSION,
            previous: BlockHash::ZERO,
            merkle_root: merkle_root([coinbase.wtxid().0]).root,
            time,
            bits: params.bits,
            nonce: 0,
        };
        Ok(Block { header, transactions: vec![coinbase] })
    }

    /// Reads a genesis file, builds its block and compares the hash.
    pub fn from_json(text: &[u8]) -> Result<Self, GenesisError> {
        if text.len() > MAX_GENESIS_FILE {
            return Err(GenesisError::TooLong);
        }
        let file: GenesisFile = serde_json::from_slice(text).map_err(|error| GenesisError::Json(error.to_string()))?;
        file.genesis()
    }

    /// The genesis file.
    pub fn to_file(&self) -> GenesisFile {
        let (message, owner) = self.message_and_owner();
        let first = FirstBlock {
            time: self.block.header.time,
            owner,
            message,
            nonce: self.block.header.nonce,
            hash: self.block.hash().to_string(),
        };
        let Params { difficulty, bits, subsidy, halving_interval, maturity, max_block_size, max_signatures, prefix } =
            self.params;
        GenesisFile {
            schema: GENESIS_SCHEMA.to_owned(),
            name: self.name.clone(),
            difficulty: difficulty.into(),
            bits: format!("{:08x}", bits.0),
            subsidy: subsidy.to_string(),
            halving_interval,
            maturity,
            max_block_size,
            max_signatures,
            prefix: prefix.to_string(),
            policy: self.policy,
            genesis: first,
        }
    }

    fn message_and_owner(&self) -> (String, String) {
        let Some(coinbase) = self.block.transactions.first() else { return Default::default() };
        let message = match coinbase.inputs.first() {
            Some(TxIn::Coinbase { extra, .. }) => extra.get(32..).unwrap_or_default(),
            Some(TxIn::Spend { .. }) | None => &[],
        };
        let owner = coinbase.outputs.first().map(|output| {
            let Lock::KeyHash(hash) = output.lock;
            HEXLOWER_PERMISSIVE.encode(&hash)
        });
        (String::from_utf8_lossy(message).into_owned(), owner.unwrap_or_default())
    }
}

/// The members of a genesis file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisFile {
    /// [`GENESIS_SCHEMA`].
    pub schema: String,
    /// What people call the chain.
    pub name: String,
    /// How bits follow.
    pub difficulty: DifficultyInFile,
    /// The easiest bits, eight hexadecimal digits.
    pub bits: String,
    /// In coins.
    pub subsidy: String,
    /// Blocks; 0 for never.
    pub halving_interval: u32,
    /// Blocks.
    pub maturity: u32,
    /// Bytes.
    pub max_block_size: u32,
    /// Signatures in a block.
    pub max_signatures: u32,
    /// What addresses begin with.
    pub prefix: String,
    /// Beyond the rules; not covered by the hash.
    pub policy: Policy,
    /// The first block.
    pub genesis: FirstBlock,
}

/// [`Difficulty`] as the file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DifficultyInFile {
    /// [`Difficulty::Fixed`].
    Fixed {},
    /// [`Difficulty::Bitcoin`].
    Bitcoin {
        /// Seconds.
        spacing_s: u32,
        /// Blocks.
        interval: u32,
    },
    /// [`Difficulty::Asert`].
    Asert {
        /// Seconds.
        spacing_s: u32,
        /// Seconds.
        half_life_s: u32,
    },
}

/// What the first block is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstBlock {
    /// Seconds since 1970.
    pub time: u32,
    /// Hash of the key that owns the first money, 40 hexadecimal digits.
    pub owner: String,
    /// The text in it.
    pub message: String,
    /// The nonce that was found.
    pub nonce: u32,
    /// Its hash: the id of the chain.
    pub hash: String,
}

impl GenesisFile {
    /// Builds the chain's first block and compares its hash with the one in the file.
    pub fn genesis(&self) -> Result<Genesis, GenesisError> {
        if self.schema != GENESIS_SCHEMA {
            return Err(GenesisError::Schema);
        }
        let params = self.params()?;
        let owner = HEXLOWER_PERMISSIVE.decode(self.genesis.owner.as_bytes()).map_err(|_| GenesisError::Owner)?;
        let owner: [u8; KEY_HASH_SIZE] = owner.try_into().map_err(|_| GenesisError::Owner)?;
        let mut block =
            Genesis::unmined(&params, self.genesis.time, Lock::KeyHash(owner), Some(&self.genesis.message))?;
        block.header.nonce = self.genesis.nonce;
        let hash = block.hash();
        if hash != self.genesis.hash.parse()? {
            return Err(GenesisError::Hash(hash));
        }
        if !meets(&hash, params.limit()) {
            return Err(GenesisError::ProofOfWork);
        }
        Ok(Genesis { name: self.name.clone(), params, policy: self.policy, block })
    }

    fn params(&self) -> Result<Params, GenesisError> {
        let digits = self.bits.len() == 8 && self.bits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = u32::from_str_radix(&self.bits, 16).ok().filter(|_| digits).ok_or(GenesisError::Bits)?;
        Ok(Params {
            difficulty: self.difficulty.into(),
            bits: CompactBits(bits),
            subsidy: self.subsidy.parse()?,
            halving_interval: self.halving_interval,
            maturity: self.maturity,
            max_block_size: self.max_block_size,
            max_signatures: self.max_signatures,
            prefix: AddressPrefix::parse(&self.prefix)?,
        })
    }
}

impl From<Difficulty> for DifficultyInFile {
    fn from(difficulty: Difficulty) -> Self {
        match difficulty {
            Difficulty::Fixed => Self::Fixed {},
            Difficulty::Bitcoin { spacing_s, interval } => Self::Bitcoin { spacing_s, interval },
            Difficulty::Asert { spacing_s, half_life_s } => Self::Asert { spacing_s, half_life_s },
        }
    }
}

impl From<DifficultyInFile> for Difficulty {
    fn from(difficulty: DifficultyInFile) -> Self {
        match difficulty {
            DifficultyInFile::Fixed {} => Self::Fixed,
            DifficultyInFile::Bitcoin { spacing_s, interval } => Self::Bitcoin { spacing_s, interval },
            DifficultyInFile::Asert { spacing_s, half_life_s } => Self::Asert { spacing_s, half_life_s },
        }
    }
}
