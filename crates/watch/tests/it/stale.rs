//! What is shown of a member that does not answer.

use meshline_watch::{Answer, Event, Fault, Key, Source};

use crate::bench::{Bench, PLAIN, status};

#[test]
fn a_member_that_hangs_leaves_what_was_with_its_age() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.shows("● live");
    bench.pass(3_000);
    bench.shows("● live");
    bench.pass(12_000);
    bench.tell(Event::Failed(Source::Status, Fault::Late));
    bench.is_as("80x24-hangs");
    bench.shows("15 s old");
    bench.shows("donald");
    bench.answer(Answer::Status(Box::new(status(30))));
    bench.shows("● live");
    bench.shows("1 Members 6 · 17 s old");
}

#[test]
fn a_member_that_is_gone_is_said_to_be_and_comes_back() {
    let mut bench = Bench::with_mesh(80, 24, PLAIN);
    bench.tell(Event::Failed(Source::Status, Fault::Gone("no member is running here".to_owned())));
    bench.shows("× gone");
    bench.shows("asking again every second: no member is running here");
    bench.press(&[Key::Char('2')]);
    bench.shows("donald");
    bench.answer(Answer::Status(Box::new(status(0))));
    bench.shows("● live");
    bench.hides("no member is running here");
}

#[test]
fn one_that_never_answered_is_told_why() {
    let mut bench = Bench::new(80, 24, PLAIN);
    bench.shows("○ asking");
    for source in Source::ALL {
        bench.tell(Event::Failed(source, Fault::Gone("no member is running here; start it with `run`".to_owned())));
    }
    bench.is_as("80x24-nobody");
}
