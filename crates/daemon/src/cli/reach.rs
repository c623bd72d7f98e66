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
    Ok((find(Client::new(&config.data_dir)?, &at, PATIENCE).await?, at))
}

/// A node that starts has its ledger before anybody can ask it: while nobody answers and somebody has the ledger, it is
/// asked again.
async fn find(client: Client, at: &LedgerPlace, patience: Duration) -> anyhow::Result<Reach> {
    let begin = Instant::now();
    loop {
        match client.get::<Value>("/api/v1/status").await {
            Ok(_) => return Ok(Reach::Running(client)),
            Err(error) if Exit::of(error.chain()) != Exit::NoDaemon => return Err(error),
            Err(_) if at.is_in_use() && begin.elapsed() < patience => tokio::time::sleep(INTERVAL).await,
            Err(_) => return Ok(Reach::Stopped(at.clone())),
        }
    }
}

/// Opens the ledger of a node that does not run.
pub(super) async fn open(place: &LedgerPlace) -> anyhow::Result<Opened> {
    open_within(place, PATIENCE).await
}

async fn open_within(place: &LedgerPlace, patience: Duration) -> anyhow::Result<Opened> {
    let begin = Instant::now();
    loop {
        match Book::open(place) {
            Ok(book) => return Ok(Opened(RefCell::new(book))),
            Err(error) if error.is_locked() && begin.elapsed() < patience => tokio::time::sleep(INTERVAL).await,
            Err(error) if error.is_locked() => return Err(in_use(place).into()),
            Err(error) => return Err(refused(error).into()),
        }
    }
}

/// Nobody answers for a ledger that somebody has.
fn in_use(place: &LedgerPlace) -> Stop {
    let text = format!(
        "{}: another process uses this ledger, and no node answers for it: one that is starting, or another command. Ask \
         again in a moment",
        place.folder.display()
    );
    Stop::new(Exit::Failed, text)
}

/// A refusal with the exit code that it has from a running node, too.
pub(super) fn refused(error: LedgerError) -> Stop {
    match error {
        LedgerError::Wrong(text) => Stop::usage(text),
        LedgerError::Address(error) => Stop::usage(error.to_string()),
        error @ (LedgerError::None(_)
        | LedgerError::NoneFollowed(_)
        | LedgerError::Followed
        | LedgerError::Kept
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LedgerPlace, Reach, find, open_within};
    use crate::cli::client::Client;
    use crate::files;
    use crate::ledger::{CreateOrder, create};

    const ADDRESS: &str = "mesh1qp5sez3punh6d9mwrxw7c29n2u9led8cscggkdkj";

    #[tokio::test]
    async fn a_ledger_that_somebody_has_is_waited_for_and_then_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = LedgerPlace {
            genesis: folder.path().join("ledger/genesis.json"),
            folder: folder.path().join("ledger"),
            wallet: folder.path().join("wallet"),
            filters: false,
            is_light: false,
        };
        drop(create(&place, &CreateOrder::default(), ADDRESS, &mut |_, _| {}).expect("a chain"));
        let client = || Client::new(folder.path()).expect("a path");
        let held = files::lock_folder(&place.folder).expect("free");
        let refused = open_within(&place, Duration::ZERO).await.expect_err("in use").to_string();
        assert!(refused.contains("no node answers for it") && refused.contains("in a moment"), "{refused}");
        let long = Duration::from_secs(60);
        let mut found = tokio::spawn({
            let (client, place) = (client(), place.clone());
            async move { find(client, &place, long).await }
        });
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut found).await;
        assert!(waits.is_err(), "a node may be starting");
        drop(held);
        let reach = found.await.expect("no panic").expect("an answer");
        assert!(matches!(reach, Reach::Stopped(_)), "{reach:?}");
        assert!(open_within(&place, Duration::ZERO).await.is_ok());
    }
}
