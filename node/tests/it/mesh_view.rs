//! The mesh as the page draws it, explains it and logs it.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::node::mesh;
use crate::support::page::Page;
use crate::support::wait::until;

#[test]
fn the_circle_has_every_member_and_the_table_explains_each() {
    let Some(browser) = Browser::start() else { return };
    let mut nodes = mesh(&["bobby", "donald", "eddy"]);
    let page = Page::open(&browser, &nodes[0]);
    page.turn_to("mesh");
    let mut wanted: Vec<String> = nodes.iter().map(|node| node.id()).collect();
    wanted.sort();
    let members = until("the circle has all members", || {
        let found = page.value("[...document.querySelectorAll('#circle g.member')].map(it => it.dataset.peer).sort()");
        if found == json!(wanted) { Ok(found) } else { Err(found.to_string()) }
    });
    assert_eq!(members, json!(wanted));
    page.wait_for_count("#circle .link[data-peer]", 2);
    page.wait_for_count("#peers tr[data-peer]", 2);
    let row = format!("#peers tr[data-peer='{}']", nodes[1].id());
    assert!(page.text(&row).contains("donald"), "{}", page.text(&row));
    page.picture("mesh");

    page.click(&format!("{row} button, {row} summary, {row} a, {row}"));
    page.wait_for_count(".explanation", 1);
    let summary = nodes[0].read(&format!("/api/v1/explain/{}", nodes[1].id()))["summary"].take();
    let summary = summary.as_str().expect("a summary").to_owned();
    until("the explanation is that of the node", || {
        let told = page.text(".explanation");
        if told.contains(&summary) { Ok(()) } else { Err(format!("{told:?} instead of {summary:?}")) }
    });
    assert!(page.count(".explanation .why li") > 0);
    page.click(".trace button");
    page.wait_for_count(".trace .hops li", 1);
    assert!(page.text(".trace .hops").contains("donald") && page.text(".trace .hops").contains("on average"));
    page.picture("explanation");
    let member = format!("document.querySelector(\"#circle g.member[data-peer='{}']\")", nodes[1].id());
    page.run(&format!("const it = {member}; it.focus(); it.dataset.drawn = 'before'"), &[]);
    page.wait_for_count("#circle .way .hop", 1);
    assert!(page.text("#way-said").starts_with("you → donald"), "{}", page.text("#way-said"));
    // On a narrow screen it is drawn anew, and whoever went there by keyboard is still there.
    page.screen(360);
    page.wait_for_count("#circle g.member[data-drawn]", 0);
    assert_eq!(page.value(&format!("document.activeElement === {member}")), json!(true), "the focus has stayed");
    page.wait_for_count("#circle .way .hop", 1);
    assert!(page.text("#way-said").starts_with("you → donald"), "{}", page.text("#way-said"));
    assert_eq!(page.count("#circle g.member[tabindex='0']"), 1, "the tab key comes back to it");
    page.screen(0);

    let gone = nodes[2].id();
    nodes[2].kill();
    until("the circle shows who is missing", || {
        let script = "return [document.querySelectorAll('#circle .link[data-peer]').length,
            document.querySelector(`#circle g.member[data-peer='${arguments[0]}']`)?.outerHTML.slice(0, 200)]";
        let found = page.run(script, &[gone.as_str().into()]);
        if found[0] == 1 { Ok(()) } else { Err(found.to_string()) }
    });
    page.picture("mesh-one-missing");
    assert!(!page.text("#health").is_empty());
    nodes[2].start();
    page.wait_for_count("#circle .link[data-peer]", 2);
    page.wait_for_count("#circle g.member", 3);
}

/// The levels of the lines that are shown.
#[track_caller]
fn levels(page: &Page) -> Vec<String> {
    let script = "return [...document.querySelectorAll('#log .line')].filter(it => it.getClientRects().length)
        .map(it => it.dataset.level)";
    let levels = page.run(script, &[]);
    levels.as_array().expect("levels").iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

#[test]
fn the_log_is_shown_line_by_line_and_by_level() {
    let Some(browser) = Browser::start() else { return };
    let mut nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    page.turn_to("mesh");
    until("the log has lines", || {
        let found = levels(&page);
        if found.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    });
    let choose = |level: &str| {
        let script = "const it = document.querySelector('#log-level'); it.value = arguments[0];
            it.dispatchEvent(new Event('input', {bubbles: true}));
            it.dispatchEvent(new Event('change', {bubbles: true})); return it.value";
        assert_eq!(page.run(script, &[level.into()]), level);
    };
    choose("debug");
    until("lines of debug are shown", || {
        let found = levels(&page);
        let both = found.iter().any(|level| level == "debug") && found.iter().any(|level| level == "info");
        if both { Ok(()) } else { Err(format!("{found:?}")) }
    });
    page.picture("log");
    choose("warn");
    until("only warnings and errors are shown", || {
        let found = levels(&page);
        let only = found.iter().all(|level| level == "warn" || level == "error");
        if only { Ok(()) } else { Err(format!("{found:?}")) }
    });
    choose("info");
    // What happens now is added at the end.
    let before = page.text("#log");
    nodes[1].terminate();
    until("the log tells that somebody left", || {
        let now = page.text("#log");
        let fresh = now.lines().filter(|line| !before.contains(line)).any(|line| line.contains("donald"));
        if fresh { Ok(()) } else { Err(now) }
    });
    assert!(levels(&page).iter().all(|level| ["info", "warn", "error"].contains(&level.as_str())));
}
