//! The thread of a running node: mining, judging, and its end.

use std::time::{Duration, Instant};

use meshline_wallet::Address;
use tokio::sync::broadcast;

use super::{Book, Opened, lock_of, new_book, owner, place, stranger};
use crate::ledger::engine::{Handle, MineOrder};
use crate::ledger::{CreateOrder, Desk, Tidings, create};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(book: Book) -> (Handle, broadcast::Receiver<Tidings>) {
    let (sender, receiver) = broadcast::channel(1_024);
    (Handle::start(book, None, 2, sender).unwrap(), receiver)
}

async fn next_tip(tidings: &mut broadcast::Receiver<Tidings>) -> (u32, bool) {
    let next = async {
        loop {
            if let Tidings::Tip { height, own, .. } = tidings.recv().await.unwrap() {
                return (height, own);
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("a block")
}

#[tokio::test]
async fn blocks_are_found_while_it_is_on_and_the_chain_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    let bits = Some("2000ffff".to_owned());
    let order = CreateOrder { mine_empty: Some(true), template_from: Some(0), bits, ..CreateOrder::default() };
    let lock = lock_of(&owner());
    let to = Address { prefix: order.prefix().unwrap(), lock }.to_string();
    let (book, _) = create(&place, &order, &to, &mut |_, _| {}).unwrap();
    let (handle, mut tidings) = start(book);
    let nobody = handle.ask(|engine| engine.mine(&MineOrder { on: true, to: None })).await.unwrap().unwrap_err();
    assert!(nobody.to_string().contains("give an address"), "{nobody}");
    let on = MineOrder { on: true, to: Some(to) };
    let now = handle.ask(move |engine| engine.mine(&on)).await.unwrap().unwrap();
    assert!(now.mining.on && now.mining.searching);
    for expected in 1..=5 {
        assert_eq!(next_tip(&mut tidings).await, (expected, true));
    }
    let off = handle.ask(|engine| engine.mine(&MineOrder { on: false, to: None })).await.unwrap().unwrap();
    assert!(!off.mining.on && !off.mining.searching);
    assert!(off.mining.blocks >= 5);
    let verdict = handle.verify().await.unwrap();
    assert!(verdict.valid, "{verdict:?}");
    // Whoever asks twice gets one answer, and whoever asks something else gets it meanwhile.
    let task = handle.ask(|engine| (engine.mending.ask(), engine.status().task.map(|task| task.name)));
    let (under_way, name) = task.await.unwrap();
    assert_eq!(name.as_deref(), Some("reindex"));
    let kept = handle.reindex().await.unwrap();
    assert_eq!(under_way.await.unwrap().as_ref(), Ok(&kept));
    assert_eq!(Some(kept.set_hash), verdict.set_hash);
    handle.end().await;
    let book = Book::open(&place).unwrap();
    assert_eq!(book.chain.height(), verdict.height);
}

#[tokio::test]
async fn the_tutorials_policy_waits_for_two_payments() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Opened(std::cell::RefCell::new(new_book(&place(folder.path()))));
    let first = super::payment(&desk, stranger(1), 1);
    desk.with({
        let first = first.clone();
        move |book| super::brought(book, &first)
    })
    .unwrap()
    .unwrap();
    let second = super::payment(&desk, stranger(2), 1);
    let (handle, mut tidings) = start(desk.0.into_inner());
    let to =
        handle.ask(|engine| Address { prefix: engine.book.prefix(), lock: stranger(3) }.to_string()).await.unwrap();
    let on = MineOrder { on: true, to: Some(to) };
    let now = handle.ask(move |engine| engine.mine(&on)).await.unwrap().unwrap();
    assert!(now.mining.on && !now.mining.searching, "one payment waits");
    let sent = Instant::now();
    handle.ask(move |engine| engine.book.submit_tx(&second)).await.unwrap().unwrap();
    assert_eq!(next_tip(&mut tidings).await, (1, true));
    eprintln!("mined {:?} after the second payment", sent.elapsed());
    let waiting =
        handle.ask(|engine| (engine.book.pool.len(), engine.status().mining.unwrap().searching)).await.unwrap();
    assert_eq!(waiting.0, 0);
    handle.end().await;
    assert!(handle.ask(|_| ()).await.is_err(), "nobody answers after the end");
}

#[tokio::test]
async fn a_block_of_another_takes_the_place_of_what_is_searched() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (place(here.path()), place(there.path()));
    let easy = CreateOrder { mine_empty: Some(true), template_from: Some(0), ..CreateOrder::default() };
    let lock = lock_of(&owner());
    let to = Address { prefix: easy.prefix().unwrap(), lock }.to_string();
    let (book, _) = create(&here, &easy, &to, &mut |_, _| {}).unwrap();
    std::fs::create_dir_all(&there.folder).unwrap();
    std::fs::copy(&here.genesis, &there.genesis).unwrap();
    let mut other = Book::open(&there).unwrap();
    let blocks: Vec<_> = (0..20)
        .map(|_| {
            let block = super::mined(&mut other, stranger(5));
            other.submit_block(&block, true).unwrap();
            block
        })
        .collect();
    let (handle, _tidings) = start(book);
    let on = MineOrder { on: true, to: Some(to) };
    handle.ask(move |engine| engine.mine(&on)).await.unwrap().unwrap();
    for block in blocks {
        handle.ask(move |engine| engine.book.submit_block(&block, false)).await.unwrap().unwrap();
    }
    // Whatever is found from here on is built on the longest chain there is.
    let after = handle.ask(|engine| engine.book.chain.height()).await.unwrap();
    assert!(after >= 20, "{after}");
    assert!(handle.verify().await.unwrap().valid);
    handle.end().await;
}
