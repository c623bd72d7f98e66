//! What makes the chat a place to stay: drafts, unread counts, search, days.

use std::path::PathBuf;

use serde_json::json;

use crate::support::browser::{Browser, skipped};
use crate::support::node::{mesh, single};
use crate::support::page::Page;
use crate::support::wait::until;

#[test]
fn a_draft_outlives_a_reload_and_ends_when_it_is_sent() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    page.type_in("#draft", "not yet done");
    page.reload();
    page.wait_for_state(&["connected"]);
    assert_eq!(page.draft(), "not yet done");
    page.type_in("#draft", ", but now");
    page.click("#send");
    page.wait_for_text("not yet done, but now");
    page.reload();
    page.wait_for_text("not yet done, but now");
    assert_eq!(page.draft(), "");
}

#[test]
fn what_arrives_unseen_is_counted_until_it_is_looked_at() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    nodes[1].say("seen at once");
    page.wait_for_text("seen at once");
    assert_eq!(page.unread(), 0);

    page.turn_to("mesh");
    nodes[1].say("behind the mesh 1");
    page.wait_for_unread(1);
    nodes[1].say("behind the mesh 2");
    page.wait_for_unread(2);
    page.picture("unread");
    page.turn_to("chat");
    page.wait_for_unread(0);

    let title = page.value("document.title");
    page.hide();
    nodes[1].say("in a hidden window");
    page.wait_for_unread(1);
    assert_ne!(page.value("document.title"), title, "its title tells it");
    page.show();
    page.wait_for_unread(0);
    until("the title is as before", || {
        let now = page.value("document.title");
        if now == title { Ok(()) } else { Err(now.to_string()) }
    });
}

#[test]
fn the_search_shows_what_matches_and_nothing_else() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    for text in ["the ring is open", "the RING is closed", "lunch?", ".* [a-z] (not a pattern"] {
        page.say(text);
    }
    let shown = || -> Vec<String> {
        let rows = page.rows().into_iter().filter(|row| row["shown"] == true);
        rows.map(|row| row["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let finds = |words: &str, wanted: &[&str]| {
        page.paste("#search", words);
        until(&format!("the search for {words:?} shows {wanted:?}"), || {
            let found = shown();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    finds("ring", &["the ring is open", "the RING is closed"]);
    page.picture("search");
    finds(".* [", &[".* [a-z] (not a pattern"]);
    finds("nothing like it", &[]);
    // What arrives during a search does not slip through it, and is there after it.
    nodes[1].say("unrelated news");
    nodes[0].wait_for_text("unrelated news");
    finds("lunch", &["lunch?"]);
    page.paste("#search", "");
    page.wait_for_row("unrelated news", |row| row["shown"] == true);
    assert_eq!(shown().len(), 5);
}

/// The library itself: its wrapper would stand between the test and the process.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

#[test]
fn messages_stand_under_the_day_they_were_written_on() {
    let Some(browser) = Browser::start() else { return };
    let mut node = single("bobby");
    let mut days = 1;
    if let Some(library) = libfaketime() {
        let variables = [("LD_PRELOAD", library.as_os_str()), ("FAKETIME", "-3d".as_ref())];
        let unshaken = ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref());
        let variables = variables.into_iter().chain([unshaken]);
        node.set_environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        node.start();
        node.say("three days ago");
        node.terminate();
        node.set_environment(Vec::new());
        days = 2;
    } else {
        skipped("only one day is tried, as there is no libfaketime (Debian: apt-get install libfaketime)");
    }
    node.start();
    let page = Page::open(&browser, &node);
    page.say("today");
    page.say("still today");
    page.wait_for_count("#messages .day", days);
    let order = "return [...document.querySelectorAll('#messages .day, #messages article.message')]
        .map(it => it.matches('.day') ? 'day' : it.querySelector('.text').textContent)";
    let older: &[&str] = if days == 2 { &["day", "three days ago"] } else { &[] };
    let wanted = json!([older, &["day", "today", "still today"]].concat());
    assert_eq!(page.run(order, &[]), wanted);
    page.picture("days");
    page.reload();
    page.wait_for_count("#messages .day", days);
    page.wait_for_text("still today");
    assert_eq!(page.run(order, &[]), wanted);
}
