//! The keys of a configuration, read from its JSON Schema: so there is one list of them, the typed struct.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::program::{Program, Settings};
use super::source::step;
use super::{NodeConfig, ProxyConfig, SignalServerConfig, ViewConfig};

/// How a value is written in an environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// As it is.
    Text,
    /// In digits.
    Number,
    /// `true` or `false`; `1` and `0` are understood too.
    Bool,
    /// Items with commas between them; lists of objects as JSON.
    List,
    /// `key=value` with commas between them, or JSON.
    Map,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its JSON pointer, such as `/log/level`.
    pub pointer: String,
    /// Its environment variable, such as `MESHLINE_LOG_LEVEL`.
    pub variable: String,
    /// How it is written there.
    pub kind: KeyKind,
    /// Whether it may be null; an empty variable then means null.
    pub nullable: bool,
    /// What it is for.
    pub description: String,
}

/// The JSON Schema of a program's configuration, for editors and people.
#[must_use]
pub fn schema(program: Program) -> Value {
    match program {
        Program::Node => schema_of::<NodeConfig>(false),
        Program::View => schema_of::<ViewConfig>(false),
        Program::Proxy => schema_of::<ProxyConfig>(false),
        Program::SignalServer => schema_of::<SignalServerConfig>(false),
    }
}

/// The keys of a program's configuration in alphabetical order.
#[must_use]
pub fn keys<T: Settings>() -> Vec<Key> {
    let mut found = Vec::new();
    collect("", &schema_of::<T>(true), &mut found);
    found
}

/// The words a text at this pointer may be, if it is one of a few.
pub(super) fn words<T: Settings>(pointer: &str) -> Vec<String> {
    let schema = schema_of::<T>(true);
    let mut at = Some(&schema);
    for segment in pointer.split('/').skip(1) {
        at = at.and_then(|schema| match schema.get("items") {
            Some(items) => Some(items),
            None => schema.get("properties").and_then(|properties| properties.get(segment)),
        });
    }
    at.map(constants).unwrap_or_default()
}

fn schema_of<T: Settings>(inline: bool) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = inline);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:meshline:config:{}:1", T::PROGRAM).into());
    schema.to_value()
}

fn collect(pointer: &str, schema: &Value, found: &mut Vec<Key>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        found.push(key(pointer, schema));
        return;
    };
    for (name, schema) in properties {
        collect(&step(pointer, name), schema, found);
    }
}

fn key(pointer: &str, schema: &Value) -> Key {
    let types = types(schema);
    let kind = match types.iter().find(|word| **word != "null").copied() {
        Some("array") => KeyKind::List,
        Some("object") => KeyKind::Map,
        Some("integer" | "number") => KeyKind::Number,
        Some("boolean") => KeyKind::Bool,
        _ => KeyKind::Text,
    };
    Key {
        pointer: pointer.to_owned(),
        variable: format!("MESHLINE{}", pointer.replace('/', "_").to_uppercase()),
        kind,
        nullable: types.contains(&"null"),
        description: schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// The types a schema allows, through `anyOf` and `oneOf`.
fn types(schema: &Value) -> Vec<&str> {
    let own = match schema.get("type") {
        Some(Value::String(word)) => vec![word.as_str()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    own.into_iter().chain(branches(schema).flat_map(types)).collect()
}

fn constants(schema: &Value) -> Vec<String> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let own = listed.chain(schema.get("const")).filter_map(Value::as_str).map(ToOwned::to_owned);
    own.chain(branches(schema).flat_map(constants)).collect()
}

fn branches(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word).and_then(Value::as_array)).flatten()
}
