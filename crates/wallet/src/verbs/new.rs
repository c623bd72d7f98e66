//! `wallet new`: the next address; the first time a wallet, and its phrase once.

use std::borrow::Cow;
use std::fmt;

use meshline_ledger::Lock;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::Access;
use crate::address::{Address, Prefix};
use crate::chain::Chain;
use crate::file::Place;
use crate::keys::{Branch, GAP};
use crate::payment::Refusal;
use crate::phrase::{ENTROPY, Phrase};
use crate::vault::{Making, Vault, WalletError};
use crate::wallet::Wallet;

/// A new address.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct NewDocument {
    /// `meshline/wallet-new/1`.
    pub schema: Cow<'static, str>,
    /// The address.
    pub address: String,
    /// The phrase, only when the wallet was made.
    #[serde(default, serialize_with = "reveal", deserialize_with = "take_in", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phrase: Option<Zeroizing<String>>,
    /// What to beware of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl fmt::Debug for NewDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewDocument").field("address", &self.address).finish_non_exhaustive()
    }
}

impl NewDocument {
    /// For a person.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("Your new address: {}", self.address));
        if let Some(phrase) = &self.phrase {
            text.push_str("\n\nWrite these words down and keep them apart from this machine. Whoever has them has the");
            text.push_str("\nmoney, and nothing else brings the wallet back. They are not shown again.\n\n    ");
            text.push_str(phrase);
        }
        if let Some(warning) = &self.warning {
            text.push_str("\n\n");
            text.push_str(warning);
        }
        text
    }
}

fn reveal<S: Serializer>(phrase: &Option<Zeroizing<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    phrase.as_ref().map(|phrase| phrase.as_str()).serialize(serializer)
}

fn take_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

/// Hands out the next address, from a new wallet if there is none. Without a ledger at hand nothing is known of what was
/// used, so nothing is warned of.
///
/// # Errors
/// [`WalletError`].
pub fn new(access: &mut Access<'_>, prefix: Prefix, chain: Option<&dyn Chain>) -> Result<NewDocument, WalletError> {
    // Looked at first only to choose; whoever makes the file looks again, with the sole right to it.
    let is_present = Place::take(access.path)?.is_present()?;
    if is_present { next(access, prefix, chain) } else { first(access, prefix) }
}

fn document(prefix: Prefix, lock: Lock) -> NewDocument {
    let address = Address { prefix, lock }.to_string();
    NewDocument { schema: Cow::Borrowed("meshline/wallet-new/1"), address, phrase: None, warning: None }
}

fn first(access: &mut Access<'_>, prefix: Prefix) -> Result<NewDocument, WalletError> {
    let mut entropy = Zeroizing::new([0; ENTROPY]);
    access.random.fill(entropy.as_mut_slice())?;
    let phrase = Phrase::from_entropy(entropy.as_slice())?;
    let mut fill = |wallet: &mut Wallet| wallet.next(Branch::Receive).map(drop).map_err(WalletError::from);
    let mut making = Making { cost: access.cost, random: access.random, fill: &mut fill };
    let vault = Vault::create(access.path, access.passphrase, &phrase, &mut making)?;
    let lock = vault.wallet().handed_out(Branch::Receive).first().copied();
    let mut document = document(prefix, lock.ok_or(Refusal::Full)?);
    document.phrase = Some(phrase.words());
    Ok(document)
}

fn next(access: &mut Access<'_>, prefix: Prefix, chain: Option<&dyn Chain>) -> Result<NewDocument, WalletError> {
    let mut vault = match chain {
        Some(chain) => Vault::open_with(access.path, access.passphrase, chain, access.random)?,
        None => Vault::open(access.path, access.passphrase)?,
    };
    let lock = vault.wallet_mut().next(Branch::Receive)?;
    vault.save(access.random)?;
    let mut document = document(prefix, lock);
    let unused = chain.map_or(Ok(0), |chain| vault.wallet().unused_at_end(Branch::Receive, chain))?;
    let beyond = u32::try_from(unused).is_ok_and(|unused| unused > GAP);
    document.warning = beyond.then(|| {
        format!(
            "{unused} addresses in a row have received nothing. A restore from the phrase looks past {GAP} of them; \
             after this one it needs --gap {unused}"
        )
    });
    Ok(document)
}
