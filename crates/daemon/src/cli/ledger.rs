//! `ledger`: the chain of a node that runs or not.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use meshline_ledger::consensus::verify_headers;
use meshline_ledger::sighash::BatchVerifier;
use meshline_wallet::verbs::NewDocument;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Client;
use super::place::Place;
use super::progress::Bar;
use super::reach::{Reach, money_refused, open, reach, refused, show};
use super::secret;
use crate::exit::{Exit, Stop};
use crate::ledger::{
    BlocksDocument, CreateDocument, CreateOrder, Desk, HeaderFault, HeadersDocument, LedgerPlace, MAX_BLOCKS,
    MineDocument, Opened, Purse, ReindexDocument, SearchDocument, StatusDocument, VerifyDocument, Words, blocks,
    create, refuse_present, reindexed, status, verified,
};

const LEDGER: &str = "/api/v1/ledger";

/// Blocks that are shown unless told.
const BLOCKS: usize = 10;

/// How often a node is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerVerb {
    /// Make a chain: a preset, with single parameters of one's own
    Create(Box<CreateArgs>),
    /// Show how the ledger stands, how far it is against other members, and the search for blocks
    Status(StatusArgs),
    /// Show the blocks, newest first
    Blocks(BlocksArgs),
    /// Judge the whole chain again
    Verify,
    /// Judge a file of raw 80-byte Bitcoin headers, of which the first is trusted
    VerifyHeaders(HeadersArgs),
    /// Build the unspent outputs anew from the blocks: repairs what `verify` finds
    Reindex,
    /// Switch the search for blocks of the running node on or off
    Mine(MineArgs),
}

/// A new chain.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Who gets the money of the first block; a new address of this node's wallet unless told
    #[arg(long, value_name = "ADDRESS", env = "MESHLINE_ADDRESS")]
    address: Option<String>,
    /// tutorial, test or main
    #[arg(long, value_name = "PRESET", env = "MESHLINE_PRESET", default_value = "tutorial")]
    preset: String,
    /// What people call the chain [default: the preset's name]
    #[arg(long, value_name = "NAME", env = "MESHLINE_CHAIN_NAME")]
    chain_name: Option<String>,
    /// What addresses begin with: 1 to 16 small letters
    #[arg(long, value_name = "LETTERS", env = "MESHLINE_PREFIX")]
    prefix: Option<String>,
    /// The text in the first block
    #[arg(long, value_name = "TEXT", env = "MESHLINE_MESSAGE")]
    message: Option<String>,
    /// fixed, bitcoin:SPACING_S:INTERVAL or asert:SPACING_S:HALF_LIFE_S
    #[arg(long, value_name = "RULE", env = "MESHLINE_DIFFICULTY")]
    difficulty: Option<String>,
    /// Easiest bits, eight hexadecimal digits
    #[arg(long, value_name = "HEX", env = "MESHLINE_BITS")]
    bits: Option<String>,
    /// New money in a block, in coins
    #[arg(long, value_name = "COINS", env = "MESHLINE_SUBSIDY")]
    subsidy: Option<String>,
    /// Blocks until that is halved; 0 for never
    #[arg(long, value_name = "BLOCKS", env = "MESHLINE_HALVING_INTERVAL")]
    halving_interval: Option<u32>,
    /// Blocks until a reward can be spent
    #[arg(long, value_name = "BLOCKS", env = "MESHLINE_MATURITY")]
    maturity: Option<u32>,
    /// Most bytes of a block
    #[arg(long, value_name = "BYTES", env = "MESHLINE_MAX_BLOCK_SIZE")]
    max_block_size: Option<u32>,
    /// Most signatures in a block
    #[arg(long, value_name = "N", env = "MESHLINE_MAX_SIGNATURES")]
    max_signatures: Option<u32>,
    /// Least fee for 1,000 bytes, in base units
    #[arg(long, value_name = "UNITS", env = "MESHLINE_LEAST_FEE_RATE")]
    least_fee_rate: Option<u64>,
    /// Whether blocks without payments are mined
    #[arg(long, value_name = "BOOL", env = "MESHLINE_MINE_EMPTY")]
    mine_empty: Option<bool>,
    /// Mine from so many waiting payments on
    #[arg(long, value_name = "N", env = "MESHLINE_TEMPLATE_FROM")]
    template_from: Option<u32>,
}

/// How to show it.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Wait until all blocks that linked members have are here, and show how far it is meanwhile
    #[arg(long, env = "MESHLINE_WATCH")]
    watch: bool,
}

/// Which blocks.
#[derive(Debug, Args)]
pub struct BlocksArgs {
    /// Height of the first one shown [default: the last block]
    #[arg(long, value_name = "HEIGHT", env = "MESHLINE_FROM")]
    from: Option<u32>,
    /// How many at most, up to 100
    #[arg(long, value_name = "N", env = "MESHLINE_LIMIT", default_value_t = BLOCKS)]
    limit: usize,
}

/// A file of headers.
#[derive(Debug, Args)]
pub struct HeadersArgs {
    /// The file; - for standard input
    file: PathBuf,
    /// Height of the first header
    #[arg(long, value_name = "HEIGHT", env = "MESHLINE_HEIGHT", default_value_t = 0)]
    height: u32,
}

/// Whether blocks are searched.
#[derive(Debug, Args)]
pub struct MineArgs {
    /// on or off
    switch: Switch,
    /// Who gets the rewards; whoever got them last unless told
    #[arg(long, value_name = "ADDRESS", env = "MESHLINE_TO")]
    to: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    /// Search.
    On,
    /// Do not.
    Off,
}

/// Does a verb of the ledger.
///
/// # Errors
/// With the exit code the command should end with.
pub async fn ledger(verb: LedgerVerb, place: &Place) -> anyhow::Result<()> {
    if let LedgerVerb::VerifyHeaders(args) = &verb {
        // A file by itself: no node is needed for it, nor its configuration.
        return judge_headers(args, place.json);
    }
    let (at, files) = reach(place).await?;
    match verb {
        LedgerVerb::Create(args) => make(&at, &files, order(*args), place.json).await,
        LedgerVerb::Status(args) => tell_status(&at, args.watch, place.json).await,
        LedgerVerb::Blocks(args) => tell_blocks(&at, &args, place.json).await,
        LedgerVerb::Verify => verify(&at, place.json).await,
        LedgerVerb::Reindex => reindex(&at, place.json).await,
        LedgerVerb::Mine(args) => mine(&at, &args, place.json).await,
        LedgerVerb::VerifyHeaders(args) => judge_headers(&args, place.json),
    }
}

fn order(args: CreateArgs) -> CreateOrder {
    CreateOrder {
        address: args.address,
        preset: Some(args.preset),
        chain_name: args.chain_name,
        prefix: args.prefix,
        message: args.message,
        difficulty: args.difficulty,
        bits: args.bits,
        subsidy: args.subsidy,
        halving_interval: args.halving_interval,
        maturity: args.maturity,
        max_block_size: args.max_block_size,
        max_signatures: args.max_signatures,
        least_fee_rate: args.least_fee_rate,
        mine_empty: args.mine_empty,
        template_from: args.template_from,
    }
}

async fn make(at: &Reach, files: &LedgerPlace, mut order: CreateOrder, json: bool) -> anyhow::Result<()> {
    refuse_present(files).map_err(refused)?;
    // Before a wallet is made for nothing.
    order.prefix().map_err(refused)?;
    let mut phrase = None;
    let address = match order.address.clone() {
        Some(address) => address,
        None => {
            let made = own_address(at, files).await?;
            phrase = made.phrase.as_ref().map(|words| words.to_string());
            made.address
        }
    };
    let mut document: CreateDocument = match at {
        Reach::Running(client) => {
            order.address = Some(address);
            searched(client, "mining the first block", LEDGER, &serde_json::to_value(&order)?).await?
        }
        Reach::Stopped(files) => {
            let mut bar = Bar::new("mining the first block");
            create(files, &order, &address, &mut |done, of| bar.hashes(done, of)).map_err(refused)?.1
        }
    };
    document.phrase = phrase;
    show(&document, json, CreateDocument::words)
}

async fn own_address(at: &Reach, files: &LedgerPlace) -> anyhow::Result<NewDocument> {
    let passphrase = secret::passphrase(files)?;
    match at {
        Reach::Running(client) => {
            client.post_slow("/api/v1/wallet/new", &json!({"passphrase": passphrase.as_str()})).await
        }
        Reach::Stopped(files) => {
            let purse = Purse { place: files, passphrase: &passphrase };
            Ok(purse.new_address(None::<&Opened>).map_err(money_refused)?)
        }
    }
}

async fn tell_status(at: &Reach, watch: bool, json: bool) -> anyhow::Result<()> {
    let document: StatusDocument = match at {
        Reach::Running(client) if watch => synced(client).await?,
        Reach::Running(client) => client.get(LEDGER).await?,
        Reach::Stopped(_) if watch => {
            return Err(Stop::new(Exit::NoDaemon, "the node does not run: nothing comes from other members").into());
        }
        Reach::Stopped(files) => open(files).await?.with(|book| status(book, None, None)).map_err(refused)?,
    };
    show(&document, json, StatusDocument::words)
}

/// Waits until all is here, and shows how far it is.
async fn synced(client: &Client) -> anyhow::Result<StatusDocument> {
    let mut bar = Bar::new("sync");
    loop {
        let status: StatusDocument = client.get(LEDGER).await?;
        match &status.sync {
            Some(sync) if sync.state != "synced" => bar.say(|| format!("sync {}", sync.words_at(status.height))),
            Some(_) | None => return Ok(status),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn tell_blocks(at: &Reach, args: &BlocksArgs, json: bool) -> anyhow::Result<()> {
    let (from, limit) = (args.from, args.limit.clamp(1, MAX_BLOCKS));
    let document: BlocksDocument = match at {
        Reach::Running(client) => {
            let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
            client.get(&format!("{LEDGER}/blocks?limit={limit}{from}")).await?
        }
        Reach::Stopped(files) => {
            let desk = open(files).await?;
            desk.with(move |book| blocks(book, from, limit)).and_then(|answer| answer).map_err(refused)?
        }
    };
    show(&document, json, BlocksDocument::words)
}

async fn verify(at: &Reach, json: bool) -> anyhow::Result<()> {
    let document: VerifyDocument = match at {
        Reach::Running(client) => watched(client, "verify", &format!("{LEDGER}/verify")).await?,
        Reach::Stopped(files) => judge(&open(files).await?)?,
    };
    show(&document, json, VerifyDocument::words)?;
    if document.valid { Ok(()) } else { Err(Stop::new(Exit::Failed, "the ledger is not valid").into()) }
}

fn judge(desk: &Opened) -> Result<VerifyDocument, Stop> {
    let mut bar = Bar::new("verify");
    let book = desk.0.borrow();
    let height = book.chain.height();
    let of = f64::from(height) + 1.0;
    let verdict = book.chain.verify(&BatchVerifier, |at| bar.at(f64::from(at) + 1.0, of));
    Ok(verified(height, &verdict))
}

async fn reindex(at: &Reach, json: bool) -> anyhow::Result<()> {
    let document: ReindexDocument = match at {
        Reach::Running(client) => watched(client, "reindex", &format!("{LEDGER}/reindex")).await?,
        Reach::Stopped(files) => {
            let desk = open(files).await?;
            let mut bar = Bar::new("reindex");
            let mut book = desk.0.borrow_mut();
            let of = f64::from(book.chain.height()) + 1.0;
            let kept = book.chain.reindex_with(|at| bar.at(f64::from(at) + 1.0, of));
            reindexed(&kept.map_err(|error| refused(error.into()))?)
        }
    };
    show(&document, json, ReindexDocument::words)
}

/// Has the node do something long, and shows how far it is.
async fn watched<T: DeserializeOwned>(client: &Client, label: &'static str, path: &str) -> anyhow::Result<T> {
    let mut bar = Bar::new(label);
    let nothing = json!({});
    let work = client.post_slow(path, &nothing);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK_EVERY) => {
                let status = client.get::<StatusDocument>(LEDGER).await.ok();
                if let Some(task) = status.and_then(|status| status.task) {
                    bar.at(task.done.into(), task.of.into());
                }
            }
        }
    }
}

/// Has the node do something for which it may search a nonce, and shows how far that is.
pub(super) async fn searched<T: DeserializeOwned>(
    client: &Client,
    label: &'static str,
    path: &str,
    body: &Value,
) -> anyhow::Result<T> {
    let mut bar = Bar::new(label);
    let work = client.post_slow(path, body);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK_EVERY) => {
                let told = client.get::<SearchDocument>(&format!("{LEDGER}/search")).await.ok();
                if let Some(search) = told.and_then(|told| told.search) {
                    bar.hashes(search.hashes, search.expected);
                }
            }
        }
    }
}

async fn mine(at: &Reach, args: &MineArgs, json: bool) -> anyhow::Result<()> {
    let Reach::Running(client) = at else {
        let message =
            "the node does not run: blocks are searched by a running one (`wallet send --mine` mines one at once)";
        return Err(Stop::new(Exit::NoDaemon, message).into());
    };
    let body: Value = json!({"on": args.switch == Switch::On, "to": args.to});
    let document: MineDocument = client.post(&format!("{LEDGER}/mine"), &body).await?;
    show(&document, json, MineDocument::words)
}

fn judge_headers(args: &HeadersArgs, json: bool) -> anyhow::Result<()> {
    let failed = |error: io::Error| Stop::new(Exit::Failed, format!("{}: {error}", args.file.display()));
    let mut bar = Bar::new("verify-headers");
    let report = if args.file == Path::new("-") {
        verify_headers(io::stdin().lock(), args.height)
    } else {
        let file = File::open(&args.file).map_err(failed)?;
        let size = file.metadata().map_or(0, |about| about.len());
        verify_headers(Counted { file, read: 0, size, bar: &mut bar }, args.height)
    };
    drop(bar);
    let report = report.map_err(failed)?;
    let document = HeadersDocument {
        schema: "meshline/ledger-verify-headers/1".into(),
        count: report.count,
        work: format!("{:x}", report.work),
        fault: report.fault.map(|fault| HeaderFault { height: fault.height, rule: fault.name().to_owned() }),
    };
    show(&document, json, HeadersDocument::words)?;
    match &document.fault {
        None => Ok(()),
        Some(fault) => {
            let message = format!("the header at height {} breaks the rule {}", fault.height, fault.rule);
            Err(Stop::new(Exit::Failed, message).into())
        }
    }
}

/// A file that says how far it was read.
struct Counted<'a> {
    file: File,
    read: u64,
    size: u64,
    bar: &'a mut Bar,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        let headers = |bytes: u64| (bytes / 80) as f64;
        self.bar.at(headers(self.read), headers(self.size));
        Ok(read)
    }
}
