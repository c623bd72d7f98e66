//! Judges the values of one layer (file, environment or flags) by their types and finds all faults at once.
//!
//! `serde` stops at the first fault. So what is at fault is noted, taken out of the layer, and the rest is
//! judged again, until nothing is at fault; required keys have stand-ins meanwhile.

use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::finding::Severity;
use super::hint::did_you_mean;
use super::keys::{keys, words};
use super::program::{Program, Settings};
use super::review::Remark;
use super::source::step;

/// Longest piece of a wrong value that is shown.
const MAX_SHOWN: usize = 60;

/// Faults reported of one layer; a file with more has been mistaken for a configuration.
const MAX_FAULTS: usize = 50;

/// Takes everything out of `layer` that is at fault and says what it was.
pub(super) fn remove_faults<T: Settings>(layer: &mut Value) -> Vec<Remark> {
    if !layer.is_object() {
        let message = format!("found {}, expected an object with the keys of a {}", shown(layer), T::PROGRAM);
        *layer = Value::Object(Map::new());
        return vec![remark("", false, message)];
    }
    let mut remarks = remove_later_keys::<T>(layer);
    remarks.extend(remove_false_objects::<T>(layer));
    while remarks.len() < MAX_FAULTS {
        let Some((path, message)) = first_fault::<T>(layer) else { break };
        let pointer = pointer_of(&path);
        remarks.extend(remarks_on::<T>(layer, &pointer, &message));
        remove(layer, &pointer);
    }
    remarks
}

/// The typed value of a layer laid over the stand-ins; `None` if the layer is still at fault.
pub(super) fn read<T: Settings>(layer: &Value) -> Option<T> {
    T::deserialize(&with_stand_ins::<T>(layer)).ok()
}

fn remove_later_keys<T: Settings>(layer: &mut Value) -> Vec<Remark> {
    let Some(members) = layer.as_object_mut() else { return Vec::new() };
    let later = T::LATER.iter().filter(|key| members.remove(**key).is_some());
    later.map(|key| remark(&step("", key), true, "not supported by this version yet".to_owned())).collect()
}

/// `serde` takes a list for a struct; a reader of the schema would not.
fn remove_false_objects<T: Settings>(layer: &mut Value) -> Vec<Remark> {
    let keys = keys::<T>();
    let mut outer: Vec<&str> =
        keys.iter().filter_map(|key| key.pointer.rsplit_once('/')).map(|(outer, _)| outer).collect();
    outer.dedup();
    let mut remarks = Vec::new();
    for pointer in outer {
        // Whether null is right there is known to serde.
        let wrong = layer.pointer(pointer).filter(|found| !found.is_object() && !found.is_null());
        if let Some(found) = wrong {
            remarks.push(remark(pointer, false, format!("found {}, expected an object", shown(found))));
            remove(layer, pointer);
        }
    }
    remarks
}

fn first_fault<T: Settings>(layer: &Value) -> Option<(Path, String)> {
    let value = with_stand_ins::<T>(layer);
    let result: Result<T, _> = serde_path_to_error::deserialize(&value);
    let error = result.err()?;
    Some((error.path().clone(), error.inner().to_string()))
}

fn with_stand_ins<T: Settings>(layer: &Value) -> Value {
    let mut value = layer.clone();
    if let Some(members) = value.as_object_mut() {
        for (key, stand_in) in T::REQUIRED {
            members.entry(*key).or_insert_with(|| Value::from(*stand_in));
        }
    }
    value
}

fn pointer_of(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => step(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// The remark on one fault; of a list, a remark on every item at fault.
fn remarks_on<T: Settings>(layer: &Value, pointer: &str, message: &str) -> Vec<Remark> {
    if let Some(known) = unknown_key(message) {
        return vec![unknown_key_remark(layer, pointer, &known)];
    }
    let list = pointer.rsplit_once('/').and_then(|(outer, _)| Some((outer, layer.pointer(outer)?.as_array()?)));
    let Some((outer, items)) = list else { return vec![wrong_value::<T>(layer, pointer, message)] };
    let faults = items.iter().enumerate().filter_map(|(index, item)| {
        let message = item_fault::<T>(layer, outer, item)?;
        Some(wrong_value::<T>(layer, &format!("{outer}/{index}"), &message))
    });
    faults.collect()
}

/// What is wrong with one item, judged as if it were alone in its list.
fn item_fault<T: Settings>(layer: &Value, list: &str, item: &Value) -> Option<String> {
    let mut alone = layer.clone();
    *alone.pointer_mut(list)? = Value::Array(vec![item.clone()]);
    let (path, message) = first_fault::<T>(&alone)?;
    (pointer_of(&path) == format!("{list}/0")).then_some(message)
}

/// The keys that were expected, if the fault is an unknown key.
fn unknown_key(message: &str) -> Option<Vec<&str>> {
    let (_, expected) = message.strip_prefix("unknown field `")?.split_once('`')?;
    Some(expected.split('`').skip(1).step_by(2).collect())
}

fn unknown_key_remark(layer: &Value, pointer: &str, known: &[&str]) -> Remark {
    let (outer, key) = pointer.rsplit_once('/').unwrap_or_default();
    let owner = Program::ALL.into_iter().find(|program| outer.is_empty() && program.has_key(key));
    if let Some(owner) = owner {
        let message = format!("found the unknown key \"{key}\", which a {owner} has: is this the file of a {owner}?");
        return remark(pointer, true, message);
    }
    let used = |word: &&&str| layer.get(**word).is_none();
    let hint = did_you_mean(key, known.iter().filter(used).copied());
    let expected = if hint.is_empty() { format!(", expected one of {}", known.join(", ")) } else { hint };
    remark(pointer, true, format!("found the unknown key \"{}\"{expected}", shortened(key)))
}

fn wrong_value<T: Settings>(layer: &Value, pointer: &str, message: &str) -> Remark {
    let found = layer.pointer(pointer).unwrap_or(&Value::Null);
    let words = words::<T>(pointer);
    let text = found.as_str().unwrap_or_default();
    let message = if words.is_empty() {
        let hint = if pointer == "/log/level" { did_you_mean(text, crate::log::LEVELS) } else { String::new() };
        format!("found {}{}{hint}", shown(found), expected(message))
    } else {
        let hint = did_you_mean(text, words.iter().map(String::as_str));
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("found {}, expected {}{hint}", shown(found), quoted.join(" or "))
    };
    remark(pointer, false, message)
}

/// The words of `serde` and of our own types in the words of this page.
fn expected(message: &str) -> String {
    if let Some((wrong, expected)) = message.split_once(": expected ") {
        return format!(", {wrong}, expected {expected}");
    }
    let Some((_, expected)) = message.split_once(", expected ") else { return format!(": {message}") };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "path string" => "a path",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string" => "a text in quotes",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!(", expected {expected}")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => format!("a list ({})", shortened(&value.to_string())),
        Value::Object(_) => format!("an object ({})", shortened(&value.to_string())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => shortened(&value.to_string()),
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Takes the innermost member around `pointer` out; items of a list go with their list.
fn remove(layer: &mut Value, pointer: &str) {
    let mut pointer = pointer;
    while let Some((outer, key)) = pointer.rsplit_once('/') {
        let key = key.replace("~1", "/").replace("~0", "~");
        if let Some(Value::Object(members)) = layer.pointer_mut(outer)
            && members.remove(&key).is_some()
        {
            return;
        }
        pointer = outer;
    }
    // A fault at the root itself cannot be taken out; nothing of the layer can be used.
    *layer = Value::Object(Map::new());
}

fn remark(pointer: &str, on_key: bool, message: String) -> Remark {
    Remark { severity: Severity::Error, pointer: pointer.to_owned(), on_key, alone: true, message }
}
