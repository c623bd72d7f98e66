//! Whether a value is of the form that a JSON Schema describes: the words that ours use. A member that the schema does
//! not name is a fault here, because it would be one in the document.

use serde_json::Value;

/// Asserts it; `root` is the document that references point into.
#[track_caller]
pub(crate) fn assert_valid(root: &Value, schema: &Value, value: &Value) {
    if let Err(fault) = check(root, schema, value, "") {
        panic!("{fault}\nin {value:#}");
    }
}

type Check = Result<(), String>;

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Check {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).ok_or_else(|| format!("{at}: nothing at {reference}"))?;
        return check(root, target, value, at);
    }
    if schema.as_bool() == Some(true) {
        return Ok(());
    }
    if let Some(options) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        let fits = options.iter().any(|option| check(root, option, value, at).is_ok());
        return fits.then_some(()).ok_or_else(|| format!("{at}: none of the alternatives"));
    }
    check_type(schema, value, at)?;
    if let Some(allowed) = schema["enum"].as_array() {
        allowed.contains(value).then_some(()).ok_or_else(|| format!("{at}: not in the enum"))?;
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64()) {
        (number >= least).then_some(()).ok_or_else(|| format!("{at}: below {least}"))?;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &schema["items"], item, &format!("{at}/{index}"))?;
    }
    check_members(root, schema, value, at)
}

fn check_type(schema: &Value, value: &Value, at: &str) -> Check {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(format!("{at}: the schema names no type: {schema}"));
        }
    };
    let is = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    types.iter().any(is).then_some(()).ok_or_else(|| format!("{at}: not of type {types:?}"))
}

fn check_members(root: &Value, schema: &Value, value: &Value, at: &str) -> Check {
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        members.get(name).ok_or_else(|| format!("{at}: no {name}"))?;
    }
    for (name, member) in members {
        let at = format!("{at}/{name}");
        let described = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        check(root, described.ok_or_else(|| format!("{at}: not described"))?, member, &at)?;
    }
    Ok(())
}

#[test]
fn the_check_finds_what_is_wrong() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"a": {"type": ["integer", "null"], "minimum": 0}, "b": {"type": "array", "items": {"$ref": "#/x"}}},
        "required": ["a"]
    });
    let root = serde_json::json!({"x": {"type": "string", "enum": ["y"]}});
    for good in [r#"{"a":1}"#, r#"{"a":null,"b":["y"]}"#] {
        assert_valid(&root, &schema, &serde_json::from_str(good).unwrap());
    }
    for bad in [r#"{}"#, r#"{"a":-1}"#, r#"{"a":"1"}"#, r#"{"a":1,"b":["z"]}"#, r#"{"a":1,"c":1}"#, "[]"] {
        assert!(check(&root, &schema, &serde_json::from_str(bad).unwrap(), "").is_err(), "{bad}");
    }
}
