//! Writing, keeping, listing, forgetting.

use meshline_protocol::Code;
use meshline_protocol::limits::MAX_TEXT;

use super::Bench;
use crate::chat::{Bounds, Event, Page, Reply, State, Stored, Write};

fn bench() -> Bench {
    Bench::new(Bounds::default(), Stored::default())
}

#[test]
fn texts_that_are_empty_too_long_or_steer_terminals_are_refused() {
    let mut bench = bench();
    for (bad, code) in [
        ("", Code::InvalidMessage),
        (" \n", Code::InvalidMessage),
        ("a\u{1b}[2Jb", Code::InvalidMessage),
        ("a\0", Code::InvalidMessage),
        ("a\rb", Code::InvalidMessage),
        (&"x".repeat(MAX_TEXT + 1), Code::BodyTooLong),
    ] {
        let request = bench.send(bad);
        assert!(matches!(bench.reply(request), Some(Reply::Refused { code: found, .. }) if *found == code), "{bad:?}");
    }
    for good in ["x", "two\nlines\tand a tab", &"x".repeat(MAX_TEXT), "ёж 🦔"] {
        assert_eq!(bench.say(good).text, good);
    }
}

#[test]
fn nothing_is_shown_or_answered_before_it_is_on_disk() {
    let mut bench = bench();
    let request = bench.send("hello there");
    assert_eq!(bench.reply(request), None);
    assert!(bench.events.is_empty() && bench.texts(Page::Newest, 10).is_empty());
    bench.disk(Ok(()));
    let Some(Reply::Sent(message)) = bench.reply(request).cloned() else { panic!("no answer") };
    assert_eq!((message.text.as_str(), message.own, message.cursor), ("hello there", true, 1));
    assert_eq!(message.delivery.state, State::Queued, "nobody is here");
    assert_eq!(bench.events, [Event::Message { message: *message, own: true }]);
}

#[test]
fn a_full_disk_refuses_an_own_message_and_nothing_of_it_is_left() {
    let mut bench = bench();
    let request = bench.send("hello");
    bench.disk(Err("no space left".to_owned()));
    let Some(Reply::Refused { code: Code::StorageFailed, detail }) = bench.reply(request) else { panic!() };
    assert!(detail.contains("no space left"), "{detail}");
    assert!(bench.events.is_empty() && bench.texts(Page::Newest, 10).is_empty());
    bench.say("again");
    assert_eq!(bench.texts(Page::Newest, 10), ["again"]);
}

#[test]
fn one_ticket_answers_everything_before_it() {
    let mut bench = bench();
    let requests: Vec<_> = ["a", "b", "c"].map(|text| bench.send(text)).into();
    bench.disk(Ok(()));
    for request in requests {
        assert!(matches!(bench.reply(request), Some(Reply::Sent(_))));
    }
    assert_eq!(bench.texts(Page::Newest, 10), ["a", "b", "c"]);
}

#[test]
fn whoever_writes_too_fast_is_told_and_may_go_on_later() {
    let mut bench = bench();
    let refused = |bench: &mut Bench| {
        let requests: Vec<_> = (0..300).map(|n| bench.send(&format!("message {n}"))).collect();
        let refusals = requests
            .iter()
            .filter(|request| matches!(bench.reply(**request), Some(Reply::Refused { code: Code::RateLimited, .. })));
        refusals.count()
    };
    assert_eq!(refused(&mut bench), 300 - 256, "so many at once");
    bench.disk(Ok(()));
    bench.pass(1_000_000);
    assert_eq!(refused(&mut bench), 300 - 20, "and so many a second");
}

#[test]
fn pages_go_forward_by_arrival_and_backward_in_the_common_order() {
    let mut bench = bench();
    let cursors: Vec<u64> = (1..=5).map(|n| bench.say(&format!("message {n}")).cursor).collect();
    let newest = bench.list(Page::Newest, 2);
    assert!(newest.more && newest.cursor == cursors[4]);
    assert_eq!(newest.messages[0].text, "message 4");
    assert_eq!(bench.texts(Page::Before(cursors[3]), 2), ["message 2", "message 3"]);
    let first = bench.list(Page::After(cursors[0]), 3);
    assert_eq!((first.cursor, first.more, first.messages.len()), (cursors[3], true, 3));
    let rest = bench.list(Page::After(first.cursor), 3);
    assert_eq!((rest.cursor, rest.more), (cursors[4], false));
    assert_eq!(bench.list(Page::After(rest.cursor), 3).messages, []);
    assert_eq!(bench.list(Page::Before(99), 3).messages, [], "a cursor that is not kept");
}

#[test]
fn the_oldest_give_way_beyond_the_count_and_beyond_the_bytes() {
    let mut bench = Bench::new(Bounds { max_messages: 3, max_bytes: 64 * 1024 }, Stored::default());
    for n in 1..=5 {
        bench.say(&format!("message {n}"));
    }
    assert_eq!(bench.texts(Page::Newest, 10), ["message 3", "message 4", "message 5"]);
    assert_eq!(bench.texts(Page::After(1), 10).len(), 3, "a cursor that gave way goes on with the oldest kept");
    for _ in 0..5 {
        bench.say(&"x".repeat(MAX_TEXT));
    }
    let kept = bench.list(Page::Newest, 10).messages;
    assert!(kept.iter().map(|message| message.text.len()).sum::<usize>() <= 64 * 1024);
    assert!(!kept.is_empty());
}

#[test]
fn a_restart_finds_everything_under_the_same_cursors() {
    let mut bench = Bench::new(Bounds { max_messages: 3, max_bytes: 64 * 1024 }, Stored::default());
    for n in 1..=5 {
        bench.say(&format!("message {n}"));
    }
    let before = bench.list(Page::Newest, 10);
    let mut again = Bench::new(Bounds { max_messages: 3, max_bytes: 64 * 1024 }, bench.stored());
    let after = again.list(Page::Newest, 10);
    assert_eq!(before, after);
    assert!(again.say("message 6").cursor > 5, "no cursor is used twice");
    let mut smaller = Bench::new(Bounds { max_messages: 1, max_bytes: 64 * 1024 }, again.stored());
    assert_eq!(smaller.texts(Page::Newest, 10), ["message 6"], "a smaller bound holds at once");
    assert!(smaller.writes.iter().any(|(_, write)| matches!(write, Write::Forget { .. })));
}

#[test]
fn the_clock_goes_on_where_an_earlier_run_was_even_if_the_system_clock_went_back() {
    let mut bench = bench();
    bench.pass(30_000_000);
    let last = bench.say("late");
    let mut again = Bench::new(Bounds::default(), bench.stored());
    let next = again.say("later, by a clock that went back half a minute");
    assert!(next.clock > last.clock);
    assert_eq!(again.texts(Page::Newest, 10).len(), 2);
}
