//! What lines look like, what is kept out of them, and how many there are.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use super::limiter::{Limiter, shared};
use super::line::{Form, Line};
use super::{CONSOLE, MAX_LINES_PER_SECOND, escape, filter, subscriber, writer};
use crate::config::{LogConfig, LogFormat};

fn line(target: &str, level: Level, message: &str, fields: Vec<(&'static str, Value)>) -> Line {
    let time: Timestamp = "2024-05-01T15:58:43.214573Z".parse().expect("a time");
    Line { time, level, target: target.to_owned(), message: message.to_owned(), fields }
}

fn written(format: LogFormat, line: &Line) -> String {
    String::from_utf8(Form::in_zone(format, TimeZone::UTC).write(line)).expect("text")
}

#[test]
fn a_text_line_is_the_seeds() {
    let line = line("meshline_net", Level::INFO, "Server listening at 127.0.0.1:6001", Vec::new());
    assert_eq!(written(LogFormat::Text, &line), "15:58:43.214573 INF ~ Server listening at 127.0.0.1:6001\n");
}

#[test]
fn the_levels_have_three_letters() {
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let words = levels.map(|level| written(LogFormat::Text, &line("t", level, "m", Vec::new()))[16..19].to_owned());
    assert_eq!(words, ["ERR", "WRN", "INF", "DBG", "TRC"]);
}

#[test]
fn fields_follow_the_message_and_are_quoted_where_needed() {
    let fields = vec![("count", json!(3)), ("name", json!("bob by")), ("reason", json!("lost")), ("x", json!(""))];
    let line = line("t", Level::DEBUG, "left", fields);
    assert_eq!(
        written(LogFormat::Text, &line),
        "15:58:43.214573 DBG ~ left count=3 name=\"bob by\" reason=lost x=\"\"\n"
    );
}

#[test]
fn a_console_message_keeps_its_line_breaks_and_nothing_else_does() {
    let text = "Incoming message\n   donald: hello there";
    assert_eq!(
        written(LogFormat::Text, &line(CONSOLE, Level::INFO, text, Vec::new())),
        "15:58:43.214573 INF ~ Incoming message\n   donald: hello there\n"
    );
    assert_eq!(
        written(LogFormat::Text, &line("other", Level::INFO, text, Vec::new())),
        "15:58:43.214573 INF ~ Incoming message\\n   donald: hello there\n"
    );
    assert_eq!(
        written(LogFormat::Text, &line(CONSOLE, Level::INFO, "\n   _: User bobby has left", Vec::new())),
        "15:58:43.214573 INF ~\n   _: User bobby has left\n"
    );
    assert!(written(LogFormat::Text, &line(CONSOLE, Level::INFO, "a\u{1b}[2Jb", Vec::new())).contains("a\\u{1b}[2Jb"));
}

#[test]
fn a_json_line_has_stable_members_first() {
    let fields = vec![("address", json!("127.0.0.1:1")), ("level", json!("mine")), ("rtt_us", json!(12))];
    let text = written(LogFormat::Json, &line("meshline_net", Level::WARN, "slow", fields));
    assert!(text.starts_with(
        r#"{"time":"2024-05-01T15:58:43.214573Z","level":"warn","target":"meshline_net","message":"slow","#
    ));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["address"], "127.0.0.1:1");
    assert_eq!(value["level_"], "mine");
    assert_eq!(value["rtt_us"], 12);
}

#[test]
fn foreign_text_cannot_start_a_line_of_its_own_in_either_form() {
    let evil = "x\n00:00:00.000000 ERR ~ forged\u{202e}\u{7f}\u{9b}";
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = written(format, &line("t", Level::INFO, evil, vec![("name", json!(evil))]));
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{text}");
    }
}

#[test]
fn escaping_leaves_ordinary_text_alone() {
    for text in ["", "hello", "Привет, мир", "日本語 🎉", "back\\slash", "\u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}"]
    {
        assert!(matches!(escape(text), std::borrow::Cow::Borrowed(same) if same == text));
    }
    assert_eq!(escape("a\r\n\tb\0"), "a\\r\\n\\tb\\u{0}");
    assert_eq!(escape("a\u{2066}b\u{200b}c\u{feff}d\u{e0041}"), "a\\u{2066}b\\u{200b}c\\u{feff}d\\u{e0041}");
}

#[test]
fn what_shows_nothing_is_written_out() {
    for blank in
        ['\u{ad}', '\u{34f}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{fe00}', '\u{fe0f}', '\u{e0100}']
    {
        assert_eq!(escape(&format!("a{blank}")), format!("a\\u{{{:x}}}", u32::from(blank)));
    }
    assert_eq!(escape("\u{2764}\u{fe0f}\u{fe0f}"), "\u{2764}\u{fe0f}\\u{fe0f}", "a second one selects nothing");
    assert_eq!(escape("\u{2800}\u{fe0f}"), "\\u{2800}\\u{fe0f}");
}

#[test]
fn an_overlong_line_is_cut() {
    let text = written(LogFormat::Text, &line("t", Level::INFO, &"ä".repeat(100_000), Vec::new()));
    assert!(text.len() < 21 * 1024 && text.ends_with("…\n"));
}

#[test]
fn a_source_has_a_hundred_lines_a_second_and_no_more() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    let admitted = (0..250).filter(|_| limiter.admit(now, "a")).count();
    assert_eq!(admitted, MAX_LINES_PER_SECOND as usize);
    assert!(limiter.admit(now, "b"), "another source has its own share");
    assert_eq!(limiter.take_suppressed(), 150);
    assert!(!limiter.has_suppressed());
    assert!(limiter.admit(now + Duration::from_secs(1), "a"), "a new second, a new share");
}

#[test]
fn sources_beyond_the_bound_share_one_count() {
    let mut limiter = Limiter::default();
    let now = Instant::now();
    assert!((0..1_024).all(|n| limiter.admit(now, &format!("source {n}"))));
    let late = (0..500).filter(|n| limiter.admit(now, &format!("late {n}"))).count();
    assert_eq!(late, MAX_LINES_PER_SECOND as usize);
    assert!(limiter.admit(now, "source 7"), "who was counted before keeps its share");
}

#[test]
fn levels_are_words_with_exceptions_behind_them() {
    for text in ["info", "off", "trace", "warn,meshline_net=trace", "meshline_mesh=info"] {
        assert!(filter::parse(text).is_some(), "{text}");
    }
    for text in ["", "INFO", "loud", "info,debug", "=debug", "a=loud", "info,"] {
        assert!(filter::parse(text).is_none(), "{text}");
    }
}

#[test]
fn our_targets_have_the_level_and_others_are_heard_from_warn_up() {
    let targets = filter::parse("debug,hyper=info").expect("valid");
    assert!(targets.would_enable("meshline_net::tls", &Level::DEBUG));
    assert!(targets.would_enable(CONSOLE, &Level::DEBUG));
    assert!(targets.would_enable("node", &Level::DEBUG));
    assert!(!targets.would_enable("node", &Level::TRACE));
    assert!(targets.would_enable("rustls", &Level::WARN));
    assert!(!targets.would_enable("rustls", &Level::INFO));
    assert!(targets.would_enable("hyper::proto", &Level::INFO));
    let quiet = filter::parse("error").expect("valid");
    assert!(!quiet.would_enable("rustls", &Level::WARN));
}

#[test]
fn what_is_kept_is_debug_of_ours_and_more_if_more_is_written() {
    for quiet in ["off", "error", "info", "debug", "info,meshline_net=warn"] {
        let kept = filter::parse_for_tail(quiet).expect("valid");
        assert!(kept.would_enable("meshline_net::tls", &Level::DEBUG), "{quiet}");
        assert!(!kept.would_enable("meshline_net::link", &Level::TRACE), "{quiet}: frames are many");
        assert!(!kept.would_enable("rustls", &Level::INFO), "{quiet}");
    }
    let kept = filter::parse_for_tail("info,meshline_net=trace,rustls=off").expect("valid");
    assert!(kept.would_enable("meshline_net::link", &Level::TRACE));
    assert!(!kept.would_enable("rustls", &Level::ERROR), "what is foreign is as configured");
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("text")
    }
}

fn logged(format: LogFormat, events: impl FnOnce()) -> String {
    let memory = Memory::default();
    let limiter = shared();
    let form = Form::in_zone(format, TimeZone::UTC);
    let (queue, flush) = writer::start(Box::new(memory.clone()), limiter.clone(), form.clone()).expect("a thread");
    let targets = filter::parse("debug").expect("valid");
    let layer = subscriber::Lines::new(form, limiter, queue).with_filter(targets);
    tracing::subscriber::with_default(Registry::default().with(layer), events);
    drop(flush);
    memory.text()
}

#[test]
fn events_become_lines_with_typed_fields() {
    let name = "bob\nby";
    let text = logged(LogFormat::Json, || {
        tracing::info!(link = 7_u64, name, up = true, loss = 0.5, address = %"[::1]:6001", "connected to {name}");
    });
    let value: Value = serde_json::from_str(&text).expect("one line");
    assert_eq!(value["level"], "info");
    assert_eq!(value["message"], "connected to bob\\nby");
    assert_eq!(value["link"], 7);
    assert_eq!(value["name"], "bob\\nby");
    assert_eq!(value["up"], true);
    assert_eq!(value["loss"], 0.5);
    assert_eq!(value["address"], "[::1]:6001");
}

#[test]
fn a_flood_is_cut_and_its_rest_reported_in_one_line() {
    let text = logged(LogFormat::Text, || {
        for n in 0..350 {
            tracing::debug!(peer = "abc", n, "again");
        }
        tracing::debug!(peer = "def", "once");
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), MAX_LINES_PER_SECOND as usize + 2, "{text}");
    assert!(lines[100].ends_with("once peer=def"));
    assert!(lines[101].ends_with("WRN ~ 250 lines suppressed"));
}

#[test]
fn a_report_comes_within_two_seconds_even_if_nothing_else_is_logged() {
    let memory = Memory::default();
    let limiter = shared();
    let form = Form::in_zone(LogFormat::Text, TimeZone::UTC);
    let (queue, _flush) = writer::start(Box::new(memory.clone()), limiter.clone(), form.clone()).expect("a thread");
    let layer = subscriber::Lines::new(form, limiter, queue);
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        (0..101).for_each(|_| tracing::info!(peer = "abc", "again"));
    });
    let deadline = Instant::now() + Duration::from_secs(3);
    while !memory.text().contains("1 lines suppressed") {
        assert!(Instant::now() < deadline, "no report: {}", memory.text());
        std::thread::yield_now();
    }
}

#[test]
fn the_log_of_a_process_goes_to_its_file_is_complete_at_the_end_and_changes_its_level() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.log");
    std::fs::write(&path, "kept\n").expect("writable");
    let config = LogConfig { file: Some(path.clone()), ..LogConfig::default() };
    let log = super::start(&config).expect("the only start");
    assert!(matches!(super::start(&config), Err(super::LogError::Started)));
    tracing::debug!(target: "meshline_net", "shown");
    tracing::trace!(target: "meshline_net", "too fine");
    log.set_level(&"warn".parse().expect("a level"));
    tracing::info!(target: "meshline_net", "not any more");
    tracing::warn!(target: "meshline_net", "still");
    drop(log);
    let text = std::fs::read_to_string(&path).expect("readable");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0], "kept");
    assert!(lines[1].ends_with(" DBG ~ shown") && lines[2].ends_with(" WRN ~ still"), "{text}");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_named() {
    let config = LogConfig { file: Some("/nonexistent/log".into()), ..LogConfig::default() };
    let error = super::start(&config).expect_err("no such folder");
    assert!(error.to_string().starts_with("/nonexistent/log: cannot open the log file"));
}

/// A terminal that was stopped: every write waits until the test is over.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_terminal_never_holds_up_the_program() {
    let (release, wait) = std::sync::mpsc::channel();
    let limiter = shared();
    let form = Form::in_zone(LogFormat::Text, TimeZone::UTC);
    let (queue, flush) = writer::start(Box::new(Stuck(wait)), limiter.clone(), form.clone()).expect("a thread");
    let layer = subscriber::Lines::new(form, limiter.clone(), queue);
    let started = Instant::now();
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        (0..3_000).for_each(|n| tracing::info!(peer = n / 50, "line"));
    });
    drop(flush);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(super::limiter::lock(&limiter).has_suppressed(), "what found no room is counted");
    drop(release);
}
