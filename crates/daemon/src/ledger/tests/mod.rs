//! The ledger of a node without the node: what its files keep, what a fork does, what is refused.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use meshline_ledger::chain::Accepted;
use meshline_ledger::mempool::{Added, Origin, PoolRefusal};
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::sync::Input;
use meshline_ledger::{Amount, Block, Lock, Transaction};
use meshline_wallet::payment::Order;
use meshline_wallet::{Address, Chain as _, Passphrase, Phrase, Wallet};

use super::book::now_s;
use super::documents::Words;
use super::teller::Teller;
use super::{
    Book, CreateOrder, Desk, LedgerError, LedgerPlace, MoneyError, Opened, Purse, SendRequest, address, balance, block,
    blocks, create, mempool, mine, status, transaction,
};

mod running;

/// The words of the tests of BIP-39, whose money is nobody's.
const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

pub(super) fn place(folder: &Path) -> LedgerPlace {
    LedgerPlace {
        genesis: folder.join("ledger/genesis.json"),
        folder: folder.join("ledger"),
        wallet: folder.join("wallet"),
        filters: true,
        is_light: false,
    }
}

pub(super) fn silent() -> impl FnMut(f64, f64) {
    |_, _| {}
}

/// Whoever has the keys of a phrase, without a file.
pub(super) fn owner() -> Wallet {
    let mut wallet = Wallet::of_phrase(&Phrase::parse(PHRASE).unwrap());
    wallet.next(meshline_wallet::keys::Branch::Receive).unwrap();
    wallet
}

pub(super) fn lock_of(wallet: &Wallet) -> Lock {
    wallet.handed_out(meshline_wallet::keys::Branch::Receive)[0]
}

/// A lock that nobody opens.
pub(super) fn stranger(number: u8) -> Lock {
    Lock::KeyHash([number; 20])
}

fn spell(book: &Book, lock: Lock) -> String {
    Address { prefix: book.prefix(), lock }.to_string()
}

/// A new chain of the preset `tutorial`, whose first money is the owner's.
pub(super) fn new_book(place: &LedgerPlace) -> Book {
    let wallet = owner();
    let prefix = CreateOrder::default().prefix().unwrap();
    let address = Address { prefix, lock: lock_of(&wallet) }.to_string();
    create(place, &CreateOrder::default(), &address, &mut silent()).unwrap().0
}

/// A payment of the owner, handed in by nobody.
fn payment(desk: &Opened, to: Lock, coins: u64) -> Transaction {
    let mut wallet = owner();
    let teller = Teller(desk);
    let order = Order { from: None, to, amount: Amount::from_coins(coins).unwrap(), rate: None };
    let coins = teller.coins(&wallet.locks()).unwrap();
    wallet.pay(&coins, &order, &teller.terms().unwrap()).unwrap().transaction
}

/// A payment comes from a peer.
fn brought(book: &mut Book, payment: &Transaction) -> Result<Added, PoolRefusal> {
    book.pool.add(&book.chain, payment, (Origin::Peer(1), now_s()), &BatchVerifier)
}

fn mined(book: &mut Book, to: Lock) -> Block {
    let block = book.template(to).block;
    mine::seal(block, &mut silent())
}

fn told(desk: &Opened, lock: Lock) -> String {
    let address = desk.with(move |book| spell(book, lock)).unwrap();
    balance(desk, &address).unwrap().balance
}

#[test]
fn the_tutorial_comes_out_without_a_running_node() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let passphrase = Passphrase::new("correct horse".to_owned()).unwrap();
    let purse = Purse { place: &place, passphrase: &passphrase };
    let new = || purse.new_address(None::<&Opened>).unwrap().address;
    let [central, one, two, three, four, miner] = [new(), new(), new(), new(), new(), new()];
    let (book, made) = create(&place, &CreateOrder::default(), &central, &mut silent()).unwrap();
    assert!(made.words().starts_with("Done!\n"), "{}", made.words());
    let desk = Opened(RefCell::new(book));
    let send = |from: &str, to: &str, amount: &str, mine: bool| {
        let (from, to, amount) = (Some(from.to_owned()), to.to_owned(), amount.to_owned());
        purse.send(&desk, &SendRequest { from, to, amount, rate: None, mine }, &mut silent())
    };
    for to in [&one, &two] {
        let sent = send(&central, to, "10", true).unwrap();
        assert_eq!((sent.fee.as_str(), sent.block.is_some()), ("0", true));
        assert!(sent.words().starts_with("Success!\n"));
    }
    let balances = |addresses: &[&String]| -> Vec<String> {
        addresses.iter().map(|address| balance(&desk, address).unwrap().words()).collect()
    };
    let expected = |address: &str, coins: &str| format!("Balance of '{address}': {coins}");
    assert_eq!(balances(&[&one, &two, &central]), [&one, &two, &central].map(|address| expected(address, "10")));
    send(&one, &three, "1", false).unwrap();
    send(&two, &four, "1", false).unwrap();
    let to = Address::parse(&miner, place.prefix().unwrap()).unwrap().lock;
    mine::mine_block(&desk, to, &mut silent()).unwrap();
    let coins = ["9", "9", "1", "1", "10", "10"];
    let all = [&one, &two, &three, &four, &miner, &central];
    let all_expected: Vec<String> = all.iter().zip(coins).map(|(address, coins)| expected(address, coins)).collect();
    assert_eq!(balances(&all), all_expected);
    let refused = send(&one, &two, "10", false).unwrap_err();
    assert_eq!(refused.to_string(), format!("{one} has 9, needs 10"));
}

#[test]
fn what_waits_is_there_again_even_if_the_process_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let desk = Opened(RefCell::new(new_book(&place)));
    let payment = payment(&desk, stranger(1), 3);
    let txid = payment.txid();
    desk.with(move |book| book.submit_tx(&payment)).unwrap().unwrap();
    // Nothing is saved at the end: as after a kill.
    drop(desk);
    let book = Book::open(&place).unwrap();
    assert_eq!(book.pool.len(), 1);
    assert!(book.pool.get(&txid).is_some());
    assert!(mempool(&book, 10).transactions[0].own);
}

#[test]
fn what_was_sent_comes_back_after_a_reorganisation_and_a_kill() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (place(here.path()), place(there.path()));
    let desk = Opened(RefCell::new(new_book(&here)));
    std::fs::create_dir_all(&there.folder).unwrap();
    std::fs::copy(&here.genesis, &there.genesis).unwrap();
    let mut other = Book::open(&there).unwrap();
    let mut sent = Vec::new();
    // Each builds on the one before it, whatever their names are.
    for number in 1..=6 {
        let payment = payment(&desk, stranger(number), 1);
        sent.push(payment.txid());
        desk.with(move |book| {
            book.submit_tx(&payment).unwrap();
            if number == 3 {
                let block = mined(book, stranger(9));
                book.submit_block(&block, true).unwrap();
            }
        })
        .unwrap();
    }
    for _ in 0..2 {
        let block = mined(&mut other, stranger(8));
        other.submit_block(&block, true).unwrap();
        desk.with(move |book| book.submit_block(&block, false)).unwrap().unwrap();
    }
    // Nothing is saved at the end: as after a kill.
    drop(desk);
    let mut book = Book::open(&here).unwrap();
    assert_eq!((book.chain.height(), book.pool.len()), (2, 6));
    assert!(sent.iter().all(|txid| book.pool.get(txid).is_some()));
    // Deep in the chain they are forgotten at last.
    for _ in 0..super::book::SAFE_DEPTH + 1 {
        let block = mined(&mut book, stranger(7));
        book.submit_block(&block, true).unwrap();
    }
    let saved = |place: &LedgerPlace| std::fs::metadata(place.file("own.dat")).unwrap().len();
    let before = saved(&here);
    while !book.follow().unwrap() {}
    book.save().unwrap();
    assert!(saved(&here) < before && saved(&here) < 8, "{} of {before} bytes", saved(&here));
}

#[test]
fn the_moment_that_the_synchronisation_named_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = new_book(&place(folder.path()));
    book.handle(Input::Tick);
    let named = book.idle_us();
    assert!(named > 0 && named <= 1_000_000, "{named}");
    // paced: until just that moment
    std::thread::sleep(Duration::from_micros(named));
    assert_eq!(book.idle_us(), 0);
}

#[test]
fn what_cannot_be_kept_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let desk = Opened(RefCell::new(new_book(&place)));
    let payment = payment(&desk, stranger(1), 3);
    // A folder in the place of the file: it cannot be written.
    std::fs::create_dir(place.file("own.dat")).unwrap();
    desk.with(move |book| {
        assert!(matches!(book.submit_tx(&payment), Err(PoolRefusal::Store(_))));
        assert!(book.pool.is_empty() && book.take_tidings().is_empty());
        assert!(brought(book, &payment).is_ok(), "that of a peer is its own to keep");
    })
    .unwrap();
}

#[test]
fn what_peers_brought_is_saved_at_the_end_and_a_damaged_file_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let desk = Opened(RefCell::new(new_book(&place)));
    let payment = payment(&desk, stranger(1), 3);
    desk.with(move |book| brought(book, &payment)).unwrap().unwrap();
    desk.with(|book| book.save()).unwrap().unwrap();
    drop(desk);
    let book = Book::open(&place).unwrap();
    assert_eq!(book.pool.len(), 1);
    drop(book);
    std::fs::write(place.file("mempool.dat"), b"\x01garbage").unwrap();
    let book = Book::open(&place).unwrap();
    assert_eq!(book.pool.len(), 0);
    assert!(place.file("mempool.dat.damaged-1").exists());
}

#[test]
fn one_process_has_the_ledger_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let book = new_book(&place);
    let refused = Book::open(&place).unwrap_err();
    assert!(refused.is_locked(), "{refused}");
    assert!(refused.to_string().contains("another process"), "{refused}");
    drop(book);
    assert!(Book::open(&place).is_ok());
}

#[test]
fn a_longer_fork_brings_payments_back_to_wait_and_the_index_follows() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (place(here.path()), place(there.path()));
    let desk = Opened(RefCell::new(new_book(&here)));
    std::fs::create_dir_all(&there.folder).unwrap();
    std::fs::copy(&here.genesis, &there.genesis).unwrap();
    let mut other = Book::open(&there).unwrap();
    let payment = payment(&desk, stranger(1), 4);
    let txid = payment.txid().to_string();
    desk.with(move |book| {
        book.submit_tx(&payment).unwrap();
        let block = mined(book, stranger(9));
        book.submit_block(&block, true).unwrap();
    })
    .unwrap();
    assert_eq!((told(&desk, stranger(1)), told(&desk, stranger(9))), ("4".to_owned(), "10".to_owned()));
    let found = desk
        .with({
            let txid = txid.clone();
            move |book| transaction(book, &txid)
        })
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((found.height, found.confirmations, found.fee.as_deref()), (Some(1), 1, Some("0")));
    let longer: Vec<Block> = (0..2)
        .map(|_| {
            let block = mined(&mut other, stranger(8));
            other.submit_block(&block, true).unwrap();
            block
        })
        .collect();
    desk.with(move |book| {
        book.take_tidings();
        assert_eq!(book.submit_block(&longer[0], false).unwrap(), Accepted::Kept);
        assert!(matches!(book.submit_block(&longer[1], false).unwrap(), Accepted::Active(_)));
        let tidings = book.take_tidings();
        assert!(
            matches!(tidings.as_slice(), [super::Tidings::Tip { height: 2, connected: 2, undone: 1, .. }]),
            "{tidings:?}"
        );
    })
    .unwrap();
    let found = desk
        .with({
            let txid = txid.clone();
            move |book| transaction(book, &txid)
        })
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((found.height, found.confirmations), (None, 0), "it waits again");
    assert_eq!((told(&desk, stranger(9)), told(&desk, stranger(8))), ("0".to_owned(), "20".to_owned()));
    let rows =
        |lock: Lock| desk.with(move |book| address(book, &spell(book, lock), 10).unwrap().transactions.len()).unwrap();
    assert_eq!((rows(stranger(9)), rows(stranger(8)), rows(stranger(1))), (0, 2, 0));
    desk.with(|book| {
        let block = mined(book, stranger(7));
        assert_eq!(block.transactions.len(), 2, "and goes into the next block");
        book.submit_block(&block, true).unwrap();
    })
    .unwrap();
    assert_eq!((told(&desk, stranger(1)), rows(stranger(1))), ("4".to_owned(), 1));
}

#[test]
fn an_index_that_is_lost_or_damaged_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let mut book = new_book(&place);
    for _ in 0..3 {
        let block = mined(&mut book, stranger(9));
        book.submit_block(&block, true).unwrap();
    }
    let text = spell(&book, stranger(9));
    let heights = |book: &mut Book| -> Vec<u32> {
        address(book, &text, 10).unwrap().transactions.iter().map(|row| row.height).collect()
    };
    assert_eq!(heights(&mut book), [3, 2, 1]);
    drop(book);
    std::fs::remove_file(place.file("index.redb")).unwrap();
    assert_eq!(heights(&mut Book::open(&place).unwrap()), [3, 2, 1]);
    std::fs::write(place.file("index.redb"), vec![0xa5; 4_096]).unwrap();
    assert_eq!(heights(&mut Book::open(&place).unwrap()), [3, 2, 1]);
}

#[test]
fn blocks_are_found_by_height_and_hash_and_listed_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = new_book(&place(folder.path()));
    for _ in 0..4 {
        let block = mined(&mut book, stranger(9));
        book.submit_block(&block, true).unwrap();
    }
    let heights =
        |from, limit| -> Vec<u32> { blocks(&book, from, limit).unwrap().blocks.iter().map(|row| row.height).collect() };
    assert_eq!(heights(None, 2), [4, 3]);
    assert_eq!(heights(Some(1), 10), [1, 0]);
    assert_eq!(heights(Some(99), 1), [4]);
    assert_eq!(heights(None, 0), [4], "one at least");
    let third = block(&book, "3").unwrap().unwrap();
    assert_eq!((third.confirmations, third.block.pow), (2, true));
    assert_eq!(block(&book, &third.block.hash).unwrap().unwrap(), third);
    assert_eq!(block(&book, "77").unwrap(), None);
    assert!(matches!(block(&book, "nonsense"), Err(LedgerError::Wrong(_))));
    let words = blocks(&book, None, 1).unwrap().words();
    for line in ["============ Block ", "Height: 4", "Prev. block: ", "PoW: true", "--- Transaction "] {
        assert!(words.contains(line), "{line}: {words}");
    }
    let now = status(&book, None, None);
    assert_eq!((now.height, now.headers, now.running), (4, 4, false));
}

#[test]
fn a_ledger_is_created_once_and_its_file_shows_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    drop(new_book(&place));
    let again = create(&place, &CreateOrder::default(), "mesh1", &mut silent()).unwrap_err();
    assert!(matches!(again, LedgerError::Present { .. }), "{again}");
    let text = std::fs::read_to_string(&place.genesis).unwrap();
    std::fs::write(&place.genesis, text.replace("\"maturity\": 1", "\"maturity\": 2")).unwrap();
    assert!(matches!(Book::open(&place), Err(LedgerError::Genesis { .. })));
    std::fs::remove_file(&place.genesis).unwrap();
    let over = create(&place, &CreateOrder::default(), "mesh1", &mut silent()).unwrap_err();
    assert!(over.to_string().contains("genesis file is missing"), "{over}");
    std::fs::write(&place.genesis, text).unwrap();
    assert!(Book::open(&place).is_ok());
}

#[test]
fn orders_that_make_no_chain_are_refused_in_words() {
    let wrong = |order: CreateOrder| order.prefix().unwrap_err().to_string();
    let some = |text: &str| Some(text.to_owned());
    assert!(wrong(CreateOrder { preset: some("moon"), ..CreateOrder::default() }).contains("tutorial, test or main"));
    assert!(wrong(CreateOrder { bits: some("1"), ..CreateOrder::default() }).contains("eight hexadecimal digits"));
    assert!(wrong(CreateOrder { difficulty: some("asert:1"), ..CreateOrder::default() }).contains("asert:SPACING_S"));
    assert!(wrong(CreateOrder { subsidy: some("1,5"), ..CreateOrder::default() }).contains("subsidy"));
    assert!(wrong(CreateOrder { maturity: Some(0), ..CreateOrder::default() }).contains("maturity"));
    assert!(wrong(CreateOrder { prefix: some("M1"), ..CreateOrder::default() }).contains("small letters"));
    let own = CreateOrder { prefix: some("gold"), preset: some("test"), ..CreateOrder::default() };
    assert_eq!(own.prefix().unwrap().to_string(), "gold");
}

#[test]
fn the_presets_make_chains_of_their_own() {
    for (preset, prefix, first) in [("tutorial", "mesh", "10"), ("test", "trial", "0")] {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let order = CreateOrder { preset: Some(preset.to_owned()), ..CreateOrder::default() };
        let lock = lock_of(&owner());
        let address = Address { prefix: order.prefix().unwrap(), lock }.to_string();
        let (book, made) = create(&place, &order, &address, &mut silent()).unwrap();
        assert_eq!((made.name.as_str(), made.address.as_str()), (preset, address.as_str()));
        assert!(address.starts_with(&format!("{prefix}1")), "{address}");
        assert_eq!(made.chain, book.id().to_string());
        let desk = Opened(RefCell::new(book));
        assert_eq!(told(&desk, lock), first, "{preset}: the first money can be spent at once, or has to rest");
    }
}

#[test]
fn a_wrong_passphrase_and_a_missing_ledger_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let passphrase = |text: &str| Passphrase::new(text.to_owned()).unwrap();
    let (right, wrong) = (passphrase("right"), passphrase("wrong"));
    Purse { place: &place, passphrase: &right }.new_address(None::<&Opened>).unwrap();
    let refused = Purse { place: &place, passphrase: &wrong }.list(None::<&Opened>).unwrap_err();
    assert!(refused.to_string().contains("passphrase does not open"), "{refused}");
    let missing = Book::open(&place).unwrap_err();
    assert!(missing.to_string().contains("ledger create"), "{missing}");
    let desk = Opened(RefCell::new(new_book(&place)));
    let bad = |request: SendRequest| {
        Purse { place: &place, passphrase: &right }.send(&desk, &request, &mut silent()).unwrap_err()
    };
    let request = SendRequest { from: None, to: "x".to_owned(), amount: "1".to_owned(), rate: None, mine: false };
    assert!(matches!(bad(request.clone()), MoneyError::Wrong(_)));
    let to = desk.with(|book| spell(book, stranger(1))).unwrap();
    assert!(matches!(
        bad(SendRequest { to: to.clone(), amount: "0.000000001".to_owned(), ..request.clone() }),
        MoneyError::Wrong(_)
    ));
    let refused = bad(SendRequest { to: to.clone(), ..request.clone() });
    assert_eq!(refused.to_string(), "the wallet has 0, needs 1");
    assert!(bad(SendRequest { to, mine: true, ..request }).to_string().contains("--from"));
}

#[test]
fn a_payment_is_refused_by_the_rule_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Opened(RefCell::new(new_book(&place(folder.path()))));
    let payment = payment(&desk, stranger(1), 4);
    let mut forged = payment.clone();
    if let Some(output) = forged.outputs.first_mut() {
        output.lock = stranger(2);
    }
    desk.with(move |book| {
        assert!(matches!(brought(book, &forged), Err(PoolRefusal::Rule(_))));
        assert!(brought(book, &payment).is_ok());
        assert!(matches!(brought(book, &payment), Err(PoolRefusal::Known)));
    })
    .unwrap();
}
