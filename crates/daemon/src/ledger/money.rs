//! The verbs of the wallet, with the place of its file and whoever has the ledger.

use std::path::Path;

use meshline_ledger::Amount;
use meshline_ledger::amount::AmountError;
use meshline_wallet::fee::FeeRate;
use meshline_wallet::file::Cost;
use meshline_wallet::random::{NoRandom, Random};
use meshline_wallet::verbs::{
    self, Access, BalanceDocument, HistoryDocument, ListDocument, NewDocument, QuoteDocument, RestoreDocument,
    SendDocument, SendOrder,
};
use meshline_wallet::{Address, AddressError, Passphrase, Phrase, PhraseError, Vault, WalletError};

use super::mine::Told;
use super::teller::Till;
use super::{LedgerError, LedgerPlace};
use crate::files;

/// Why a verb of the wallet did nothing.
#[derive(Debug, thiserror::Error)]
pub enum MoneyError {
    /// The wallet.
    #[error(transparent)]
    Wallet(Box<WalletError>),
    /// The ledger.
    #[error(transparent)]
    Ledger(Box<LedgerError>),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// It is sent, but no block was mined for it.
    #[error("the transaction {txid} is sent and waits for a block, but none was mined: {source}")]
    NotMined {
        /// Which.
        txid: String,
        /// Why.
        source: Box<LedgerError>,
    },
}

impl From<WalletError> for MoneyError {
    fn from(error: WalletError) -> Self {
        Self::Wallet(Box::new(error))
    }
}

impl From<LedgerError> for MoneyError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

impl From<AddressError> for MoneyError {
    fn from(error: AddressError) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<AmountError> for MoneyError {
    fn from(error: AmountError) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<PhraseError> for MoneyError {
    fn from(error: PhraseError) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// The system's random bytes.
struct System;

impl Random for System {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        for chunk in bytes.chunks_mut(32) {
            let random = files::random_bytes().map_err(|_| NoRandom)?;
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// A payment that is asked for, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// Whose coins are spent; all of the wallet unless told.
    pub from: Option<String>,
    /// Who is paid.
    pub to: String,
    /// How much, in coins.
    pub amount: String,
    /// What it may cost, in base units for 1,000 bytes.
    pub rate: Option<u64>,
    /// Whether a block is mined for it at once, whose reward `from` gets.
    pub mine: bool,
}

/// The wallet of a node, to be opened.
#[derive(Debug)]
pub struct Purse<'a> {
    /// Where it is.
    pub place: &'a LedgerPlace,
    /// What opens it.
    pub passphrase: &'a Passphrase,
}

impl Purse<'_> {
    fn open<R>(&self, verb: impl FnOnce(&mut Access<'_>) -> Result<R, WalletError>) -> Result<R, MoneyError> {
        let path: &Path = &self.place.wallet;
        if let Some(folder) = path.parent() {
            files::make_folder(folder).map_err(LedgerError::from)?;
        }
        let mut random = System;
        let mut access = Access { path, passphrase: self.passphrase, cost: Cost::NORMAL, random: &mut random };
        Ok(verb(&mut access)?)
    }

    /// `wallet new`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn new_address<D: Till + ?Sized>(&self, desk: Option<&D>) -> Result<NewDocument, MoneyError> {
        let prefix = self.place.prefix()?;
        let chain = desk.map(Till::chain);
        let is_new = !self.place.wallet.exists();
        let document = self.open(|access| verbs::new(access, prefix, chain.as_deref()))?;
        if let Some(desk) = desk.filter(|desk| desk.wants_locks()) {
            let locks = self.open(|access| Ok(Vault::open(access.path, access.passphrase)?.wallet().locks()))?;
            desk.handed_out(&locks, is_new)?;
        }
        Ok(document)
    }

    /// `wallet list`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn list<D: Till + ?Sized>(&self, desk: Option<&D>) -> Result<ListDocument, MoneyError> {
        let prefix = self.place.prefix()?;
        let chain = desk.map(Till::chain);
        self.open(|access| verbs::list(access, prefix, chain.as_deref()))
    }

    /// `wallet history`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn history<D: Till + ?Sized>(&self, desk: &D, limit: usize) -> Result<HistoryDocument, MoneyError> {
        self.open(|access| verbs::history(access, &*desk.chain(), limit))
    }

    /// `wallet restore`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn restore<D: Till + ?Sized>(
        &self,
        desk: &D,
        phrase: &str,
        gap: Option<u32>,
    ) -> Result<RestoreDocument, MoneyError> {
        let phrase = Phrase::parse(phrase)?;
        self.open(|access| verbs::restore(access, &*desk.chain_from_start(), &phrase, gap))
    }

    /// `wallet send`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn send<D: Till + ?Sized>(
        &self,
        desk: &D,
        request: &SendRequest,
        told: Told<'_>,
    ) -> Result<SendDocument, MoneyError> {
        self.send_within(desk, request, None, told)
    }

    fn order(&self, request: &SendRequest) -> Result<SendOrder, MoneyError> {
        let prefix = self.place.prefix()?;
        let from = request.from.as_deref().map(|text| Address::parse(text, prefix)).transpose()?;
        let to = Address::parse(&request.to, prefix)?;
        Ok(SendOrder { from, to, amount: request.amount.parse()?, rate: request.rate.map(FeeRate) })
    }

    /// What `wallet send` would cost.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn quote<D: Till + ?Sized>(&self, desk: &D, request: &SendRequest) -> Result<QuoteDocument, MoneyError> {
        let order = self.order(request)?;
        self.open(|access| verbs::quote(access, &*desk.chain(), &order))
    }

    /// `wallet send`, unless the fee would be more than `most`, in coins.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn send_within<D: Till + ?Sized>(
        &self,
        desk: &D,
        request: &SendRequest,
        most: Option<&str>,
        told: Told<'_>,
    ) -> Result<SendDocument, MoneyError> {
        let order = self.order(request)?;
        let most = most.map(str::parse::<Amount>).transpose()?;
        if request.mine && order.from.is_none() {
            return Err(MoneyError::Wrong("who mines at once says with --from who gets the reward".to_owned()));
        }
        let mut document = self.open(|access| verbs::send_within(access, &mut *desk.chain(), &order, most))?;
        if let Some(from) = order.from.filter(|_| request.mine) {
            let mined = desk.mine(from.lock, told);
            let block =
                mined.map_err(|error| MoneyError::NotMined { txid: document.txid.clone(), source: Box::new(error) })?;
            document.block = Some(block.hash().to_string());
        }
        Ok(document)
    }
}

/// `wallet balance`, for which no wallet is needed.
///
/// # Errors
/// [`MoneyError`].
pub fn balance<D: Till + ?Sized>(desk: &D, address: &str) -> Result<BalanceDocument, MoneyError> {
    let chain = desk.chain_of_others();
    let prefix = chain.terms().map_err(WalletError::from)?.prefix;
    Ok(verbs::balance(&*chain, &Address::parse(address, prefix)?)?)
}
