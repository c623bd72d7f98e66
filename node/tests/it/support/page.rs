//! The page of a node as a person sees it. What is asked here stands in the page as the hooks it promises: ids, classes
//! and `data-` attributes.

use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Value, json};

use super::browser::{Browser, Window};
use super::node::Node;
use super::wait::until;

/// All messages of the history as they are shown; what is still on its way to the node is none.
const ROWS: &str = "
    const text = (within, css) => within.querySelector(css)?.textContent.trim() ?? '';
    return [...document.querySelectorAll('#messages article.message[data-cursor]')].map(row => ({
        ...row.dataset,
        text: row.querySelector('.text')?.textContent ?? '',
        name: text(row, '.name'),
        delivery: text(row, '.delivery'),
        time: row.querySelector('time')?.dateTime ?? '',
        shown: row.getClientRects().length > 0,
    }));";

/// The page of a node in a window.
#[derive(Debug)]
pub(crate) struct Page {
    window: Window,
}

impl Deref for Page {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}

impl Page {
    /// Opens the page of a node by its address with the token, and waits until it shows the node's state.
    #[track_caller]
    pub(crate) fn open(browser: &Rc<Browser>, node: &Node) -> Self {
        let page = Self::open_at(browser, &node.url());
        page.wait_for_state(&["connected", "alone", "ring-open"]);
        page
    }

    /// Opens it by this address.
    #[track_caller]
    pub(crate) fn open_at(browser: &Rc<Browser>, url: &str) -> Self {
        Self { window: browser.open(url) }
    }

    /// The state it shows.
    #[track_caller]
    pub(crate) fn state(&self) -> String {
        self.value("document.querySelector('#state')?.dataset.state ?? 'none'").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until it shows one of these states; which.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, wanted: &[&str]) -> String {
        until(&format!("the page says {wanted:?}"), || {
            let state = self.state();
            if wanted.contains(&state.as_str()) { Ok(state) } else { Err(state) }
        })
    }

    /// The text a person sees there.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        let text = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", &[css.into()]);
        text.as_str().unwrap_or_default().trim().to_owned()
    }

    /// How many such elements are shown.
    #[track_caller]
    pub(crate) fn count(&self, css: &str) -> u64 {
        let script =
            "return [...document.querySelectorAll(arguments[0])].filter(it => it.getClientRects().length).length";
        self.run(script, &[css.into()]).as_u64().expect("a number")
    }

    /// Waits until so many such elements are shown.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, css: &str, count: u64) {
        until(&format!("{count} of {css}"), || match self.count(css) {
            found if found == count => Ok(()),
            other => Err(other.to_string()),
        });
    }

    /// The messages.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.run(ROWS, &[]).as_array().expect("rows").clone()
    }

    /// The texts of its messages, in order.
    #[track_caller]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.rows().iter().map(|row| row["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until a message with this text is shown for which `wanted` holds.
    #[track_caller]
    pub(crate) fn wait_for_row(&self, text: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("the page shows {text:?} as wanted"), || {
            let rows = self.rows();
            let found = rows.iter().filter(|row| row["text"] == text).collect::<Vec<_>>();
            match found.as_slice() {
                [row] if wanted(row) => Ok((*row).clone()),
                [row] => Err(row.to_string()),
                [] => Err(format!("{} others, the last {}", rows.len(), rows.last().unwrap_or(&Value::Null))),
                more => panic!("{} times: {text:?}", more.len()),
            }
        })
    }

    /// Waits until a message with this text is shown.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) -> Value {
        self.wait_for_row(text, |_| true)
    }

    /// Writes a message as a person does, and waits until it is shown.
    #[track_caller]
    pub(crate) fn say(&self, text: &str) {
        self.type_in("#draft", text);
        self.click("#send");
        self.wait_for_text(text);
    }

    /// Puts a text into the draft at once, as pasting does.
    #[track_caller]
    pub(crate) fn paste(&self, css: &str, text: &str) {
        let script = "const it = document.querySelector(arguments[0]); it.focus(); it.value = arguments[1];
            it.dispatchEvent(new InputEvent('input', {bubbles: true, inputType: 'insertFromPaste'}))";
        self.run(script, &[css.into(), text.into()]);
    }

    /// What stands in the draft.
    #[track_caller]
    pub(crate) fn draft(&self) -> String {
        self.value("document.querySelector('#draft').value").as_str().unwrap_or_default().to_owned()
    }

    /// The number of unread messages it shows; 0 if it shows none.
    #[track_caller]
    pub(crate) fn unread(&self) -> u64 {
        let text = self.value("document.querySelector('#unread')?.textContent ?? ''");
        let digits: String = text.as_str().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    /// Waits until it shows so many.
    #[track_caller]
    pub(crate) fn wait_for_unread(&self, count: u64) {
        until(&format!("{count} unread"), || match self.unread() {
            found if found == count => Ok(()),
            other => Err(other.to_string()),
        });
    }

    /// Goes to the chat or to the mesh.
    #[track_caller]
    pub(crate) fn turn_to(&self, view: &str) {
        self.click(&format!("#tab-{view}"));
        until(&format!("the page shows the {view}"), || {
            let shown = self.value("document.body.dataset.view");
            if shown == view { Ok(()) } else { Err(shown.to_string()) }
        });
    }

    /// Shows it as to somebody who prefers this: `light` or `dark`.
    #[track_caller]
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        // What began to move before goes to its end.
        let moving = "document.getAnimations()
            .filter(it => it.playState === 'running' && isFinite(it.effect.getComputedTiming().endTime)).length";
        until("all transitions are over", || match self.value(moving).as_u64() {
            Some(0) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Shows it on a screen of this width; 0 is the window's own.
    #[track_caller]
    pub(crate) fn screen(&self, width: u32) {
        let screen = json!({"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": true});
        match width {
            0 => self.devtools("Emulation.clearDeviceMetricsOverride", &json!({})),
            _ => self.devtools("Emulation.setDeviceMetricsOverride", &screen),
        };
    }
}
