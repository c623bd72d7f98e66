//! What a command did: told to a person, or as one JSON object to a program.

use anyhow::Result;
use meshline_daemon::exit::Exit;
use meshline_daemon::output::{print, print_error};
use serde::Serialize;
use serde_json::{Map, Value};

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct Report {
    members: Map<String, Value>,
    text: String,
    warnings: Vec<String>,
    exit: Exit,
}

impl Report {
    /// The outcome of the command `name`, which is part of the JSON document's schema.
    pub(crate) fn new(name: &str) -> Self {
        let schema = format!("meshline/{name}/1");
        let members = std::iter::once(("schema".to_owned(), schema.into())).collect();
        Self { members, text: String::new(), warnings: Vec::new(), exit: Exit::Done }
    }

    /// Adds a member to the JSON object.
    pub(crate) fn with(mut self, key: &str, value: impl Serialize) -> Self {
        self.members.insert(key.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// Sets the text for people.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds lines for standard error, also when JSON is printed.
    pub(crate) fn warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Sets another exit code than 0.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Prints it.
    pub(crate) fn print(self, json: bool) -> Result<Exit> {
        for warning in &self.warnings {
            print_error(warning);
        }
        if json {
            print(&Value::Object(self.members).to_string())?;
        } else if !self.text.is_empty() {
            print(&self.text)?;
        }
        Ok(self.exit)
    }
}
