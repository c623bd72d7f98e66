//! Long talks: what the page holds of them stays small, whatever arrives and wherever somebody reads.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::node::{Node, single};
use crate::support::page::Page;
use crate::support::wait::until;

/// Messages built at once, at most.
const MAX_BUILT: u64 = 600;

/// Rows held in memory, at most.
const MAX_ROWS: u64 = 20_000;

/// A list of its own in the page, with a history that is filled from here: an author may write only 20 messages a second.
const LIST: &str = "
    const loaded = performance.getEntriesByType('resource').map(it => it.name);
    const files = ['history', 'messages', 'rows'].map(name =>
        import(loaded.find(url => url.split('/').at(-1).split(/[-.]/)[0] === name)));
    return Promise.all(files).then(([{History}, {MessageList}, {toRow}]) => {
        const history = new History();
        Object.assign(history, {hasOlder: false, isLoaded: true});
        const outbox = {entries: [], on() {}};
        const list = new MessageList({history, outbox, context: {topology: 'mesh'}, acts: {}});
        const row = at => toRow({cursor: String(at + 1), author: 'a', name: 'bobby', text: `message ${at}`,
            time: new Date(1.7e12 + at * 1000).toISOString()}, 'me');
        const add = (from, to) => history.add(Array.from({length: to - from}, (_, at) => row(from + at)));
        window.trial = {history, list, add};
    });";

/// The numbers of the first and the last message built, and how many there are; none may be missing between them.
const BUILT: &str = "
    const texts = [...document.querySelectorAll('#messages .message .text')].map(it => Number(it.textContent.split(' ')[1]));
    const gap = texts.findIndex((number, at) => at > 0 && number !== texts[at - 1] + 1);
    return {first: texts[0], last: texts.at(-1), count: texts.length, gap};";

#[track_caller]
fn built(page: &Page) -> (u64, u64) {
    let found = page.run(BUILT, &[]);
    assert_eq!(found["gap"], -1, "{found}");
    assert!(found["count"].as_u64().is_some_and(|count| count <= MAX_BUILT), "{found}");
    (found["first"].as_u64().unwrap_or(0), found["last"].as_u64().unwrap_or(0))
}

/// Scrolls there again and again until it is so.
#[track_caller]
fn scroll_until(page: &Page, to: &str, wanted: impl Fn(u64, u64) -> bool) {
    until(&format!("it is built on the way to {to}"), || {
        page.run(&format!("const list = document.querySelector('#messages'); list.scrollTop = {to}"), &[]);
        let (first, last) = built(page);
        if wanted(first, last) { Ok(()) } else { Err(format!("{first} to {last}")) }
    });
}

fn add(page: &Page, from: u64, to: u64) -> Value {
    page.run("window.trial.add(arguments[0], arguments[1])", &[from.into(), to.into()])
}

/// A page whose list holds so many messages, and its node; `None` where there is no browser.
#[track_caller]
fn filled(count: u64) -> Option<(Node, Page)> {
    let browser = Browser::start()?;
    let mut node = single("bobby");
    node.start();
    let page = Page::open(&browser, &node);
    page.run(LIST, &[]);
    add(&page, 0, count);
    Some((node, page))
}

/// Adds twenty messages one by one. How often the height of the list was asked for till then, whether it was within the
/// next frames, and whether the end is in sight.
const ADD_TWENTY: &str = "
    const list = document.querySelector('#messages');
    const height = Object.getOwnPropertyDescriptor(Element.prototype, 'scrollHeight');
    let asked = 0;
    Object.defineProperty(list, 'scrollHeight', {get() { asked += 1; return height.get.call(list); }});
    for (let at = 50; at < 70; at += 1) window.trial.add(at, at + 1);
    const before = asked;
    const frame = () => new Promise(requestAnimationFrame);
    return frame().then(frame).then(() =>
        [before, asked > before, list.scrollHeight - list.scrollTop - list.clientHeight < 2]);";

#[test]
fn messages_that_come_together_are_laid_out_with_the_next_frame() {
    let Some((_node, page)) = filled(50) else { return };
    assert_eq!(page.run(ADD_TWENTY, &[]), json!([0, true, true]));
}

#[test]
fn who_reads_above_has_no_more_built_than_fits_and_finds_the_rest_below() {
    let Some((_node, page)) = filled(300) else { return };
    scroll_until(&page, "0", |first, _| first == 0 && page.value("window.trial.list.isAtEnd") == false);
    until("the beginning is told", || if page.text("#messages .top").is_empty() { Err(String::new()) } else { Ok(()) });
    let seen = "(() => { const list = document.querySelector('#messages');
        const it = list.querySelector('[data-cursor=\"5\"]').getBoundingClientRect();
        return [list.scrollTop, it.y].map(Math.round); })()";
    let before = page.value(seen);
    for from in (300..2_604).step_by(256) {
        add(&page, from, from + 256);
        built(&page);
    }
    assert_eq!(page.value(seen), before, "the reader stays where it was");
    assert_eq!(page.value("window.trial.list.isAtEnd"), false);
    scroll_until(&page, "list.scrollHeight", |_, last| last == 2_603);
    scroll_until(&page, "list.scrollHeight", |_, _| page.value("window.trial.list.isAtEnd") == true);
    scroll_until(&page, "0", |first, _| first == 0);
    page.run("window.trial.list.toEnd()", &[]);
    assert_eq!(built(&page).1, 2_603, "a leap to the end needs nothing in between");
    add(&page, 2_604, 2_605);
    assert_eq!(built(&page).1, 2_604);
}

#[test]
fn what_the_history_gives_up_is_built_no_longer_and_found_no_longer() {
    let Some((_node, page)) = filled(300) else { return };
    // The page learns a moment after the scrolling that the reader has left the end.
    scroll_until(&page, "0", |first, _| first == 0 && page.value("window.trial.list.isAtEnd") == false);
    add(&page, 300, MAX_ROWS);
    assert_eq!(page.value("window.trial.history.rows.length"), json!(MAX_ROWS));
    add(&page, MAX_ROWS, MAX_ROWS + 100);
    assert_eq!(page.value("window.trial.history.rows.length"), json!(MAX_ROWS));
    assert_eq!(built(&page).0, 100, "the first hundred are gone from the list too");
    let found = page.value("window.trial.list.search('message')");
    assert_eq!(found, json!(MAX_ROWS));
    add(&page, MAX_ROWS + 100, MAX_ROWS + 300);
    assert_eq!(page.value("window.trial.list.matchCount"), json!(MAX_ROWS));
    scroll_until(&page, "list.scrollTop - 2000", |first, _| first < MAX_ROWS - 1_000);
}
