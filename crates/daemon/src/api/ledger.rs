//! The ledger: how it stands, its blocks and transactions, and what is done with it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use super::extract::{Params, Posted, Segment};
use super::problem::Problem;
use crate::ledger::{
    self, AddressDocument, BlockDocument, BlocksDocument, CreateDocument, CreateOrder, Engine, FindDocument,
    LedgerError, LightDocument, MAX_BLOCKS, MAX_ROWS, MempoolDocument, MineDocument, MineOrder, ReindexDocument,
    SearchDocument, StatusDocument, TransactionDocument, VerifyDocument,
};

/// Blocks, or rows, of an answer unless told.
const ROWS: usize = 50;

/// How long the thread of the ledger may be busy before `status` tells what is known without it.
const BUSY: Duration = Duration::from_millis(500);

/// Which blocks.
#[derive(Debug, Deserialize)]
pub(super) struct Pages {
    from: Option<u32>,
    limit: Option<usize>,
    #[serde(default)]
    brief: bool,
}

/// Nothing has to be said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A refusal of the ledger.
pub(super) fn refused(error: LedgerError) -> Problem {
    match error {
        LedgerError::None(_) | LedgerError::NoneFollowed(_) => Problem::no_ledger(error.to_string()),
        LedgerError::Followed => Problem::ledger_elsewhere("ledger_followed", error.to_string()),
        LedgerError::Kept => Problem::ledger_elsewhere("ledger_kept", error.to_string()),
        LedgerError::Present { .. } => Problem::ledger_present(error.to_string()),
        LedgerError::Wrong(text) => Problem::bad_request(text),
        LedgerError::Address(error) => Problem::bad_request(error.to_string()),
        LedgerError::Silent(_) => Problem::ledger_busy(error.to_string()),
        LedgerError::Genesis { .. }
        | LedgerError::File(_)
        | LedgerError::Open(_)
        | LedgerError::Store(_)
        | LedgerError::Index(_)
        | LedgerError::Rebuild(_)
        | LedgerError::Verify(_) => Problem::ledger_failed(error.to_string()),
    }
}

/// Has the thread of the ledger answer.
async fn ask<R: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&mut Engine) -> Result<R, LedgerError> + Send + 'static,
) -> Result<R, Problem> {
    let handle = api.ledger.handle().map_err(refused)?;
    handle.ask(work).await.and_then(|answer| answer).map_err(refused)
}

pub(super) async fn status(State(api): State<Api>) -> Result<Json<StatusDocument>, Problem> {
    let handle = api.ledger.handle().map_err(refused)?;
    match tokio::time::timeout(BUSY, handle.ask(|engine| engine.status())).await {
        Ok(answer) => answer.map(Json).map_err(refused),
        Err(_) => Ok(Json(handle.last_known())),
    }
}

pub(super) async fn light(State(api): State<Api>) -> Result<Json<LightDocument>, Problem> {
    api.ledger.light().map(|light| Json(light.document())).map_err(refused)
}

pub(super) async fn create(
    State(api): State<Api>,
    Posted(order): Posted<CreateOrder>,
) -> Result<Json<CreateDocument>, Problem> {
    api.ledger.create(order).await.map(Json).map_err(refused)
}

pub(super) async fn blocks(
    State(api): State<Api>,
    Params(Pages { from, limit, brief }): Params<Pages>,
) -> Result<Json<BlocksDocument>, Problem> {
    let limit = limit.unwrap_or(ROWS).clamp(1, MAX_BLOCKS);
    let read = if brief { ledger::blocks_in_brief } else { ledger::blocks };
    ask(&api, move |engine| read(&engine.book, from, limit)).await.map(Json)
}

pub(super) async fn find(State(api): State<Api>, Segment(id): Segment) -> Result<Json<FindDocument>, Problem> {
    let named = id.clone();
    let found = ask(&api, move |engine| ledger::find(&mut engine.book, &named)).await?;
    found.map(Json).ok_or_else(|| Problem::no_such_block(format!("no block or transaction is known as {id}")))
}

pub(super) async fn block(State(api): State<Api>, Segment(id): Segment) -> Result<Json<BlockDocument>, Problem> {
    let named = id.clone();
    let found = ask(&api, move |engine| ledger::block(&engine.book, &named)).await?;
    found.map(Json).ok_or_else(|| Problem::no_such_block(format!("no block is known as {id}")))
}

pub(super) async fn transaction(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<TransactionDocument>, Problem> {
    let named = id.clone();
    let found = ask(&api, move |engine| ledger::transaction(&mut engine.book, &named)).await?;
    found.map(Json).ok_or_else(|| Problem::no_such_block(format!("no transaction is known as {id}")))
}

pub(super) async fn address(
    State(api): State<Api>,
    Segment(address): Segment,
    Params(Pages { limit, .. }): Params<Pages>,
) -> Result<Json<AddressDocument>, Problem> {
    let limit = limit.unwrap_or(ROWS).min(MAX_ROWS);
    ask(&api, move |engine| ledger::address(&mut engine.book, &address, limit)).await.map(Json)
}

pub(super) async fn mempool(
    State(api): State<Api>,
    Params(Pages { limit, .. }): Params<Pages>,
) -> Result<Json<MempoolDocument>, Problem> {
    let limit = limit.unwrap_or(ROWS).min(MAX_ROWS);
    ask(&api, move |engine| Ok(ledger::mempool(&engine.book, limit))).await.map(Json)
}

pub(super) async fn verify(
    State(api): State<Api>,
    Posted(_): Posted<Nothing>,
) -> Result<Json<VerifyDocument>, Problem> {
    api.ledger.handle().map_err(refused)?.verify().await.map(Json).map_err(refused)
}

pub(super) async fn reindex(
    State(api): State<Api>,
    Posted(_): Posted<Nothing>,
) -> Result<Json<ReindexDocument>, Problem> {
    api.ledger.handle().map_err(refused)?.reindex().await.map(Json).map_err(refused)
}

/// Answered without a ledger too: it may be about to be made.
pub(super) async fn search(State(api): State<Api>) -> Json<SearchDocument> {
    std::future::ready(Json(api.ledger.search())).await
}

pub(super) async fn mine(
    State(api): State<Api>,
    Posted(order): Posted<MineOrder>,
) -> Result<Json<MineDocument>, Problem> {
    ask(&api, move |engine| engine.mine(&order)).await.map(Json)
}
