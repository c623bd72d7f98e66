//! The keys themselves: those of the contract, and their schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::{KeyKind, NodeConfig, Program, SignalServerConfig, keys, schema};

#[test]
fn the_keys_of_a_node_are_those_of_the_contract() {
    let found: BTreeSet<String> = keys::<NodeConfig>().into_iter().map(|key| key.pointer).collect();
    for key in [
        "/name",
        "/key_file",
        "/network",
        "/membership",
        "/listen",
        "/next",
        "/topology",
        "/signal",
        "/proxies",
        "/peers",
        "/http",
        "/data_dir",
        "/max_links",
        "/forwards",
        "/expose",
        "/exit/rules",
        "/socks5/listen",
        "/log/level",
        "/log/format",
        "/log/file",
    ] {
        assert!(found.contains(key), "{key} is missing in {found:?}");
    }
}

#[test]
fn kinds_and_variables_follow_from_the_types() {
    let all = keys::<NodeConfig>();
    let key = |pointer: &str| all.iter().find(|key| key.pointer == pointer).expect("known").clone();
    assert_eq!(key("/listen").kind, KeyKind::List);
    assert_eq!(key("/max_links").kind, KeyKind::Number);
    assert_eq!(key("/open").kind, KeyKind::Bool);
    assert_eq!(key("/topology").kind, KeyKind::Text);
    assert!(key("/http").nullable && key("/next").nullable && !key("/name").nullable);
    assert_eq!(key("/log/level").variable, "MESHLINE_LOG_LEVEL");
    assert_eq!(key("/key_file").variable, "MESHLINE_KEY_FILE");
    assert!(keys::<SignalServerConfig>().iter().any(|key| key.variable == "MESHLINE_TTL_S"));
}

#[test]
fn every_schema_forbids_unknown_keys_and_names_its_draft() {
    for program in Program::ALL {
        let schema = schema(program);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("urn:meshline:config:{program}:1"));
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = schema["properties"].as_object().expect("an object");
        assert!(properties.values().all(has_description), "{program}");
    }
    assert_eq!(schema(Program::Node)["required"], json!(["name", "network"]));
}

fn has_description(property: &Value) -> bool {
    property.get("description").is_some_and(Value::is_string)
}

#[test]
fn a_program_is_guessed_by_the_name_of_its_file_and_else_by_its_keys() {
    let guess = |path: &str, content: Value| Program::guess(Path::new(path), &content);
    assert_eq!(guess("a/node-3.json", json!({})), Program::Node);
    assert_eq!(guess("proxy.json", json!({})), Program::Proxy);
    assert_eq!(guess("view.json", json!({})), Program::View);
    assert_eq!(guess("signal-server.json", json!({})), Program::SignalServer);
    assert_eq!(guess("x.json", json!({"ttl_s": 1})), Program::SignalServer);
    assert_eq!(guess("x.json", json!({"max_relays": 1})), Program::Proxy);
    assert_eq!(guess("x.json", json!({"name": "a"})), Program::Node);
    assert_eq!(guess("x.json", json!({"listen": ["127.0.0.1:6000"], "log": {"level": "info"}})), Program::SignalServer);
    let open = |more: Value| {
        let mut content = json!({"name": "a", "network": "lab", "signal": []});
        content.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        guess("x.json", content)
    };
    assert_eq!(open(json!({})), Program::View, "a node without an address is one");
    assert_eq!(open(json!({"listen": ["127.0.0.1:6001"]})), Program::Node);
    assert_eq!(open(json!({"lisen": ["127.0.0.1:6001"]})), Program::Node);
    assert_eq!(open(json!({"http": "127.0.0.1:7001"})), Program::Node);
}

#[test]
fn a_program_is_guessed_by_the_roles_of_the_membership_that_its_file_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let granted = |roles: Value| {
        let signed = json!({"type": "membership", "roles": roles}).to_string();
        let text = json!({"signed": signed, "by": "x", "sig": "x"}).to_string();
        std::fs::write(folder.path().join("m.json"), text).expect("written");
        let content = json!({"name": "a", "network": "n", "membership": "m.json", "http": "127.0.0.1:7001"});
        Program::guess(&folder.path().join("x.json"), &content)
    };
    assert_eq!(granted(json!(["view"])), Program::View);
    assert_eq!(granted(json!(["proxy", "exit"])), Program::Proxy);
    assert_eq!(granted(json!(["view", "node"])), Program::Node);
    assert_eq!(granted(json!([7])), Program::Node);
}

#[test]
fn programs_are_read_as_they_are_written() {
    for program in Program::ALL {
        assert_eq!(program.name().parse(), Ok(program));
    }
    assert!("nodes".parse::<Program>().is_err());
}
