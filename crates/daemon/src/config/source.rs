//! A JSON file with the position of every value and key in it.
//!
//! Whether the text is JSON, `serde_json` decides, strictly; a second parser only tells the positions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Value;

use super::finding::{ConfigError, Finding, Place, Severity};
use crate::files;

/// Byte offsets of a member: of its key (for items of a list and the document: of the value) and of its value.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    key: usize,
    value: usize,
}

/// A JSON document as it stood in a file.
#[derive(Clone, Debug)]
pub struct Document {
    path: PathBuf,
    text: String,
    value: Value,
    spots: BTreeMap<String, Spot>,
}

impl Document {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// If it cannot be read or is not JSON; or if an object has a member twice, which JSON leaves undefined.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read(path).map_err(|error| ConfigError::one(Place::Nowhere, error.to_string()))?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let value = serde_json::from_str(text).map_err(|error| syntax_fault(path, text, &error))?;
        let mut document = Self { path: path.to_path_buf(), text: text.to_owned(), value, spots: BTreeMap::new() };
        let mut doubles = Vec::new();
        if let Ok(result) = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
            && let Some(root) = &result.value
        {
            note_value("", root.range().start, root, &mut document.spots, &mut doubles);
        }
        if doubles.is_empty() { Ok(document) } else { Err(document.double_faults(&doubles)) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Line and column of the value at a pointer, or of its key; of the nearest value around it where
    /// there is none.
    #[must_use]
    pub fn position(&self, pointer: &str, of_key: bool) -> (usize, usize) {
        let exact = self.spots.get(pointer).map(|spot| if of_key { spot.key } else { spot.value });
        let around = || {
            std::iter::successors(pointer.rsplit_once('/'), |(outer, _)| outer.rsplit_once('/'))
                .find_map(|(outer, _)| self.spots.get(outer).map(|spot| spot.value))
        };
        line_and_column(&self.text, exact.or_else(around).unwrap_or_default())
    }

    fn double_faults(&self, doubles: &[(String, usize)]) -> ConfigError {
        let findings = doubles.iter().map(|(pointer, offset)| {
            let (line, column) = line_and_column(&self.text, *offset);
            Finding {
                severity: Severity::Error,
                place: Place::File { path: self.path.clone(), line, column },
                pointer: pointer.clone(),
                message: "found this key a second time, expected it once".to_owned(),
            }
        });
        ConfigError { findings: findings.collect() }
    }
}

/// One step of a pointer, escaped as RFC 6901 asks.
pub(super) fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn note_value(
    pointer: &str,
    key: usize,
    value: &ast::Value<'_>,
    spots: &mut BTreeMap<String, Spot>,
    doubles: &mut Vec<(String, usize)>,
) {
    spots.insert(pointer.to_owned(), Spot { key, value: value.range().start });
    match value {
        ast::Value::Object(object) => note_members(pointer, object, spots, doubles),
        ast::Value::Array(array) => {
            for (index, item) in array.elements.iter().enumerate() {
                note_value(&format!("{pointer}/{index}"), item.range().start, item, spots, doubles);
            }
        }
        ast::Value::StringLit(_)
        | ast::Value::NumberLit(_)
        | ast::Value::BooleanLit(_)
        | ast::Value::NullKeyword(_) => {}
    }
}

fn note_members(
    pointer: &str,
    object: &ast::Object<'_>,
    spots: &mut BTreeMap<String, Spot>,
    doubles: &mut Vec<(String, usize)>,
) {
    for member in &object.properties {
        let inner = step(pointer, member.name.as_str());
        let key = member.range().start;
        if spots.contains_key(&inner) {
            doubles.push((inner, key));
        } else {
            note_value(&inner, key, &member.value, spots, doubles);
        }
    }
}

/// `serde_json` counts columns in bytes and puts the position behind its message.
fn syntax_fault(path: &Path, text: &str, error: &serde_json::Error) -> ConfigError {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default();
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let offset = line_start + error.column().saturating_sub(1);
    let (line, column) = line_and_column(text, offset);
    let found = match text.get(offset..).and_then(|rest| rest.chars().next()) {
        Some(c) if !c.is_whitespace() => format!("found '{c}'"),
        _ => "found the end of a line".to_owned(),
    };
    let found = if error.is_eof() { "found the end of the file".to_owned() } else { found };
    let place = Place::File { path: path.to_path_buf(), line, column };
    ConfigError::one(place, format!("not JSON: {found}: {reason}"))
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.char_indices().take_while(|(at, _)| *at < offset);
    before.fold((1, 1), |(line, column), (_, c)| if c == '\n' { (line + 1, 1) } else { (line, column + 1) })
}
