//! The page is there for everybody: read aloud, by keyboard, in the dark, on a phone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::browser::{Browser, UNREACHABLE};
use crate::support::node::{mesh, ring, single};
use crate::support::page::Page;
use crate::support::wait::until;

/// Finds what is wrong with a page as it is shown now.
const AUDIT: &str = include_str!("support/audit.js");

/// The width of a narrow phone.
const PHONE: u32 = 360;

const TAB: char = '\u{E004}';

/// All that was found, so that one run tells everything.
#[derive(Debug, Default)]
pub(crate) struct Report(BTreeSet<String>);

impl Report {
    /// Looks at the page in both schemes and on both screens; keeps pictures.
    #[track_caller]
    pub(crate) fn look(&mut self, page: &Page, state: &str) {
        for (screen, width) in [("wide", 0), ("phone", PHONE)] {
            page.screen(width);
            for scheme in ["light", "dark"] {
                page.prefer(scheme);
                page.picture(&format!("{state}-{screen}-{scheme}"));
                let findings = page.run(AUDIT, &[]);
                let findings = findings.as_array().expect("findings").iter().filter_map(Value::as_str);
                self.0.extend(findings.map(|finding| format!("{state}, {screen}, {scheme}: {finding}")));
            }
        }
        page.screen(0);
    }

    #[track_caller]
    pub(crate) fn judge(self) {
        let lines: Vec<String> = self.0.into_iter().collect();
        assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
    }
}

/// Words, a long word, an address and lines.
fn talk(page: &Page) {
    page.say("a message of mine");
    for text in ["with https://example.com/ in it", &"long".repeat(100), "one\ntwo\nthree"] {
        page.paste("#draft", text);
        page.click("#send");
        page.wait_for_text(text);
    }
}

#[test]
fn the_chat_and_the_mesh_are_there_for_everybody() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints(UNREACHABLE);
    let mut report = Report::default();
    let mut nodes = mesh(&["bobby", "donald", "eddy"]);
    let page = Page::open(&browser, &nodes[0]);
    report.look(&page, "empty");
    talk(&page);
    nodes[1].say("and one of another");
    page.wait_for_text("and one of another");
    page.paste("#draft", "a draft");
    report.look(&page, "connected");

    page.turn_to("mesh");
    page.wait_for_count("#circle g.member", 3);
    page.wait_for_count("#peers tr[data-peer]", 2);
    let words = ["forward", "add", "tcp://127.0.0.1:0", "donald", "tcp://127.0.0.1:9"];
    assert!(nodes[0].asking(&words).output().is_ok_and(|output| output.status.success()), "{words:?}");
    page.wait_for_count("#forwards tbody tr", 1);
    report.look(&page, "mesh");
    page.click("#peers tr[data-peer] button, #peers tr[data-peer] summary, #peers tr[data-peer]");
    page.wait_for_count(".explanation", 1);
    report.look(&page, "explanation");
    page.turn_to("chat");

    nodes[2].kill();
    page.wait_for_count("#members li[data-reachable=false]", 1);
    report.look(&page, "one-missing");
    nodes[0].kill();
    page.wait_for_state(&["stopped"]);
    report.look(&page, "stopped");
    report.judge();
}

#[test]
fn whoever_is_alone_or_not_let_in_can_read_why() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints("status of 401");
    let mut report = Report::default();
    let mut node = single("bobby");
    node.start();
    let stranger = Page::open_at(&browser, &format!("{}/", node.origin()));
    stranger.wait_for_state(&["unauthorized"]);
    stranger.wait_for_count("#token-form", 1);
    report.look(&stranger, "unauthorized");
    let page = Page::open(&browser, &node);
    page.wait_for_state(&["alone"]);
    page.say("to nobody yet");
    page.wait_for_row("to nobody yet", |row| row["state"] == "queued");
    report.look(&page, "alone");
    report.judge();
}

#[test]
fn an_open_ring_can_be_read_by_everybody() {
    let Some(browser) = Browser::start() else { return };
    let mut report = Report::default();
    let mut nodes = ring(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    report.look(&page, "ring");
    nodes[1].kill();
    let state = page.wait_for_state(&["ring-open", "link-lost", "alone"]);
    report.look(&page, &format!("ring-{state}"));
    page.turn_to("mesh");
    report.look(&page, "ring-mesh");
    report.judge();
}

/// Marks what can be used by keyboard, and forgets the marks of an earlier round.
const REACHABLE: &str = "
    const css = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]';
    const shown = it => it.checkVisibility({visibilityProperty: true}) && it.getClientRects().length > 0;
    const usable = it => shown(it) && !it.disabled && !it.closest('[inert]');
    // Of a group that is steered by arrows only one takes part in the round.
    const grouped = it => it.closest('[role=tablist], [role=listbox], [role=radiogroup], [role=toolbar], [role=grid]') && it.tabIndex < 0;
    const focusless = it => it.tabIndex < 0 && !['A', 'BUTTON', 'INPUT', 'SELECT', 'TEXTAREA', 'SUMMARY'].includes(it.tagName);
    const wanted = [...document.querySelectorAll(css)].filter(it => usable(it) && !grouped(it) && !focusless(it));
    window.controls = wanted;
    document.activeElement?.blur();
    window.scrollTo(0, 0);
    return wanted.map(it => it.outerHTML.slice(0, 90));";

/// Which of them has the focus, and whether one can see it: by an outline, or because it looks different without.
const FOCUSED: &str = "
    const it = document.activeElement;
    const style = getComputedStyle(it);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const look = () => [it, ...it.querySelectorAll('*')].map(part => getComputedStyle(part))
        .map(style => [style.boxShadow, style.stroke, style.strokeWidth, style.borderColor, style.outline].join()).join(';');
    let seen = outlined;
    if (!seen) {
        const focused = look();
        it.blur();
        seen = focused !== look();
        it.focus({preventScroll: true});
    }
    return {at: window.controls.indexOf(it), seen, drawn: it.getClientRects().length > 0, what: it.outerHTML.slice(0, 90)};";

/// Goes round by the tab key; everything must be reached, in order of the document, and be seen when it is.
#[track_caller]
pub(crate) fn go_round(page: &Page) {
    let wanted = page.run(REACHABLE, &[]);
    let wanted = wanted.as_array().expect("controls");
    let mut order = Vec::new();
    for _ in 0..wanted.len() + 3 {
        page.press(TAB);
        let focus = page.run(FOCUSED, &[]);
        let Some(at) = focus["at"].as_u64().and_then(|at| usize::try_from(at).ok()) else { continue };
        assert_eq!(focus["drawn"], true, "the focus is on what is not shown: {focus}");
        assert_eq!(focus["seen"], true, "the focus is not seen: {focus}");
        if !order.contains(&at) {
            order.push(at);
        }
    }
    let missed: Vec<_> = wanted.iter().enumerate().filter(|(at, _)| !order.contains(at)).map(|(_, it)| it).collect();
    assert!(missed.is_empty(), "not reached by the tab key: {missed:#?}");
    let rank = order.iter().position(|at| *at == 0).unwrap_or(0);
    order.rotate_left(rank);
    assert!(order.is_sorted(), "the focus jumps: {order:?} of {wanted:#?}");
}

#[test]
fn everything_is_reached_by_the_tab_key_and_seen_when_it_is() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints("status of 401");
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    talk(&page);
    go_round(&page);
    page.screen(PHONE);
    go_round(&page);
    page.screen(0);
    page.turn_to("mesh");
    page.wait_for_count("#peers tr[data-peer]", 1);
    go_round(&page);
    let stranger = Page::open_at(&browser, &format!("{}/", nodes[1].origin()));
    stranger.wait_for_state(&["unauthorized"]);
    go_round(&stranger);
}

#[test]
fn the_views_are_turned_to_by_keyboard_alone() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    for (view, from) in [("mesh", "chat"), ("chat", "mesh")] {
        page.run("document.querySelector(arguments[0]).focus()", &[format!("#tab-{from}").into()]);
        // By arrow, if these are tabs; else by the next control.
        let arrow = if view == "mesh" { '\u{E014}' } else { '\u{E012}' };
        page.press(arrow);
        if page.value("document.activeElement.id") != format!("tab-{view}") {
            page.run("document.querySelector(arguments[0]).focus()", &[format!("#tab-{view}").into()]);
        }
        page.press('\u{E007}');
        until(&format!("the {view} is shown"), || {
            let shown = page.value("document.body.dataset.view");
            if shown == view { Ok(()) } else { Err(shown.to_string()) }
        });
    }
}
