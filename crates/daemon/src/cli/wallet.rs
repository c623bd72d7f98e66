//! `wallet`: addresses, balances and payments, of a node that runs or not.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use meshline_wallet::Passphrase;
use meshline_wallet::verbs::{
    BalanceDocument, HistoryDocument, ListDocument, MAX_ROWS, NewDocument, RestoreDocument, SendDocument,
};
use serde_json::{Value, json};

use super::client::{Client, in_path};
use super::ledger::searched;
use super::place::Place;
use super::progress::Bar;
use super::reach::{Reach, money_refused, open, reach, show};
use super::secret;
use crate::config::{Flags, MemberConfig, ViewConfig};
use crate::exit::Stop;
use crate::ledger::{Desk, LedgerError, LedgerPlace, LightDocument, MoneyError, Opened, Purse, SendRequest, balance};

/// What to do with the wallet.
#[derive(Debug, Subcommand)]
pub enum WalletVerb {
    /// Make an address; the first time a wallet too, whose phrase is shown once
    New,
    /// List the addresses and what they hold
    List,
    /// Show what an address holds; it need not be one of this wallet
    Balance {
        /// The address
        address: String,
    },
    /// Pay somebody
    Send(SendArgs),
    /// Show what came in and went out
    History {
        /// So many transactions at most, the last ones
        #[arg(long, value_name = "N", env = "MESHLINE_LIMIT", default_value_t = MAX_ROWS)]
        limit: usize,
    },
    /// Make the wallet of a phrase again (MESHLINE_WALLET_PHRASE, or asked for)
    Restore {
        /// Unused addresses in a row after which the search ends
        #[arg(long, value_name = "N", env = "MESHLINE_GAP")]
        gap: Option<u32>,
    },
}

/// A payment.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Address whose coins are spent, and that gets the change; all of the wallet unless told
    #[arg(long, value_name = "ADDRESS", env = "MESHLINE_FROM")]
    from: Option<String>,
    /// Address that is paid
    #[arg(long, value_name = "ADDRESS", env = "MESHLINE_TO")]
    to: String,
    /// How much, in coins, such as 10 or 0.001
    #[arg(long, value_name = "COINS", env = "MESHLINE_AMOUNT")]
    amount: String,
    /// What it may cost, in base units for 1,000 bytes
    #[arg(long, value_name = "RATE", env = "MESHLINE_FEE_RATE")]
    fee_rate: Option<u64>,
    /// Mine a block with it at once; its reward goes to --from
    #[arg(long, env = "MESHLINE_MINE", value_parser = clap::builder::FalseyValueParser::new(), requires = "from")]
    mine: bool,
}

/// Where a view says how far it is.
const LIGHT: &str = "/api/v1/ledger/light";

/// Between two looks at how far a view is.
const INTERVAL: Duration = Duration::from_millis(250);

/// A view that does not get on for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a payment is told where no node runs that could announce it.
const STOPPED: &str = "The node is stopped: the transaction is kept, and announced when it starts.";

/// Does a verb of the wallet.
///
/// # Errors
/// With the exit code the command should end with.
pub async fn wallet(verb: WalletVerb, place: &Place) -> anyhow::Result<()> {
    let (at, files) = reach(place).await?;
    if let WalletVerb::Balance { address } = &verb {
        return tell_balance(&at, address, place.json).await;
    }
    let passphrase = secret::passphrase(&files)?;
    match at {
        Reach::Running(client) => running(&client, verb, &passphrase, place.json).await,
        Reach::Stopped(files) => stopped(&files, verb, &passphrase, place.json).await,
    }
}

/// Does a verb of the wallet of a view, which follows the ledger while it runs.
///
/// # Errors
/// With the exit code the command should end with.
pub async fn light_wallet(verb: WalletVerb, place: &Place) -> anyhow::Result<()> {
    if matches!(&verb, WalletVerb::Send(args) if args.mine) {
        return Err(Stop::usage("a view makes no blocks: without --mine the payment waits for a node that does").into());
    }
    let config = place.locate::<ViewConfig>(Flags::new())?.into_node();
    let (files, client) = (LedgerPlace::of(&config), Client::new(&config.data_dir)?);
    let known: LightDocument = client.get(LIGHT).await?;
    if !matches!(verb, WalletVerb::New) {
        show_progress(&client, known).await?;
    }
    if let WalletVerb::Balance { address } = &verb {
        return tell_balance_of(&client, address, place.json).await;
    }
    let passphrase = secret::passphrase(&files)?;
    running(&client, verb, &passphrase, place.json).await
}

/// Says how far a view is while it gets on; if it does not, the verb says why.
async fn show_progress(client: &Client, mut known: LightDocument) -> anyhow::Result<()> {
    let (mut changed, mut bar) = (Instant::now(), Bar::new("ledger"));
    while known.phase != "synced" && changed.elapsed() < PATIENCE {
        tokio::time::sleep(INTERVAL).await;
        let now: LightDocument = client.get(LIGHT).await?;
        if (now.height, now.scanned) != (known.height, known.scanned) {
            changed = Instant::now();
        }
        let words = now.words();
        bar.say(|| words.lines().next().unwrap_or_default().to_owned());
        known = now;
    }
    Ok(())
}

async fn tell_balance(at: &Reach, address: &str, json: bool) -> anyhow::Result<()> {
    let document: BalanceDocument = match at {
        Reach::Running(client) => client.get(&format!("/api/v1/wallet/balance/{}", in_path(address))).await?,
        Reach::Stopped(files) => balance(&open(files).await?, address).map_err(money_refused)?,
    };
    show(&document, json, BalanceDocument::words)
}

fn new_words(document: &NewDocument) -> String {
    document.words().to_string()
}

async fn running(client: &Client, verb: WalletVerb, passphrase: &Passphrase, json: bool) -> anyhow::Result<()> {
    let secret = passphrase.as_str();
    let path = |verb: &str| format!("/api/v1/wallet/{verb}");
    match verb {
        WalletVerb::New => {
            let document: NewDocument = client.post_slow(&path("new"), &json!({"passphrase": secret})).await?;
            show(&document, json, new_words)
        }
        WalletVerb::List => {
            let document: ListDocument = client.post_slow(&path("list"), &json!({"passphrase": secret})).await?;
            show(&document, json, ListDocument::words)
        }
        WalletVerb::Send(args) => {
            let body = send_body(&args, secret);
            let document: SendDocument = searched(client, "mining", &path("send"), &body).await?;
            show(&document, json, SendDocument::words)
        }
        WalletVerb::History { limit } => {
            let body = json!({"passphrase": secret, "limit": limit});
            let document: HistoryDocument = client.post_slow(&path("history"), &body).await?;
            show(&document, json, HistoryDocument::words)
        }
        WalletVerb::Restore { gap } => {
            let body = json!({"passphrase": secret, "phrase": secret::phrase()?, "gap": gap});
            let document: RestoreDocument = client.post_slow(&path("restore"), &body).await?;
            show(&document, json, RestoreDocument::words)
        }
        WalletVerb::Balance { address } => tell_balance_of(client, &address, json).await,
    }
}

async fn tell_balance_of(client: &Client, address: &str, json: bool) -> anyhow::Result<()> {
    let document: BalanceDocument = client.get(&format!("/api/v1/wallet/balance/{}", in_path(address))).await?;
    show(&document, json, BalanceDocument::words)
}

fn send_body(args: &SendArgs, passphrase: &str) -> Value {
    json!({
        "passphrase": passphrase, "from": args.from, "to": args.to, "amount": args.amount, "fee_rate": args.fee_rate,
        "mine": args.mine,
    })
}

async fn stopped(files: &LedgerPlace, verb: WalletVerb, passphrase: &Passphrase, json: bool) -> anyhow::Result<()> {
    let purse = Purse { place: files, passphrase };
    let refused = |error: MoneyError| money_refused(error);
    match verb {
        WalletVerb::New => show(&purse.new_address(if_there(files).await?.as_ref()).map_err(refused)?, json, new_words),
        WalletVerb::List => {
            show(&purse.list(if_there(files).await?.as_ref()).map_err(refused)?, json, ListDocument::words)
        }
        WalletVerb::Send(args) => {
            let document = send(&purse, &open(files).await?, args)?;
            show(&document, json, SendDocument::words)
        }
        WalletVerb::History { limit } => {
            show(&purse.history(&open(files).await?, limit).map_err(refused)?, json, HistoryDocument::words)
        }
        WalletVerb::Restore { gap } => {
            let desk = open(files).await?;
            let document = purse.restore(&desk, &secret::phrase()?, gap).map_err(refused)?;
            show(&document, json, RestoreDocument::words)
        }
        WalletVerb::Balance { address } => {
            show(&balance(&open(files).await?, &address).map_err(refused)?, json, BalanceDocument::words)
        }
    }
}

/// The ledger, if there is one: a wallet can be made before.
async fn if_there(files: &LedgerPlace) -> anyhow::Result<Option<Opened>> {
    if files.is_present() { open(files).await.map(Some) } else { Ok(None) }
}

fn send(purse: &Purse<'_>, desk: &Opened, args: SendArgs) -> Result<SendDocument, Stop> {
    let SendArgs { from, to, amount, fee_rate, mine } = args;
    let request = SendRequest { from, to, amount, rate: fee_rate, mine };
    let mut bar = Bar::new("mining");
    let sent = purse.send(desk, &request, &mut |done, of| bar.hashes(done, of));
    drop(bar);
    // Whatever came of the block, what was sent is to be there at the next start.
    let kept = desk.with(|book| book.save()).and_then(|saved| saved);
    let mut document = sent.map_err(money_refused)?;
    kept.map_err(|error: LedgerError| super::reach::refused(error))?;
    document.note = (!mine).then(|| STOPPED.to_owned());
    Ok(document)
}
