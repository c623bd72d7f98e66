//! What keys do.

use meshline_watch::{Action, Answer, Event, Fault, Key, MAX_MESSAGES, Source};
use serde_json::json;

use crate::bench::{Bench, PLAIN, id, message, own, peers};

#[test]
fn q_ends_it_but_not_while_something_is_typed() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    assert_eq!(bench.press(&[Key::Char('m'), Key::Char('q')]), None);
    bench.shows("message: q");
    assert_eq!(bench.press(&[Key::Esc, Key::Char('/'), Key::Char('q')]), None);
    assert_eq!(bench.press(&[Key::Esc, Key::Char('q')]), Some(Action::Quit));
    for keys in [&[Key::Char('m')][..], &[Key::Char('/')], &[Key::Char('?')]] {
        bench.press(keys);
        assert_eq!(bench.press(&[Key::Ctrl('c')]), Some(Action::Quit), "always");
        bench.press(&[Key::Esc]);
    }
}

#[test]
fn panels_are_chosen_by_number_and_one_after_the_other() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.press(&[Key::Tab]);
    bench.shows("LINK TO");
    bench.press(&[Key::BackTab, Key::BackTab]);
    bench.shows("eddy joined");
    bench.hides("MEMBER");
    bench.press(&[Key::Tab]);
    bench.shows("gerda");
    bench.press(&[Key::Char('3')]);
    bench.shows("BY WAY OF");
    assert_eq!(bench.press(&[Key::Char('r')]), Some(Action::Ask(Source::Routes)));
}

#[test]
fn a_message_is_typed_sent_and_seen_on_its_way() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.press(&[Key::Char('m')]);
    bench.write("hello, all");
    bench.is_as("80x24-message");
    assert_eq!(bench.press(&[Key::Enter]), Some(Action::Send("hello, all".to_owned())));
    bench.shows("sending …");
    bench.write("next");
    assert_eq!(bench.press(&[Key::Enter]), None, "one after the other");
    bench.shows("the last message is still on its way");
    bench.tell(Event::Sent(Ok(own(9, "hello, all", "sent", 1))));
    bench.shows("hello, all  [sent to 1 of 3]");
    bench.happen("delivered", &json!({"cursor": "9", "state": "delivered", "delivered_to": 3, "delivered_of": 3}));
    bench.shows("hello, all  [delivered to 3 of 3]");
    bench.shows("message: next");
}

#[test]
fn a_message_that_was_refused_is_there_to_be_sent_again() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.press(&[Key::Char('4'), Key::Enter]);
    bench.tell(Event::Paste("two\r\nlines".to_owned()));
    assert_eq!(bench.press(&[Key::Enter]), Some(Action::Send("two\nlines".to_owned())));
    bench.tell(Event::Sent(Err(Fault::Gone("nobody is here".to_owned()))));
    bench.shows("not sent: nobody is here");
    bench.shows("message: two↵lines");
    bench.pass(10_000);
    bench.hides("not sent");
    assert_eq!(bench.press(&[Key::Enter]), Some(Action::Send("two\nlines".to_owned())));
    bench.tell(Event::Sent(Ok(own(9, "two\nlines", "queued", 0))));
    assert_eq!(bench.press(&[Key::Char(' '), Key::Enter]), None, "nothing is not sent");
}

#[test]
fn a_filter_leaves_what_contains_it_and_is_seen() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.press(&[Key::Char('/')]);
    bench.write("ZO");
    bench.shows("Members with: ZO");
    bench.press(&[Key::Enter]);
    bench.shows("1 Members 1 /ZO");
    bench.shows("via donald");
    bench.hides("gerda");
    bench.press(&[Key::Char('/')]);
    bench.write("nobody");
    bench.shows("nothing contains \"ZOnobody\"; Esc shows all");
    bench.press(&[Key::Esc]);
    bench.shows("gerda");
    bench.press(&[Key::Char('4'), Key::Char('/')]);
    bench.write("battery");
    bench.shows("eddy: the battery");
    bench.hides("attic sensor down");
}

#[test]
fn the_chosen_row_stays_chosen_when_others_come_and_go() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.screen();
    bench.press(&[Key::Down, Key::Down]);
    let mut others = peers();
    others.insert(
        0,
        meshline_watch::documents::Peer {
            name: "aaron".to_owned(),
            id: id('a'),
            reachable: true,
            ..Default::default()
        },
    );
    bench.answer(Answer::Peers(others));
    bench.screen();
    bench.press(&[Key::Enter]);
    bench.shows(&format!("id          {}", id('e')));
    bench.press(&[Key::Down]);
    bench.shows(&format!("id          {}", id('z')));
    bench.answer(Answer::Peers(Vec::new()));
    bench.press(&[Key::Esc]);
    bench.screen();
    bench.press(&[Key::Enter]);
    bench.shows("this member");
}

#[test]
fn whoever_reads_old_messages_is_not_moved_by_new_ones() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    for number in 100..180 {
        bench.tell(Event::Happened { name: "chat".to_owned(), what: json!({"name": "eddy", "clock": number, "seq": number, "cursor": number.to_string(), "text": format!("number {number}"), "author": id('e')}) });
    }
    bench.press(&[Key::Char('4')]);
    bench.shows("number 179");
    bench.press(&[Key::PageUp]);
    let before = bench.screen();
    let seen =
        |screen: &str| screen.lines().filter(|line| line.contains("number")).map(str::to_owned).collect::<Vec<_>>();
    bench.answer(Answer::Chat(vec![message(1_000, "eddy", "late")]));
    bench.shows("lines below");
    assert_eq!(seen(&bench.screen()), seen(&before));
    bench.press(&[Key::End]);
    bench.shows("late");
}

#[test]
fn as_much_is_kept_as_may_be() {
    let mut bench = Bench::new(80, 24, PLAIN);
    let many = 0..u64::try_from(MAX_MESSAGES).expect("fits") + 10;
    bench.answer(Answer::Chat(many.map(|number| message(number, "eddy", &format!("text {number}."))).collect()));
    bench.press(&[Key::Char('4')]);
    bench.screen();
    bench.press(&[Key::Home]);
    bench.shows("text 10.");
}

#[test]
fn what_happens_is_asked_about_at_once() {
    let mut bench = Bench::new(80, 24, PLAIN);
    for (event, asked) in [
        ("link_up", Source::Status),
        ("member_joined", Source::Peers),
        ("route_changed", Source::Routes),
        ("service_added", Source::Services),
        ("service_changed", Source::Services),
        ("service_removed", Source::Services),
        ("lagged", Source::Chat),
    ] {
        assert_eq!(bench.happen(event, &json!({})), Some(Action::Ask(asked)), "{event}");
    }
    assert_eq!(bench.tell(Event::Connected), Some(Action::Ask(Source::Chat)));
}
