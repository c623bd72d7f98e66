//! Chromium by way of chromedriver, spoken to in the JSON of the WebDriver protocol. A WebDriver library would bring
//! 35 further crates, among them all of ICU, for what is a dozen requests here.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Request;
use super::process::{Process, command, folder, has_tool};
use super::wait::until;

/// Browsers at once: on a small machine more of them take turns anyway, and then time limits are missed.
const AT_ONCE: usize = 2;

/// Names under which systems have the browser.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// No sandbox, because it does not work for root nor in most containers; the pages are our own. The pipe makes the
/// browser end with its driver, however that ends. The rest keeps it from the network, and windows nobody looks at awake.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-backgrounding-occluded-windows",
    "--remote-debugging-pipe",
    "--window-size=1100,800",
];

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The right to run one browser.
#[derive(Debug)]
struct Turn;

impl Turn {
    fn wait() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let free = ENDED.wait_while(running, |running| *running >= AT_ONCE);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// A browser with an empty profile, and the driver that steers it. Both are killed when dropped.
#[derive(Debug)]
pub(crate) struct Driver {
    _process: Process,
    port: u16,
    session: String,
    _folder: TempDir,
    // The last field: another browser may start when this one is gone.
    _turn: Turn,
}

impl Driver {
    /// A browser started with these further flags; the reason if there is none on this machine.
    #[track_caller]
    pub(crate) fn start(flags: &[String]) -> Result<Self, String> {
        if !has_tool("chromedriver") {
            return Err("there is no program chromedriver".to_owned());
        }
        let browser = BROWSERS.iter().find_map(|name| path_of(name)).ok_or("there is no program chromium")?;
        let turn = Turn::wait();
        let folder = folder();
        let mut start = command("chromedriver");
        // Crash reports and caches of the browser go where HOME says, profile or not, and what it leaves behind when it
        // is killed where TMPDIR says.
        let scratch = folder.path().join("tmp");
        std::fs::create_dir(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        start.arg("--port=0").env("HOME", folder.path()).env("TMPDIR", &scratch);
        start.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME");
        let process = Process::start("chromedriver", start, &folder.path().join("driver.log"));
        let port = until("chromedriver names its port", || {
            let output = process.output();
            let line = output.lines().find_map(|line| line.split_once("successfully on port "));
            let port = line.and_then(|(_, port)| port.trim_end_matches('.').parse().ok());
            port.ok_or_else(|| format!("{output:?}"))
        });
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let mut driver = Self { _process: process, port, session: String::new(), _folder: folder, _turn: turn };
        let flags = FLAGS.iter().map(|flag| (*flag).to_owned()).chain([profile]).chain(flags.iter().cloned());
        let wanted = json!({
            "browserName": "chrome",
            // A dialog is left open, so that whatever comes next fails by it.
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": browser, "args": flags.collect::<Vec<_>>()},
        });
        let answer = driver.call("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        let answer = answer.unwrap_or_else(|error| panic!("the browser does not start: {error}"));
        driver.session = answer["sessionId"].as_str().expect("a session").to_owned();
        Ok(driver)
    }

    /// A command without arguments to this session.
    #[track_caller]
    pub(crate) fn get(&self, command: &str) -> Value {
        self.in_session("GET", command, &Value::Null)
    }

    /// A command to this session that must succeed.
    #[track_caller]
    pub(crate) fn post(&self, command: &str, arguments: &Value) -> Value {
        self.in_session("POST", command, arguments)
    }

    #[track_caller]
    fn in_session(&self, method: &str, command: &str, arguments: &Value) -> Value {
        let answer = self.call(method, &format!("/session/{}{command}", self.session), arguments);
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn call(&self, method: &str, path: &str, arguments: &Value) -> Result<Value, String> {
        let mut request = Request::post(self.port, path, String::new());
        request.method = method;
        if method == "POST" {
            request.body = arguments.to_string();
        }
        let answer = request.send().map_err(|error| error.to_string())?;
        let value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
    }
}

fn path_of(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
