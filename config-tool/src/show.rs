//! `show`: the effective values of a configuration, and where each came from.

use anyhow::Result;
use meshline_daemon::config::{
    Document, Input, NodeConfig, Origin, Program, ProxyConfig, Settings, SignalServerConfig, ViewConfig, environment,
    evaluate, keys, now, state_home,
};
use serde_json::{Value, json};

use crate::cli::ShowArgs;
use crate::report::Report;

/// Shows a configuration as the program would see it with the environment of this command.
pub(crate) fn run(args: &ShowArgs) -> Result<Report> {
    let document = Document::read(&args.file)?;
    let program = args.role.unwrap_or_else(|| Program::guess(&args.file, document.value()));
    match program {
        Program::Node => show::<NodeConfig>(document),
        Program::View => show::<ViewConfig>(document),
        Program::Proxy => show::<ProxyConfig>(document),
        Program::SignalServer => show::<SignalServerConfig>(document),
    }
}

struct Row {
    pointer: String,
    value: Value,
    origin: Origin,
}

fn show<T: Settings>(document: Document) -> Result<Report> {
    let path = document.path().to_path_buf();
    let input =
        Input { file: Some(document), environment: environment(), state_home: state_home(), ..Input::default() };
    let effective = evaluate::<T>(&input, now())?;
    let values = serde_json::to_value(&effective.config)?;
    let rows: Vec<Row> = keys::<T>()
        .into_iter()
        .map(|key| Row {
            value: values.pointer(&key.pointer).map(without_secrets).unwrap_or_default(),
            origin: effective.origins.get(&key.pointer).cloned().unwrap_or(Origin::Default),
            pointer: key.pointer,
        })
        .collect();
    let json: Vec<Value> =
        rows.iter().map(|row| json!({ "key": row.pointer, "value": row.value, "from": row.origin })).collect();
    Ok(Report::new("show")
        .with("role", T::PROGRAM.name())
        .with("file", path)
        .with("values", json)
        .text(table(&rows))
        .warnings(effective.warnings.iter().map(ToString::to_string)))
}

/// Passwords are nobody's to read over a shoulder, or in a report somebody sends along.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let shown = |(key, value): (&String, &Value)| {
                let value = if key == "password" { json!("***") } else { without_secrets(value) };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(shown).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_secrets).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn table(rows: &[Row]) -> String {
    let shown: Vec<[String; 3]> =
        rows.iter().map(|row| [row.pointer.clone(), row.value.to_string(), origin(&row.origin)]).collect();
    let width = |column: usize| shown.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let (key, value) = (width(0).unwrap_or_default(), width(1).unwrap_or_default());
    let lines: Vec<String> =
        shown.iter().map(|[pointer, text, from]| format!("{pointer:key$}  {text:value$}  {from}")).collect();
    lines.join("\n")
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File { line, column } => format!("file {line}:{column}"),
        Origin::Environment(name) => name.clone(),
        Origin::Flag => "flag".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::without_secrets;

    #[test]
    fn passwords_are_not_shown_wherever_they_stand() {
        let users = json!([{"user": "ann", "password": "secret"}, {"user": "bob", "password": 5}]);
        let shown = without_secrets(&json!({"socks5": {"users": users}})).to_string();
        assert_eq!(shown.matches("\"password\":\"***\"").count(), 2, "{shown}");
        assert!(!shown.contains("secret") && shown.contains("ann"), "{shown}");
    }
}
