//! The wallet of this node: each verb is handed the passphrase, and nothing of it is kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use meshline_wallet::file::{FileError, PlaceError};
use meshline_wallet::payment::Refusal;
use meshline_wallet::verbs::{
    BalanceDocument, HistoryDocument, ListDocument, MAX_ROWS, NewDocument, QuoteDocument, RestoreDocument, SendDocument,
};
use meshline_wallet::{Passphrase, WalletError};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use super::extract::{Posted, Segment};
use super::ledger::refused;
use super::problem::Problem;
use super::qr::QrDocument;
use crate::ledger::{MoneyError, Purse, SendRequest, Till};

/// What opens the wallet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    /// The passphrase.
    passphrase: String,
}

/// `wallet send`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sending {
    /// The passphrase.
    passphrase: String,
    /// Whose coins are spent; all of the wallet unless told.
    #[serde(default)]
    from: Option<String>,
    /// Who is paid.
    to: String,
    /// How much, in coins.
    amount: String,
    /// What it may cost, in base units for 1,000 bytes.
    #[serde(default)]
    fee_rate: Option<u64>,
    /// Whether a block is mined for it at once, whose reward `from` gets.
    #[serde(default)]
    mine: bool,
    /// The fee that was agreed to, in coins: nothing is sent if it would be more.
    #[serde(default)]
    max_fee: Option<String>,
}

/// `wallet quote`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    /// The passphrase.
    passphrase: String,
    /// Whose coins would be spent; all of the wallet unless told.
    #[serde(default)]
    from: Option<String>,
    /// Who would be paid.
    to: String,
    /// How much, in coins.
    amount: String,
    /// What it may cost, in base units for 1,000 bytes.
    #[serde(default)]
    fee_rate: Option<u64>,
}

/// `wallet history`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Looking {
    /// The passphrase.
    passphrase: String,
    /// So many transactions at most, the last ones; 2,000 unless told, and never more.
    #[serde(default)]
    limit: Option<usize>,
}

/// `wallet restore`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restoring {
    /// What will open the wallet.
    passphrase: String,
    /// Its words.
    phrase: String,
    /// Unused addresses in a row after which the search ends.
    #[serde(default)]
    gap: Option<u32>,
}

/// A refusal of the wallet.
fn money_refused(error: MoneyError) -> Problem {
    match error {
        MoneyError::Ledger(error) => refused(*error),
        MoneyError::Wrong(text) => Problem::bad_request(text),
        error @ MoneyError::NotMined { .. } => Problem::wallet("not_mined", error.to_string()),
        MoneyError::Wallet(error) => Problem::wallet(name(&error), error.to_string()),
    }
}

const fn name(error: &WalletError) -> &'static str {
    match error {
        WalletError::File(FileError::WrongPassphrase) => "wrong_passphrase",
        WalletError::Refused(Refusal::FeeAbove { .. }) => "fee_changed",
        WalletError::Refused(_) => "payment_refused",
        WalletError::Chain(_) => "ledger_refused",
        WalletError::Place(PlaceError::Missing(_)) => "no_wallet",
        WalletError::Place(PlaceError::Present(_)) => "wallet_present",
        WalletError::Place(_) | WalletError::File(_) | WalletError::Phrase(_) => "wallet_failed",
    }
}

/// Opens the wallet where it may take its time.
async fn with<R: Send + 'static>(
    api: &Api,
    passphrase: String,
    verb: impl FnOnce(&Purse<'_>, Option<&dyn Till>) -> Result<R, MoneyError> + Send + 'static,
) -> Result<Json<R>, Problem> {
    let passphrase = Passphrase::new(passphrase).map_err(|error| Problem::bad_request(error.to_string()))?;
    api.ledger.with_purse(passphrase, verb).await.map(Json).map_err(money_refused)
}

fn there<'a>(purse: &Purse<'_>, handle: Option<&'a dyn Till>) -> Result<&'a dyn Till, MoneyError> {
    handle.ok_or_else(|| purse.place.none().into())
}

pub(super) async fn new(State(api): State<Api>, Posted(body): Posted<Opening>) -> Result<Json<NewDocument>, Problem> {
    with(&api, body.passphrase, |purse, handle| purse.new_address(handle)).await
}

pub(super) async fn list(State(api): State<Api>, Posted(body): Posted<Opening>) -> Result<Json<ListDocument>, Problem> {
    with(&api, body.passphrase, |purse, handle| purse.list(handle)).await
}

pub(super) async fn send(State(api): State<Api>, Posted(body): Posted<Sending>) -> Result<Json<SendDocument>, Problem> {
    let Sending { passphrase, from, to, amount, fee_rate, mine, max_fee } = body;
    let request = SendRequest { from, to, amount, rate: fee_rate, mine };
    let ledger = Arc::clone(&api.ledger);
    with(&api, passphrase, move |purse, handle| {
        ledger.searching(|_, told| purse.send_within(there(purse, handle)?, &request, max_fee.as_deref(), told))
    })
    .await
}

pub(super) async fn quote(
    State(api): State<Api>,
    Posted(body): Posted<Asking>,
) -> Result<Json<QuoteDocument>, Problem> {
    let Asking { passphrase, from, to, amount, fee_rate } = body;
    let request = SendRequest { from, to, amount, rate: fee_rate, mine: false };
    with(&api, passphrase, move |purse, handle| purse.quote(there(purse, handle)?, &request)).await
}

pub(super) async fn history(
    State(api): State<Api>,
    Posted(body): Posted<Looking>,
) -> Result<Json<HistoryDocument>, Problem> {
    let limit = body.limit.unwrap_or(MAX_ROWS);
    with(&api, body.passphrase, move |purse, handle| purse.history(there(purse, handle)?, limit)).await
}

pub(super) async fn restore(
    State(api): State<Api>,
    Posted(body): Posted<Restoring>,
) -> Result<Json<RestoreDocument>, Problem> {
    let Restoring { passphrase, phrase, gap } = body;
    with(&api, passphrase, move |purse, handle| purse.restore(there(purse, handle)?, &phrase, gap)).await
}

/// What an address holds; no wallet is needed for that.
pub(super) async fn balance_of(
    State(api): State<Api>,
    Segment(address): Segment,
) -> Result<Json<BalanceDocument>, Problem> {
    api.ledger.balance(address).await.map(Json).map_err(money_refused)
}

/// A code for whoever wants to be paid.
pub(super) async fn qr(State(api): State<Api>, Segment(address): Segment) -> Result<Json<QrDocument>, Problem> {
    let address = api.ledger.place().address(&address).map_err(refused)?;
    let code = QrDocument::new(&address).ok_or_else(|| Problem::bad_request("no code can be made of it"));
    std::future::ready(code.map(Json)).await
}
