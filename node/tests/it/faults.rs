//! Somebody is killed and comes back.

use serde_json::json;

use crate::support::browser::{Browser, UNREACHABLE};
use crate::support::node::{mesh, ring};
use crate::support::page::Page;
use crate::support::wait::until;

#[test]
fn a_killed_peer_is_seen_missing_and_gets_once_what_was_said_meanwhile() {
    let Some(browser) = Browser::start() else { return };
    let mut nodes = mesh(&["bobby", "donald"]);
    let bobby = Page::open(&browser, &nodes[0]);
    bobby.say("before");
    bobby.wait_for_row("before", |row| row["state"] == "delivered");

    nodes[1].kill();
    bobby.wait_for_state(&["link-lost", "alone"]);
    bobby.picture("link-lost");
    bobby.wait_for_count("#members li[data-reachable=false]", 1);
    for text in ["meanwhile 1", "meanwhile 2"] {
        bobby.say(text);
        bobby.wait_for_row(text, |row| row["state"] == "queued");
    }
    bobby.picture("queued");

    nodes[1].start();
    bobby.wait_for_state(&["connected"]);
    bobby.wait_for_count("#members li[data-reachable=false]", 0);
    for text in ["meanwhile 1", "meanwhile 2"] {
        bobby.wait_for_row(text, |row| row["delivery"] == "delivered to 1 of 1");
    }
    nodes[1].wait_for_text("meanwhile 2");
    bobby.say("after");
    nodes[1].wait_for_text("after");
    let texts = ["before", "meanwhile 1", "meanwhile 2", "after"];
    assert_eq!(nodes[1].texts(), texts);
    assert_eq!(bobby.texts(), texts);
}

#[test]
fn the_page_outlives_its_own_node_with_draft_and_history() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints(UNREACHABLE);
    // What a node says that is about to end.
    browser.expect_complaints("503 (Service Unavailable)");
    let mut nodes = mesh(&["bobby", "donald"]);
    let [bobby, donald] = [&nodes[0], &nodes[1]].map(|node| Page::open(&browser, node));
    bobby.say("before");
    donald.wait_for_text("before");
    bobby.type_in("#draft", "half a thought");

    nodes[0].kill();
    bobby.wait_for_state(&["stopped"]);
    bobby.picture("stopped");
    assert_eq!(bobby.draft(), "half a thought");
    assert_eq!(bobby.texts(), ["before"], "what was there is still shown");
    donald.wait_for_state(&["alone", "link-lost"]);
    donald.say("meanwhile");

    nodes[0].start();
    bobby.wait_for_state(&["connected"]);
    bobby.wait_for_text("meanwhile");
    assert_eq!(bobby.draft(), "half a thought");
    bobby.click("#send");
    donald.wait_for_text("half a thought");
    donald.say("and the other half");
    bobby.wait_for_text("and the other half");
    let texts = ["before", "meanwhile", "half a thought", "and the other half"];
    assert_eq!(bobby.texts(), texts);
    assert_eq!(nodes[0].texts(), texts);

    // An end with a goodbye is told as well.
    nodes[0].terminate();
    bobby.wait_for_state(&["stopped"]);
    nodes[0].start();
    bobby.wait_for_state(&["connected"]);
    assert_eq!(bobby.texts(), texts);
}

#[test]
fn what_cannot_be_sent_says_so_and_can_be_tried_again() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints(UNREACHABLE);
    let mut nodes = mesh(&["bobby", "donald"]);
    let bobby = Page::open(&browser, &nodes[0]);
    nodes[0].kill();
    bobby.wait_for_state(&["stopped"]);
    bobby.type_in("#draft", "is anybody there?");
    // Either it cannot be sent now, or it was tried and failed: it is never lost.
    let sendable = bobby.value("!document.querySelector('#send').disabled") == true;
    if sendable {
        bobby.click("#send");
        until("it failed visibly or is a draft again", || {
            let kept = bobby.count(".failed") == 1 || bobby.draft() == "is anybody there?";
            if kept { Ok(()) } else { Err(bobby.draft()) }
        });
    }
    bobby.picture("failed");
    nodes[0].start();
    bobby.wait_for_state(&["connected"]);
    if bobby.count(".failed .retry") == 1 {
        bobby.click(".failed .retry");
    } else if bobby.texts().is_empty() {
        assert_eq!(bobby.draft(), "is anybody there?");
        bobby.click("#send");
    }
    bobby.wait_for_row("is anybody there?", |row| row["delivery"] == "delivered to 1 of 1");
    nodes[1].wait_for_text("is anybody there?");
    assert_eq!(nodes[1].texts(), ["is anybody there?"]);
    assert_eq!((bobby.count(".failed"), bobby.draft().as_str()), (0, ""));
}

/// How often it may hang until the ring is seen open.
const HANGS: usize = 6;

#[test]
fn a_ring_that_opens_is_told_and_so_is_its_healing() {
    let Some(browser) = Browser::start() else { return };
    let mut nodes = ring(&["bobby", "donald", "eddy"]);
    let page = Page::open(&browser, &nodes[0]);
    page.say("around we go");
    page.wait_for_row("around we go", |row| row["delivery"] == "delivered to 2 of 2");
    // A ring may heal between two looks from here.
    let watch = "const state = document.querySelector('#state');
        window.seenStates = [];
        new MutationObserver(() => window.seenStates.push(state.dataset.state))
            .observe(state, {attributes: true, attributeFilter: ['data-state']})";
    page.run(watch, &[]);

    // One that is killed is healed past at once. One that hangs is missed by what does not come back, every five seconds, or by
    // the silence of its link: if that is noticed first, nothing is seen to be open, and it hangs once more.
    let opened = (0..HANGS).any(|_| {
        nodes[2].halt();
        nodes[0].wait_for_ring(2);
        page.wait_for_state(&["connected"]);
        let seen = page.value("window.seenStates");
        let opened = seen.as_array().is_some_and(|states| states.contains(&json!("ring-open")));
        if !opened {
            nodes[2].resume();
            nodes[0].wait_for_ring(3);
        }
        opened
    });
    assert!(opened, "it hung {HANGS} times, and each time the ring closed without the page saying that it is open");
    page.say("the two of us");
    page.wait_for_row("the two of us", |row| row["delivery"] == "delivered to 1 of 1");
    page.picture("ring-healed");

    nodes[2].kill();
    nodes[2].start();
    nodes[0].wait_for_ring(3);
    page.wait_for_state(&["connected"]);
    page.wait_for_count("#members li[data-reachable=false]", 0);
    nodes[2].wait_for_text("the two of us");
    page.say("all of us again");
    page.wait_for_row("all of us again", |row| row["delivery"] == "delivered to 2 of 2");
    assert_eq!(nodes[2].texts(), ["around we go", "the two of us", "all of us again"]);
}
