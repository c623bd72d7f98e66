//! Names, texts, numbers and sizes by which somebody would like to break the screen.

use meshline_watch::documents::{Link, Peer, Service, Status};
use meshline_watch::{Answer, Event, Key, MAX_ROWS, Panel};
use serde_json::json;

use crate::bench::{Bench, PLAIN, id, message};

const NAMES: [&str; 10] = [
    "\u{1b}[2J\u{1b}[31mred",
    "line\nbreak\r\ttab\u{7}",
    "\u{202e}turned",
    "日本語の長い名前が続く日本語の長い名前が続く",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦 family 👍\u{1f3fd}",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}heap",
    "لا لا لا",
    "🇩🇪🇩🇪🇩🇪",
    "",
    "\u{0}\u{9b}31m",
];

fn hostile() -> Bench {
    let mut bench = Bench::new(80, 24, PLAIN);
    let link = |(number, name): (usize, &&str)| Link {
        peer: format!("{number}{}", id('x')),
        name: (*name).to_owned(),
        transport: (*name).to_owned(),
        address: (*name).to_owned(),
        loss: [f64::NAN, -1.0, 7.0, f64::INFINITY][number % 4],
        rtt_us: Some(u64::MAX),
        goodput_bps: u64::MAX,
        sent_bytes: u64::MAX,
        up_ms: u64::MAX,
        clock_offset_us: Some(i64::MIN),
        ..Link::default()
    };
    let links = NAMES.iter().enumerate().map(link).collect();
    let status = Status {
        id: id('s'),
        name: NAMES[0].to_owned(),
        network: NAMES[3].repeat(9),
        state: NAMES[1].to_owned(),
        uptime_ms: u64::MAX,
        links,
        ..Status::default()
    };
    for _ in 0..3 {
        bench.answer(Answer::Status(Box::new(status.clone())));
        bench.pass(1);
    }
    let peer = |(number, name): (usize, &&str)| Peer {
        id: format!("{number}{}", id('p')),
        name: (*name).to_owned(),
        via: Some((*name).to_owned()),
        reachable: true,
        roles: vec![(*name).to_owned()],
        ..Peer::default()
    };
    bench.answer(Answer::Peers(NAMES.iter().enumerate().map(peer).collect()));
    let service = |name: &&str| Service {
        name: (*name).to_owned(),
        kind: (*name).to_owned(),
        member_name: (*name).to_owned(),
        text: json!({*name: *name, "n": 1}),
        health: (*name).to_owned(),
        ..Service::default()
    };
    bench.answer(Answer::Services(NAMES.iter().map(service).collect()));
    bench.answer(Answer::Chat((0..).zip(NAMES).map(|(clock, name)| message(clock, name, name)).collect()));
    for name in NAMES {
        bench.happen("member_joined", &json!({ "name": name }));
        bench.happen(name, &json!({ name: name }));
    }
    bench
}

#[test]
fn no_name_moves_a_border_or_steers_the_terminal() {
    let mut bench = hostile();
    for panel in Panel::ALL {
        bench
            .press(&[Key::Char(char::from_digit(u32::try_from(panel.number()).expect("small"), 10).expect("a digit"))]);
        let buffer = bench.buffer();
        for y in 3..17 {
            assert_eq!(
                buffer[(79, y)].symbol().chars().next().map(|c| "│┐┘".contains(c)),
                Some(true),
                "{panel:?} {y}\n{}",
                bench.screen()
            );
        }
        let text: String = buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect();
        assert!(
            !text.chars().any(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')),
            "{panel:?}"
        );
        assert!(buffer.content.iter().all(|cell| cell.symbol().chars().count() <= 3), "{panel:?}: marks pile up");
    }
}

#[test]
fn every_size_can_be_drawn_in_every_state() {
    let mut bench = hostile();
    for keys in [
        &[][..],
        &[Key::Char('?')],
        &[Key::Esc, Key::Char('2'), Key::Enter],
        &[Key::Esc, Key::Char('m'), Key::Char('日')],
        &[Key::Esc, Key::Char('/'), Key::Char('x')],
    ] {
        bench.press(keys);
        for (columns, rows) in [
            (1, 1),
            (2, 50),
            (39, 10),
            (40, 10),
            (41, 11),
            (80, 24),
            (115, 32),
            (116, 32),
            (117, 33),
            (250, 70),
            (300, 5),
        ] {
            bench.resize(columns, rows);
            bench.screen();
        }
    }
}

#[test]
fn a_listing_of_any_length_is_shown_as_far_as_may_be() {
    let mut bench = Bench::new(80, 24, PLAIN);
    let many = (0..MAX_ROWS + 7).map(|number| Peer {
        id: format!("{number:052}"),
        name: format!("member {number:05}"),
        reachable: true,
        ..Peer::default()
    });
    bench.answer(Answer::Peers(many.collect()));
    bench.shows(&format!("1 Members {MAX_ROWS} "));
    bench.press(&[Key::End]);
    bench.shows(&format!("member {:05}", MAX_ROWS - 1));
    bench.shows("member");
    let text = bench.dashboard.text(bench.now, 100);
    assert!(text.contains("member 00000") && text.contains(&format!("member {:05}", MAX_ROWS - 1)));
    bench.tell(Event::Paste("x".repeat(1_000_000)));
}
