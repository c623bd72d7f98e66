//! The memory of events: its bounds, its readers, and coming back to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::body::Body as _;

use super::stream::KEEP_ALIVE;
use super::{Bounds, Feed, Reader, TooManyReaders};

const BOUNDS: Bounds = Bounds { entries: 10, bytes: 1_000, readers: 3 };

fn feed() -> Arc<Feed> {
    Feed::new("run-".to_owned(), 1, BOUNDS)
}

fn push(feed: &Feed, rank: u8, text: &str) {
    feed.push("said", rank, |_, data| data.push_str(text));
}

/// What a reader would be sent next, if there is anything.
fn poll(reader: &mut Reader) -> Option<String> {
    match Pin::new(reader).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => {
            let data = frame.expect("it never ends").expect("it never fails").into_data().expect("data");
            Some(String::from_utf8(data.to_vec()).expect("text"))
        }
        Poll::Pending => None,
    }
}

fn rest(reader: &mut Reader) -> Vec<String> {
    std::iter::from_fn(|| poll(reader)).collect()
}

#[tokio::test]
async fn a_reader_is_greeted_and_hears_what_comes_from_then_on() {
    let feed = feed();
    push(&feed, 0, "before");
    let mut reader = feed.read(None, 0).expect("room");
    push(&feed, 0, "after");
    assert_eq!(rest(&mut reader), ["retry: 1000\nid: run-1\n\n", "id: run-2\nevent: said\ndata: after\n\n"]);
}

#[tokio::test]
async fn who_comes_back_hears_what_it_missed_once() {
    let feed = feed();
    (1..=5).for_each(|n| push(&feed, 0, &n.to_string()));
    let mut reader = feed.read(Some("run-3"), 0).expect("room");
    let heard = rest(&mut reader);
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(heard[1].ends_with("data: 4\n\n") && heard[2].ends_with("data: 5\n\n"));
    let mut reader = feed.read(Some("run-5"), 0).expect("room");
    assert_eq!(rest(&mut reader).len(), 1, "the newest was seen: only the greeting");
}

#[tokio::test]
async fn who_cannot_go_on_is_told_to_begin_anew() {
    let feed = feed();
    (1..=12).for_each(|n| push(&feed, 0, &n.to_string()));
    for (id, reason) in [
        ("run-1", "too_old"),
        ("run-13", "unknown_id"),
        ("other-3", "unknown_id"),
        ("", "unknown_id"),
        ("run-18446744073709551615", "unknown_id"),
        ("run--1", "unknown_id"),
    ] {
        let mut reader = feed.read(Some(id), 0).expect("room");
        let greeting = poll(&mut reader).expect("a greeting");
        assert!(
            greeting.ends_with(&format!("id: run-12\nevent: reset\ndata: {{\"reason\":\"{reason}\"}}\n\n")),
            "{greeting}"
        );
    }
    let mut reader = feed.read(Some("run-2"), 0).expect("room");
    assert_eq!(rest(&mut reader).len(), 11, "the one before the oldest kept will do");
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed_and_goes_on() {
    let feed = feed();
    let mut reader = feed.read(None, 0).expect("room");
    (1..=15).for_each(|n| push(&feed, 0, &n.to_string()));
    let heard = rest(&mut reader);
    assert_eq!(heard[1], "id: run-5\nevent: lagged\ndata: {\"missed\":5}\n\n");
    assert_eq!((heard.len(), heard[2].as_str()), (12, "id: run-6\nevent: said\ndata: 6\n\n"));
}

#[test]
fn the_oldest_give_way_at_the_bound_of_entries_and_at_that_of_bytes() {
    let feed = feed();
    (1..=10).for_each(|n| push(&feed, 0, &n.to_string()));
    assert_eq!(feed.last(100, 0).len(), 10);
    push(&feed, 0, "11");
    assert_eq!(feed.last(100, 0).first().map(|entry| entry.data().to_vec()), Some(b"2".to_vec()));
    push(&feed, 0, &"x".repeat(900));
    assert!(feed.lock().bytes <= BOUNDS.bytes);
    push(&feed, 0, &"x".repeat(2_000));
    assert!(feed.last(100, 0).is_empty(), "what is larger than all that may be kept is not kept");
}

#[tokio::test]
async fn readers_take_what_is_of_their_rank() {
    let feed = feed();
    let mut strict = feed.read(None, 1).expect("room");
    (1..=3).for_each(|rank| push(&feed, rank, &rank.to_string()));
    assert_eq!(rest(&mut strict).len(), 2);
    assert_eq!(feed.last(1, 2).len(), 1);
    assert_eq!(feed.last(1, 2)[0].data(), b"2");
}

#[tokio::test]
async fn as_many_readers_as_there_may_be_and_room_again_when_one_goes() {
    let feed = feed();
    let mut readers: Vec<Reader> = (0..BOUNDS.readers).map(|_| feed.read(None, 0).expect("room")).collect();
    assert_eq!(feed.read(None, 0).err(), Some(TooManyReaders));
    readers.pop();
    assert!(feed.read(None, 0).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_has_a_comment_now_and_then() {
    let feed = feed();
    let mut reader = feed.read(None, 0).expect("room");
    assert_eq!(rest(&mut reader).len(), 1);
    tokio::time::advance(KEEP_ALIVE).await;
    assert_eq!(rest(&mut reader), [":\n\n"]);
    assert_eq!(poll(&mut reader), None);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_and_an_entry_is_the_same_bytes_for_all() {
    let feed = feed();
    let mut readers: Vec<Reader> = (0..2).map(|_| feed.read(None, 0).expect("room")).collect();
    readers.iter_mut().for_each(|reader| drop(poll(reader)));
    let pointers: Vec<_> = std::iter::zip(&mut readers, 0..).collect();
    let waiting = pointers.into_iter().map(|(reader, n)| async move {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *reader).poll_frame(context)).await;
        (n, frame.expect("more").expect("sound").into_data().expect("data").as_ptr() as usize)
    });
    let mut heard = Vec::new();
    let pushing = async { push(&feed, 0, "for all") };
    let [one, other]: [_; 2] = waiting.collect::<Vec<_>>().try_into().map_err(|_| ()).expect("two");
    let (one, other, ()) = tokio::join!(one, other, pushing);
    heard.extend([one, other]);
    assert_eq!(heard[0].1, heard[1].1, "encoded once");
}
