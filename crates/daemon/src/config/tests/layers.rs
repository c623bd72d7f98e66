//! Which value wins, and where it is said to come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{NOW, evaluated, input};
use crate::config::{
    Flags, Input, LogFormat, NodeConfig, Origin, PeerRef, SignalServerConfig, ViewConfig, evaluate, keys,
};

const FILE: &str = r#"{
  "name": "bobby",
  "network": "lab",
  "retries": 3,
  "log": {"format": "json"}
}"#;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_nobody_says_is_the_default() {
    let effective = evaluated::<NodeConfig>(r#"{"name": "bobby", "network": "lab"}"#).expect("valid");
    let config = effective.config;
    assert_eq!((config.max_links, config.retries), (64, 10));
    assert_eq!(config.http.expect("a page").as_str(), "127.0.0.1:7001");
    assert_eq!(config.log.level.to_string(), "debug");
    assert!(config.listen.is_empty() && !config.plain && !config.open);
    assert_eq!(config.data_dir, Path::new("/etc/mesh/node-1.data"));
    assert_eq!(config.key_file, Path::new("/etc/mesh/node-1.data/node.key"));
    assert_eq!(effective.origins["/retries"], Origin::Default);
    assert_eq!(effective.origins["/name"], Origin::File { line: 1, column: 10 });
    assert!(evaluated::<ViewConfig>(r#"{"name": "v", "network": "lab"}"#).expect("valid").config.http.is_none());
}

#[test]
fn the_signal_servers_defaults_are_the_limits_of_the_design() {
    let config = evaluated::<SignalServerConfig>("{}").expect("valid").config;
    assert_eq!(config.listen[0].as_str(), "127.0.0.1:6000");
    assert_eq!((config.ttl_s, config.max_per_key, config.max_per_address, config.max_total), (120, 5, 32, 10_000));
    assert!(config.dial_back && config.networks.is_empty());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let mut input = input(FILE);
    input.environment =
        environment(&[("MESHLINE_RETRIES", "4"), ("MESHLINE_NAME", "donald"), ("MESHLINE_LOG_LEVEL", "warn")]);
    input.flags = Flags::new().set("/retries", Some(5)).set::<u32>("/max_links", None);
    let effective = evaluate::<NodeConfig>(&input, NOW).expect("valid");
    assert_eq!(effective.config.retries, 5);
    assert_eq!(effective.config.name.as_str(), "donald");
    assert_eq!(effective.config.log.level.to_string(), "warn");
    assert_eq!(effective.config.log.format, LogFormat::Json);
    assert_eq!(effective.origins["/retries"], Origin::Flag);
    assert_eq!(effective.origins["/name"], Origin::Environment("MESHLINE_NAME".to_owned()));
    assert_eq!(effective.origins["/network"], Origin::File { line: 3, column: 14 });
    assert_eq!(effective.origins["/log/format"], Origin::File { line: 5, column: 21 });
    assert_eq!(effective.origins["/max_links"], Origin::Default);
}

#[test]
fn every_key_can_be_set_in_the_environment() {
    let mut input = input(FILE);
    input.environment = environment(&[
        ("MESHLINE_LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
        ("MESHLINE_PEERS", ""),
        ("MESHLINE_HTTP", ""),
        ("MESHLINE_OPEN", "true"),
        ("MESHLINE_PLAIN", "0"),
        ("MESHLINE_TOPOLOGY", "ring"),
        ("MESHLINE_NEXT", "127.0.0.1:3"),
        ("MESHLINE_MAX_LINKS", "7"),
        ("MESHLINE_LOG", "info"),
        ("MESHLINE_UNRELATED", "x"),
    ]);
    let config = evaluate::<NodeConfig>(&input, NOW).expect("valid").config;
    assert_eq!(config.listen.len(), 2);
    assert!(config.peers.is_empty() && config.http.is_none() && config.open && !config.plain);
    assert_eq!(config.max_links, 7);
    assert_eq!(config.log.level.to_string(), "info");
}

#[test]
fn a_fault_in_the_environment_or_a_flag_is_named_there() {
    let mut input = input(FILE);
    input.environment = environment(&[("MESHLINE_RETRIES", "few"), ("MESHLINE_LISTEN", "127.0.0.1:1,x")]);
    input.flags = Flags::new().set("/topology", Some("star"));
    let error = evaluate::<NodeConfig>(&input, NOW).expect_err("wrong").to_string();
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "environment variable MESHLINE_LISTEN: /listen/1: found \"x\", not an address, expected host:port",
            "environment variable MESHLINE_RETRIES: /retries: found \"few\", expected a whole number from 0 to 4294967295",
            "command line: /topology: found \"star\", expected \"mesh\" or \"ring\"",
        ]
    );
}

#[test]
fn a_fault_of_the_file_is_told_even_where_a_flag_covers_it() {
    let mut input = input(&FILE.replace("3,", "-3,"));
    input.flags = Flags::new().set("/retries", Some(5));
    assert!(evaluate::<NodeConfig>(&input, NOW).is_err());
}

#[test]
fn values_that_only_together_are_wrong_are_named_where_the_value_came_from() {
    let mut input = input(FILE);
    input.environment = environment(&[("MESHLINE_LISTEN", "0.0.0.0:1")]);
    let error = evaluate::<NodeConfig>(&input, NOW).expect_err("wrong").to_string();
    assert!(error.starts_with("environment variable MESHLINE_LISTEN: /listen/0: found \"0.0.0.0:1\""), "{error}");
}

#[test]
fn paths_in_the_file_are_relative_to_it_and_others_are_not() {
    let text = r#"{"name": "a", "network": "lab", "key_file": "keys/a.key", "data_dir": "/var/a",
        "signal": ["http://h:1", "file:list.json", "file:///abs.json"], "log": {"file": "../a.log"}}"#;
    let mut input = input(text);
    input.environment = environment(&[("MESHLINE_MEMBERSHIP", "here/m.json")]);
    let config = evaluate::<NodeConfig>(&input, NOW).expect("valid").config;
    assert_eq!(config.key_file, Path::new("/etc/mesh/keys/a.key"));
    assert_eq!(config.data_dir, Path::new("/var/a"));
    assert_eq!(config.membership, Some(PathBuf::from("here/m.json")));
    assert_eq!(config.log.file, Some(PathBuf::from("/etc/mesh/../a.log")));
    let files: Vec<_> = config.signal.iter().map(|url| url.file()).collect();
    assert_eq!(files, [None, Some(Path::new("/etc/mesh/list.json")), Some(Path::new("/abs.json"))]);
}

#[test]
fn without_a_file_flags_are_enough_and_the_state_folder_goes_by_the_name() {
    let flags = Flags::new()
        .set("/name", Some("bobby"))
        .set("/network", Some("lab"))
        .set("/listen", Some(vec!["127.0.0.1:6001"]))
        .set("/next", Some("127.0.0.1:6002"))
        .set("/topology", Some("ring"))
        .set("/peers", Some(Vec::<String>::new()));
    let input = Input { flags, state_home: "/state".into(), ..Input::default() };
    let effective = evaluate::<NodeConfig>(&input, NOW).expect("valid");
    assert_eq!(effective.config.data_dir, Path::new("/state/bobby"));
    assert_eq!(effective.origins["/peers"], Origin::Default);
    assert_eq!(effective.warnings, []);
}

#[test]
fn without_anything_the_required_keys_are_asked_for() {
    let error = evaluate::<NodeConfig>(&Input::default(), NOW).expect_err("nothing there").to_string();
    assert!(error.starts_with("configuration: /name: found nothing"), "{error}");
}

#[test]
fn a_peer_is_an_address_or_an_id() {
    let text = format!(r#"{{"name": "a", "network": "lab", "peers": ["h:1", "{}"]}}"#, "a".repeat(52));
    let config = evaluated::<NodeConfig>(&text).expect("valid").config;
    assert!(matches!(config.peers.as_slice(), [PeerRef::Address(_), PeerRef::Id(_)]));
}

#[test]
fn every_key_has_an_origin_a_variable_and_a_description() {
    let effective = evaluated::<NodeConfig>(FILE).expect("valid");
    for key in keys::<NodeConfig>() {
        assert!(effective.origins.contains_key(&key.pointer), "{key:?}");
        assert!(key.variable.starts_with("MESHLINE_") && !key.description.is_empty(), "{key:?}");
    }
}

#[test]
fn next_without_a_ring_is_doubtful_but_no_fault() {
    let effective =
        evaluated::<NodeConfig>(r#"{"name": "a", "network": "lab", "next": "127.0.0.1:1"}"#).expect("valid");
    assert_eq!(
        effective.warnings[0].to_string(),
        "/etc/mesh/node-1.json:1:41: warning: /next: is used with \"topology\": \"ring\" only"
    );
    assert_eq!(serde_json::to_value(&effective.warnings[0]).expect("JSON")["severity"], json!("warning"));
}
