//! Whole screens.

use meshline_watch::documents::{Clock, Ledger, Service};
use meshline_watch::{Answer, Event, Fault, Key, Source};
use ratatui::style::{Color, Modifier};

use crate::bench::{ASCII, Bench, COLOURED, PLAIN, on_ring, status};

#[test]
fn each_panel_fits_on_a_screen_of_80_by_24() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    for (key, name) in
        ['1', '2', '3', '4', '5', '6'].into_iter().zip(["members", "links", "routes", "chat", "services", "events"])
    {
        bench.press(&[Key::Char(key)]);
        bench.is_as(&format!("80x24-{name}"));
    }
    bench.press(&[Key::Char('2'), Key::Down, Key::Enter]);
    bench.is_as("80x24-link-details");
    bench.press(&[Key::Esc, Key::Char('?')]);
    bench.is_as("80x24-help");
}

#[test]
fn all_panels_stand_beside_each_other_where_there_is_room() {
    let mut bench = Bench::with_mesh(120, 40, PLAIN);
    let ledger = Ledger { height: 1_207, tip: "0000000000a1b2c3d4e5f6".to_owned(), ..Ledger::default() };
    bench.answer(Answer::Ledger(ledger));
    bench.answer(Answer::Status(Box::new(on_ring(status(20)))));
    bench.is_as("120x40");
    bench.press(&[Key::Char('2'), Key::Char('z')]);
    bench.is_as("120x40-links-alone");
    bench.press(&[Key::Esc]);
    bench.shows("1 Members");
}

#[test]
fn on_80_by_24_the_tip_of_a_ledger_is_shown_that_is_kept_or_followed() {
    let tip = || "0000000000a1b2c3d4e5f6".to_owned();
    let kept = Ledger { height: 1_207, tip: tip(), headers: 1_210, ..Ledger::default() };
    let followed = Ledger { height: 1_207, tip: tip(), scanned: Some(900), ..Ledger::default() };
    let synced = Ledger { scanned: Some(1_207), ..followed.clone() };
    for (ledger, shown) in [
        (kept, "ledger 1207 …c3d4e5f6, of 1210"),
        (followed, "ledger 1207 …c3d4e5f6, looked through to 900"),
        (synced, "ledger 1207 …c3d4e5f6 · clock 12.3 ms ahead"),
    ] {
        let mut bench = Bench::with_mesh(80, 24, PLAIN);
        bench.answer(Answer::Ledger(ledger));
        // What else is known of a member does not push it out.
        let mut status = on_ring(status(20));
        status.time = Clock { offset_us: -12_345, error_us: 90, members: 5 };
        bench.answer(Answer::Status(Box::new(status)));
        for panel in "123456".chars() {
            bench.press(&[Key::Char(panel)]);
            bench.shows(shown);
        }
    }
}

#[test]
fn a_service_that_comes_and_goes_is_shown_as_that() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    let service = |name: &str, damped| Service {
        name: name.to_owned(),
        kind: "_http._tcp".to_owned(),
        health: "up".to_owned(),
        damped,
        ..Service::default()
    };
    bench.answer(Answer::Services(vec![service("calm", false), service("lamp", true)]));
    bench.press(&[Key::Char('5')]);
    bench.shows("up, flapping");
    assert_eq!(bench.screen().matches("flapping").count(), 1);
}

#[test]
fn where_there_is_only_ascii_nothing_else_is_drawn() {
    let mut bench = Bench::with_mesh(80, 24, ASCII);
    bench.press(&[Key::Char('2')]);
    bench.is_as("80x24-ascii");
    for key in "13456?".chars() {
        bench.press(&[Key::Char(key)]);
        assert!(bench.screen().is_ascii(), "{}", bench.screen());
    }
}

#[test]
fn without_colours_there_are_none_and_with_them_no_more_than_sixteen() {
    let mut plain = Bench::with_mesh(120, 40, PLAIN);
    let cells = plain.buffer().content;
    assert!(cells.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(cells.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)), "the chosen row");
    let mut coloured = Bench::with_mesh(120, 40, COLOURED);
    let cells = coloured.buffer().content;
    let is_named = |colour| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
    assert!(cells.iter().all(|cell| is_named(cell.fg) && is_named(cell.bg)));
    assert!(cells.iter().any(|cell| cell.fg == Color::Green) && cells.iter().any(|cell| cell.fg == Color::Red));
}

#[test]
fn what_a_member_does_not_have_is_said_and_what_was_not_told_yet_too() {
    let mut bench = Bench::new(80, 24, PLAIN);
    bench.shows("the member is asked …");
    bench.tell(Event::Failed(Source::Services, Fault::Missing));
    bench.tell(Event::Failed(Source::Ledger, Fault::Missing));
    bench.press(&[Key::Char('5')]);
    bench.shows("this member has no directory of services");
    bench.hides("ledger");
    bench.answer(Answer::Peers(Vec::new()));
    bench.press(&[Key::Char('1')]);
    bench.shows("no other member is known");
}

#[test]
fn the_same_facts_are_plain_text_too() {
    let bench = Bench::with_mesh(80, 24, PLAIN);
    let text = bench.dashboard.text(bench.now, 100);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/screens/once.txt");
    if std::env::var_os("MESHLINE_BLESS").is_some() {
        std::fs::write(&path, text.clone() + "\n").expect("written");
    }
    assert_eq!(text + "\n", std::fs::read_to_string(path).expect("committed"));
}
