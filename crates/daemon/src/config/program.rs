//! The programs that have a configuration, and what each configuration must tell of itself.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::keys::schema;
use super::review::Review;
use super::source::Document;

/// A program with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `node`.
    Node,
    /// `view`.
    View,
    /// `proxy`.
    Proxy,
    /// `signal-server`.
    SignalServer,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Node, Self::View, Self::Proxy, Self::SignalServer];

    /// The name of the program.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::View => "view",
            Self::Proxy => "proxy",
            Self::SignalServer => "signal-server",
        }
    }

    /// Whose configuration a file is: by its name (`node-1.json`, `proxy.json`), else by what is in it: keys that only one
    /// program has, and the roles of the membership it names. Else a node's.
    #[must_use]
    pub fn guess(path: &Path, content: &Value) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let by_name = Self::ALL.into_iter().find(|program| name.starts_with(program.name()));
        by_name.unwrap_or_else(|| Self::guess_by_content(path, content))
    }

    fn guess_by_content(path: &Path, content: &Value) -> Self {
        let has = |key: &str| content.get(key).is_some();
        let is_empty = content.as_object().is_none_or(serde_json::Map::is_empty);
        let of = |program: Self| content.as_object().is_some_and(|keys| keys.keys().all(|key| program.has_key(key)));
        let serves = has("ttl_s") || has("dial_back") || has("max_total") || has("networks");
        if serves || (!is_empty && of(Self::SignalServer)) {
            return Self::SignalServer;
        }
        if has("max_relays") || has("max_relays_per_member") {
            return Self::Proxy;
        }
        let granted = roles(path, content);
        let may = |program: Self| granted.iter().any(|role| role == program.name());
        if may(Self::Node) {
            Self::Node
        } else if may(Self::Proxy) {
            Self::Proxy
        } else if of(Self::View) && (may(Self::View) || (has("network") && !has("http"))) {
            // On an open network a node that listens nowhere is a view.
            Self::View
        } else {
            Self::Node
        }
    }

    /// Whether its configuration has such a key, not within another.
    pub(super) fn has_key(self, key: &str) -> bool {
        schema(self).get("properties").is_some_and(|properties| properties.get(key).is_some())
    }
}

/// The roles of the membership that a configuration names; none if it cannot be read.
fn roles(path: &Path, content: &Value) -> Vec<String> {
    let read = || {
        let file = path.parent()?.join(content.get("membership")?.as_str()?);
        let document = Document::read(&file).ok()?;
        let text: Value = serde_json::from_str(document.value().get("signed")?.as_str()?).ok()?;
        serde_json::from_value(text.get("roles")?.clone()).ok()
    };
    read().unwrap_or_default()
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name);
        Self::ALL
            .into_iter()
            .find(|program| program.name() == text)
            .ok_or_else(|| format!("found \"{text}\", expected one of {}", names.join(", ")))
    }
}

/// The typed configuration of one program.
pub trait Settings: Clone + fmt::Debug + Serialize + DeserializeOwned + JsonSchema {
    /// Whose it is.
    const PROGRAM: Program;
    /// Keys that must be given, each with a stand-in that is valid while the other keys are judged.
    const REQUIRED: &'static [(&'static str, &'static str)];
    /// Keys of later versions.
    const LATER: &'static [&'static str];

    /// Judges values together; what each may be by itself, its type has seen to.
    fn check(&self, review: &mut Review);

    /// Judges the files the configuration names.
    fn check_files(&self, _review: &mut Review) {}
}
