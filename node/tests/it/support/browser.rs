//! A browser with its windows, and what it has to complain about.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::driver::Driver;

/// What a browser says when it cannot reach its server.
pub(crate) const UNREACHABLE: &str = "net::ERR_";

/// A browser of its own for a test. At its end it must have had nothing to complain about: no error in its console,
/// no violation of a content security policy.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Driver,
    current: RefCell<String>,
    expected: RefCell<Vec<String>>,
    complaints: RefCell<Vec<String>>,
}

impl Browser {
    /// Starts one; `None`, said in a line, where there is none.
    #[track_caller]
    pub(crate) fn start() -> Option<Rc<Self>> {
        Self::start_with(&[])
    }

    /// Starts one with further flags.
    #[track_caller]
    pub(crate) fn start_with(flags: &[String]) -> Option<Rc<Self>> {
        match Driver::start(flags) {
            Ok(driver) => Some(Rc::new(Self {
                driver,
                current: RefCell::default(),
                expected: RefCell::default(),
                complaints: RefCell::default(),
            })),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    /// Complaints with these words are expected: a node is killed, say.
    pub(crate) fn expect_complaints(&self, words: &str) {
        self.expected.borrow_mut().push(words.to_owned());
    }

    /// A new window with this address.
    #[track_caller]
    pub(crate) fn open(self: &Rc<Self>, url: &str) -> Window {
        let opened = self.driver.post("/window/new", &json!({ "type": "window" }));
        let handle = opened["handle"].as_str().expect("a handle").to_owned();
        let window = Window { browser: Rc::clone(self), handle };
        window.go(url);
        window
    }

    /// Notes what was complained about since the last time and not expected.
    fn note_complaints(&self) {
        let entries = self.driver.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let told = entries.iter().filter(|entry| {
            let bad = matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
            bad || matches!(entry["source"].as_str(), Some("security" | "violation" | "deprecation"))
        });
        let expected = self.expected.borrow();
        let lines = told.map(|entry| format!("{}: {}", entry["source"], entry["message"]));
        let unexpected = lines.filter(|line| !expected.iter().any(|words| line.contains(words)));
        self.complaints.borrow_mut().extend(unexpected);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let complaints = self.complaints.borrow();
            assert!(complaints.is_empty(), "the browser complained:\n{}", complaints.join("\n"));
        }
    }
}

/// Says, past the harness that would hide it, that a test did not run, or not all of it.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // In one piece, as other threads write too. Without a terminal nobody reads it.
    let _ = std::io::stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}

/// One window.
#[derive(Debug)]
pub(crate) struct Window {
    browser: Rc<Browser>,
    handle: String,
}

/// Windows end before the nodes they show: what is complained about after that is no matter.
impl Drop for Window {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.browser.note_complaints();
        }
    }
}

impl Window {
    /// The driver, with this window as the one that is spoken of.
    #[track_caller]
    fn driver(&self) -> &Driver {
        let mut current = self.browser.current.borrow_mut();
        if *current != self.handle {
            self.browser.driver.post("/window", &json!({ "handle": self.handle }));
            current.clone_from(&self.handle);
        }
        &self.browser.driver
    }

    /// Loads a page. Only a change behind `#` does not load it anew.
    #[track_caller]
    pub(crate) fn go(&self, url: &str) {
        self.driver().post("/url", &json!({ "url": url }));
    }

    #[track_caller]
    pub(crate) fn reload(&self) {
        self.driver().post("/refresh", &json!({}));
    }

    #[track_caller]
    pub(crate) fn url(&self) -> String {
        self.driver().get("/url").as_str().expect("a text").to_owned()
    }

    /// Minimises it: nobody sees it then.
    #[track_caller]
    pub(crate) fn hide(&self) {
        self.driver().post("/window/minimize", &json!({}));
        assert_eq!(self.value("document.visibilityState"), "hidden");
    }

    /// Brings it back.
    #[track_caller]
    pub(crate) fn show(&self) {
        self.driver().post("/window/rect", &json!({ "width": 1100, "height": 800 }));
        assert_eq!(self.value("document.visibilityState"), "visible");
    }

    /// Runs a function body in the page.
    #[track_caller]
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.driver().post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression}"), &[])
    }

    /// Clicks as a person would: an element that is hidden or covered is an error.
    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        let element = self.element(css);
        self.driver().post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types key by key.
    #[track_caller]
    pub(crate) fn type_in(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.driver().post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key, wherever the focus is.
    #[track_caller]
    pub(crate) fn press(&self, key: char) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.driver().post("/actions", &json!({ "actions": [keyboard] }));
    }

    #[track_caller]
    fn element(&self, css: &str) -> String {
        let found = self.driver().post("/element", &json!({"using": "css selector", "value": css}));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no element in {found}")).to_owned()
    }

    /// From now on commands speak of the document in this frame; `null` of the page itself.
    #[track_caller]
    pub(crate) fn enter_frame(&self, number: Option<u32>) {
        self.driver().post("/frame", &json!({ "id": number }));
    }

    /// A command of the developer tools.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, arguments: &Value) -> Value {
        self.driver().post("/goog/cdp/execute", &json!({ "cmd": command, "params": arguments }))
    }

    /// Keeps a picture of it beside the build output: `page/<name>.png`.
    #[track_caller]
    pub(crate) fn picture(&self, name: &str) {
        let picture = self.driver().get("/screenshot");
        let bytes = BASE64.decode(picture.as_str().unwrap_or_default().as_bytes()).expect("base64");
        let folder = pictures();
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(folder.join(format!("{name}.png")), bytes).expect("a file can be written");
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("page")
}
