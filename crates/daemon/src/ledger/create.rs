//! A new chain: its parameters from a preset and single overrides, its genesis block with proof of work, its file.

use meshline_ledger::consensus::{AddressPrefix, CompactBits, Difficulty, DifficultyInFile, Policy};
use meshline_ledger::{Amount, Genesis, Lock, Params, Preset};
use meshline_wallet::{Address, Prefix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::book::CHAIN;
use super::documents::CreateDocument;
use super::mine::{Told, genesis_time, seal};
use super::{Book, LedgerError, LedgerPlace};
use crate::files::{self, Access};

/// What is to be created. What is not said is the preset's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CreateOrder {
    /// Who gets the money of the first block.
    pub address: Option<String>,
    /// `tutorial` (unless told), `test` or `main`.
    pub preset: Option<String>,
    /// What people call the chain; the preset's name unless told.
    pub chain_name: Option<String>,
    /// What addresses begin with.
    pub prefix: Option<String>,
    /// The text in the first block.
    pub message: Option<String>,
    /// `fixed`, `bitcoin:SPACING_S:INTERVAL` or `asert:SPACING_S:HALF_LIFE_S`.
    pub difficulty: Option<String>,
    /// Easiest bits, eight hexadecimal digits.
    pub bits: Option<String>,
    /// New money in a block, in coins.
    pub subsidy: Option<String>,
    /// Blocks until that is halved; 0 for never.
    pub halving_interval: Option<u32>,
    /// Blocks until it can be spent.
    pub maturity: Option<u32>,
    /// Bytes of a block.
    pub max_block_size: Option<u32>,
    /// Signatures in a block.
    pub max_signatures: Option<u32>,
    /// Least fee for 1,000 bytes, in base units.
    pub least_fee_rate: Option<u64>,
    /// Whether blocks without payments are mined.
    pub mine_empty: Option<bool>,
    /// A block is mined from so many waiting payments on.
    pub template_from: Option<u32>,
}

fn wrong(text: impl Into<String>) -> LedgerError {
    LedgerError::Wrong(text.into())
}

impl CreateOrder {
    fn preset(&self) -> Result<Preset, LedgerError> {
        let name = self.preset.as_deref().unwrap_or("tutorial");
        Preset::by_name(name).ok_or_else(|| wrong(format!("{name:?} is no preset: expected tutorial, test or main")))
    }

    /// The parameters and the policy.
    fn rules(&self) -> Result<(Params, Policy), LedgerError> {
        let (preset, policy) = (self.preset()?.params(), self.preset()?.policy());
        let difficulty = self.difficulty.as_deref().map(difficulty).transpose()?;
        let bits = self.bits.as_deref().map(bits).transpose()?;
        let subsidy = self.subsidy.as_deref().map(str::parse::<Amount>).transpose();
        let prefix = self.prefix.as_deref().map(AddressPrefix::parse).transpose();
        let params = Params {
            difficulty: difficulty.unwrap_or(preset.difficulty),
            bits: bits.unwrap_or(preset.bits),
            subsidy: subsidy.map_err(|error| wrong(format!("subsidy: {error}")))?.unwrap_or(preset.subsidy),
            halving_interval: self.halving_interval.unwrap_or(preset.halving_interval),
            maturity: self.maturity.unwrap_or(preset.maturity),
            max_block_size: self.max_block_size.unwrap_or(preset.max_block_size),
            max_signatures: self.max_signatures.unwrap_or(preset.max_signatures),
            prefix: prefix.map_err(|error| wrong(error.to_string()))?.unwrap_or(preset.prefix),
        };
        let policy = Policy {
            least_fee_rate: self.least_fee_rate.unwrap_or(policy.least_fee_rate),
            mine_empty: self.mine_empty.unwrap_or(policy.mine_empty),
            template_from: self.template_from.unwrap_or(policy.template_from),
        };
        params.check().map_err(|error| wrong(error.to_string()))?;
        Ok((params, policy))
    }

    /// What addresses of the new chain begin with.
    ///
    /// # Errors
    /// If the order makes no chain.
    pub fn prefix(&self) -> Result<Prefix, LedgerError> {
        let (params, _) = self.rules()?;
        Ok(Prefix::parse(params.prefix.as_str())?)
    }

    /// Whoever is to get the first money. While there is no chain, addresses of wallets begin as most do; both are good.
    fn owner(&self, text: &str) -> Result<Lock, LedgerError> {
        let before = Prefix::parse(AddressPrefix::MESH.as_str())?;
        let address = Address::parse(text, before).or(Address::parse(text, self.prefix()?))?;
        Ok(address.lock)
    }

    /// The new chain, mined.
    fn genesis(&self, owner: Lock, told: Told<'_>) -> Result<Genesis, LedgerError> {
        let (params, policy) = self.rules()?;
        let name = self.chain_name.clone().unwrap_or_else(|| self.preset().map_or("", Preset::name).to_owned());
        let block = Genesis::unmined(&params, genesis_time(), owner, self.message.as_deref());
        let block = block.map_err(|error| wrong(error.to_string()))?;
        Ok(Genesis { name, params, policy, block: seal(block, told) })
    }
}

fn difficulty(text: &str) -> Result<Difficulty, LedgerError> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str| part.parse::<u32>().ok();
    let parsed = match parts.as_slice() {
        ["fixed"] => Some(DifficultyInFile::Fixed {}),
        ["bitcoin", spacing, interval] => number(spacing)
            .zip(number(interval))
            .map(|(spacing_s, interval)| DifficultyInFile::Bitcoin { spacing_s, interval }),
        ["asert", spacing, half_life] => number(spacing)
            .zip(number(half_life))
            .map(|(spacing_s, half_life_s)| DifficultyInFile::Asert { spacing_s, half_life_s }),
        _ => None,
    };
    let expected = "expected fixed, bitcoin:SPACING_S:INTERVAL or asert:SPACING_S:HALF_LIFE_S";
    parsed.map(Difficulty::from).ok_or_else(|| wrong(format!("{text:?} is no difficulty: {expected}")))
}

fn bits(text: &str) -> Result<CompactBits, LedgerError> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| digits);
    number.map(CompactBits).ok_or_else(|| wrong("bits are eight hexadecimal digits, such as 1f00ffff"))
}

/// Refuses where there is a ledger already.
///
/// # Errors
/// That there is one, or that its file is wrong.
pub fn refuse_present(place: &LedgerPlace) -> Result<(), LedgerError> {
    match place.read_genesis() {
        Err(LedgerError::None(_)) if place.file(CHAIN).exists() => Err(wrong(format!(
            "{} holds the blocks of a chain whose genesis file is missing: put it back, or remove them",
            place.folder.display()
        ))),
        Err(LedgerError::None(_)) => Ok(()),
        Err(error) => Err(error),
        Ok(genesis) => Err(LedgerError::Present { path: place.genesis.clone(), chain: genesis.block.hash() }),
    }
}

/// Makes a chain, writes its genesis file and opens it.
///
/// # Errors
/// If the order makes none, there is one already, or a file cannot be written.
pub fn create(
    place: &LedgerPlace,
    order: &CreateOrder,
    address: &str,
    told: Told<'_>,
) -> Result<(Book, CreateDocument), LedgerError> {
    refuse_present(place)?;
    let owner = order.owner(address)?;
    let genesis = order.genesis(owner, told)?;
    files::make_folder(&place.folder)?;
    if let Some(folder) = place.genesis.parent() {
        files::make_folder(folder)?;
    }
    let mut text = serde_json::to_string_pretty(&genesis.to_file()).map_err(|error| wrong(error.to_string()))?;
    text.push('\n');
    // Never over another: two that are created at once are not one.
    files::write_new(&place.genesis, text.as_bytes(), Access::Public)?;
    let book = Book::open(place)?;
    let document = CreateDocument {
        schema: "meshline/ledger-create/1".into(),
        chain: book.id().to_string(),
        genesis: std::path::absolute(&place.genesis).unwrap_or_else(|_| place.genesis.clone()).display().to_string(),
        name: book.genesis().name.clone(),
        address: Address { prefix: book.prefix(), lock: owner }.to_string(),
        phrase: None,
    };
    Ok((book, document))
}
