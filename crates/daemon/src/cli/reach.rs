//! Where the ledger of a node is reached: at the node that runs, or in its folder if none does.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::place::Place;
use crate::config::{Flags, NodeConfig};
use crate::exit::{Exit, Stop};
use crate::ledger::{Book, LedgerError, LedgerPlace, MoneyError, Opened};
use crate::output::print;

/// Another command, or a node that starts or ends, has the ledger for moments; it is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Whoever has the ledger.
#[derive(Debug)]
pub(super) enum Reach {
    /// The running node.
    Running(Client),
    /// Nobody: this command opens it.
    Stopped(LedgerPlace),
}

/// Finds out whether the node runs.
pub(super) async fn reach(place: &Place) -> anyhow::Result<(Reach, LedgerPlace)> {
    let config = place.locate::<NodeConfig>(Flags::new())?;
    let at = LedgerPlace::of(&config);
    let client = Client::new(&config.data_dir)?;
    match client.get::<Value>("/api/v1/status").await {
        Err(error) if Exit::of(error.chain()) == Exit::NoDaemon => Ok((Reach::Stopped(at.clone()), at)),
        Err(error) => Err(error),
        Ok(_) => Ok((Reach::Running(client), at)),
    }
}

/// Opens the ledger of a node that does not run.
pub(super) async fn open(place: &LedgerPlace) -> anyhow::Result<Opened> {
    let begin = Instant::now();
    loop {
        match Book::open(place) {
            Ok(book) => return Ok(Opened(RefCell::new(book))),
            Err(error) if error.is_locked() && begin.elapsed() < PATIENCE => tokio::time::sleep(INTERVAL).await,
            Err(error) => return Err(refused(error).into()),
        }
    }
}

/// A refusal with the exit code that it has from a running node, too.
pub(super) fn refused(error: LedgerError) -> Stop {
    match error {
        LedgerError::Wrong(text) => Stop::usage(text),
        LedgerError::Address(error) => Stop::usage(error.to_string()),
        error @ (LedgerError::None(_)
        | LedgerError::Present { .. }
        | LedgerError::Genesis { .. }
        | LedgerError::File(_)
        | LedgerError::Open(_)
        | LedgerError::Store(_)
        | LedgerError::Index(_)
        | LedgerError::Rebuild(_)
        | LedgerError::Verify(_)
        | LedgerError::Silent(_)) => Stop::new(Exit::Failed, error.to_string()),
    }
}

/// The same for the wallet.
pub(super) fn money_refused(error: MoneyError) -> Stop {
    match error {
        MoneyError::Ledger(error) => refused(*error),
        MoneyError::Wrong(text) => Stop::usage(text),
        error @ (MoneyError::Wallet(_) | MoneyError::NotMined { .. }) => Stop::new(Exit::Failed, error.to_string()),
    }
}

/// Prints a document, or its words.
pub(super) fn show<D: Serialize>(document: &D, json: bool, words: impl FnOnce(&D) -> String) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string(document)? } else { words(document) };
    Ok(print(&text)?)
}
