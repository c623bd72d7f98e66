//! How one event becomes one line.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tracing::Level;

use super::CONSOLE;
use super::escape::{escape, escape_lines};
use crate::config::LogFormat;

/// Longest line in bytes: the longest chat text with its surroundings. Longer ones are cut.
const MAX_LINE: usize = 20 * 1024;

/// The members of a JSON line that are always there; a field of that name gets an underscore.
const FIXED: [&str; 4] = ["time", "level", "target", "message"];

/// An event on its way to become a line.
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// The form of the lines of this process.
#[derive(Clone)]
pub(super) struct Form {
    format: LogFormat,
    zone: TimeZone,
}

impl Form {
    pub(super) fn new(format: LogFormat) -> Self {
        Self::in_zone(format, TimeZone::system())
    }

    pub(super) fn in_zone(format: LogFormat, zone: TimeZone) -> Self {
        Self { format, zone }
    }

    /// The line with its LF, everything foreign in it escaped.
    pub(super) fn write(&self, line: &Line) -> Vec<u8> {
        let mut text = match self.format {
            LogFormat::Text => self.text(line),
            LogFormat::Json => json(line),
        };
        text.push('\n');
        text.into_bytes()
    }

    fn text(&self, line: &Line) -> String {
        let time = line.time.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.6f");
        let message = shown(line);
        let gap = if message.starts_with('\n') { "" } else { " " };
        let mut text = format!("{time} {} ~{gap}{message}", short(line.level));
        // On the console the message says it all, to the letter of the seed; programs read the fields in JSON.
        let fields = if line.target == CONSOLE { &[][..] } else { &line.fields };
        for (name, value) in fields {
            // A String takes whatever is written into it.
            let _ = write!(text, " {name}={}", plain(value));
        }
        cut(&mut text);
        text
    }
}

fn json(line: &Line) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), format!("{:.6}", line.time).into());
    object.insert("level".to_owned(), line.level.as_str().to_lowercase().into());
    object.insert("target".to_owned(), line.target.as_str().into());
    object.insert("message".to_owned(), shown(line).into());
    for (name, value) in &line.fields {
        let suffix = if FIXED.contains(name) { "_" } else { "" };
        object.insert(format!("{name}{suffix}"), harmless(value));
    }
    ordered(&object)
}

/// The members of a line as documents show it, without the braces: the fields stand apart.
pub(super) fn members(line: &Line) -> String {
    let quoted = |text: String| Value::from(text);
    let fields: Map<String, Value> =
        line.fields.iter().map(|(name, value)| ((*name).to_owned(), harmless(value))).collect();
    format!(
        "\"time\":\"{:.6}\",\"level\":\"{}\",\"target\":{},\"message\":{},\"fields\":{}",
        line.time,
        line.level.as_str().to_lowercase(),
        quoted(line.target.clone()),
        quoted(shown(line)),
        Value::Object(fields),
    )
}

/// The fixed members first, in their order, then the fields: a person reads these lines too.
fn ordered(object: &Map<String, Value>) -> String {
    let fixed = FIXED.iter().filter_map(|name| object.get_key_value(*name));
    let fields = object.iter().filter(|(name, _)| !FIXED.contains(&name.as_str()));
    let members: Vec<String> =
        fixed.chain(fields).map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

fn shown(line: &Line) -> String {
    let message = if line.target == CONSOLE { escape_lines(&line.message) } else { escape(&line.message) };
    let mut message = message.into_owned();
    cut(&mut message);
    message
}

fn harmless(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let mut text = escape(text).into_owned();
    cut(&mut text);
    Value::String(text)
}

/// A value in a text line: in quotes where it could be mistaken for something else.
fn plain(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let text = escape(text);
    let clear = !text.is_empty() && !text.contains([' ', '"', '=']);
    if clear { text.into_owned() } else { format!("\"{}\"", text.replace('"', "\\\"")) }
}

fn cut(text: &mut String) {
    if text.len() > MAX_LINE {
        let end = (0..=MAX_LINE).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
}

fn short(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERR",
        Level::WARN => "WRN",
        Level::INFO => "INF",
        Level::DEBUG => "DBG",
        Level::TRACE => "TRC",
    }
}
