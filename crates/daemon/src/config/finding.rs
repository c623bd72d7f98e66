//! What is wrong with a configuration, as the user reads it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The program cannot start with it.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In a file; lines and columns count from 1, columns in characters.
    File {
        /// Which.
        path: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// In this environment variable.
    Environment(String),
    /// In a flag of the program.
    Flag,
    /// Nowhere: a default, or a key that is missing everywhere.
    Nowhere,
}

/// One fault or doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub place: Place,
    /// JSON pointer (RFC 6901) of the value; empty for the document itself.
    pub pointer: String,
    /// What was found and what was expected.
    pub message: String,
}

/// `file:line:column: /pointer: message`.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, line, column } => write!(formatter, "{}:{line}:{column}: ", path.display())?,
            Place::Environment(name) => write!(formatter, "environment variable {name}: ")?,
            Place::Flag => formatter.write_str("command line: ")?,
            Place::Nowhere => formatter.write_str("configuration: ")?,
        }
        if self.severity == Severity::Warning {
            formatter.write_str("warning: ")?;
        }
        // What a file holds is foreign; it must not reach the terminal as it is.
        if !self.pointer.is_empty() {
            write!(formatter, "{}: ", crate::log::escape(&self.pointer))?;
        }
        formatter.write_str(&crate::log::escape(&self.message))
    }
}

/// All that is wrong with a configuration; at least one of it an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Errors and warnings in the order of the file.
    pub findings: Vec<Finding>,
}

impl ConfigError {
    pub(super) fn one(place: Place, message: impl Into<String>) -> Self {
        let finding = Finding { severity: Severity::Error, place, pointer: String::new(), message: message.into() };
        Self { findings: vec![finding] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
