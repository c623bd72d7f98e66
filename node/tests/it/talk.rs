//! Two people talk.

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::node::{mesh, single};
use crate::support::page::Page;
use crate::support::wait::until;

/// Keys by the names WebDriver gives them.
const SHIFT: char = '\u{E008}';
const SHIFT_UP: char = '\u{E000}';
const ENTER: char = '\u{E007}';

#[test]
fn what_one_types_the_other_sees_and_the_command_line_shows_the_same() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let follow = nodes[1].watch(&["chat", "follow", "--json"], "follow");
    let [bobby, donald] = [&nodes[0], &nodes[1]].map(|node| Page::open(&browser, node));

    bobby.say("hello donald");
    let shown = donald.wait_for_text("hello donald");
    // On an open network, where names are only claimed, a piece of the id follows.
    assert!(shown["name"].as_str().is_some_and(|name| name.starts_with("bobby~")), "{shown}");
    assert_eq!(shown["own"], "false");
    assert_eq!(shown["author"], nodes[0].id());
    let own = bobby.wait_for_row("hello donald", |row| row["state"] == "delivered");
    assert_eq!((&own["delivery"], &own["own"]), (&"delivered to 1 of 1".into(), &"true".into()), "{own}");

    donald.say("hello bobby");
    bobby.wait_for_text("hello bobby");
    donald.wait_for_row("hello bobby", |row| row["delivery"] == "delivered to 1 of 1");
    bobby.say("how is the ring?");
    donald.wait_for_text("how is the ring?");
    assert_eq!(bobby.texts(), donald.texts(), "the order is the same everywhere");

    let followed = until("the command line follows", || {
        let output = follow.output();
        let lines: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if lines.len() == 3 { Ok(lines) } else { Err(output) }
    });
    let rows = donald.rows();
    for (line, row) in followed.iter().zip(&rows) {
        assert_eq!((&line["text"], &line["name"], &line["author"]), (&row["text"], &row["name"], &row["author"]));
    }
    bobby.picture("talk");
}

#[test]
fn enter_sends_and_shift_enter_breaks_the_line() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let [bobby, donald] = [&nodes[0], &nodes[1]].map(|node| Page::open(&browser, node));
    bobby.type_in("#draft", &format!("first{SHIFT}{ENTER}{SHIFT_UP}second{ENTER}"));
    bobby.wait_for_text("first\nsecond");
    donald.wait_for_text("first\nsecond");
    assert_eq!(bobby.draft(), "", "what was sent is no draft any more");
    let height = "document.querySelector('#messages .text').getBoundingClientRect().height
        / parseFloat(getComputedStyle(document.querySelector('#messages .text')).lineHeight || 20)";
    assert!(donald.value(height).as_f64().is_some_and(|lines| lines > 1.5), "the break is seen");
    donald.type_in("#draft", &ENTER.to_string());
    donald.type_in("#draft", &format!("  {ENTER}"));
    donald.paste("#draft", "");
    donald.say("neither of these was a message");
    assert_eq!(donald.texts(), ["first\nsecond", "neither of these was a message"]);
}

/// Notes how many outgoing messages the list shows whenever a message is posted.
const NOTE_POSTS: &str = "
    const real = window.fetch;
    window.shown = [];
    window.fetch = (path, options) => {
        if (options?.method === 'POST') window.shown.push(document.querySelector('#messages .tail').childElementCount);
        return real(path, options);
    };";

#[test]
fn a_message_is_on_its_way_before_it_is_shown() {
    let Some(browser) = Browser::start() else { return };
    let mut node = single("bobby");
    node.start();
    let page = Page::open(&browser, &node);
    page.run(NOTE_POSTS, &[]);
    page.say("first things first");
    page.wait_for_text("first things first");
    assert_eq!(page.value("window.shown"), serde_json::json!([0]));
}
