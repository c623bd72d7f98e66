//! Every kind of fault, as the user reads it.

use std::path::Path;

use super::faults;
use crate::config::{Document, NodeConfig, ProxyConfig, SignalServerConfig, ViewConfig};

#[track_caller]
fn syntax(text: &str, expected: &str) {
    let error = Document::parse(Path::new("f.json"), text).expect_err("no JSON");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_syntax_fault_has_its_line_and_column() {
    syntax("{\n  \"name\": bobby\n}", "f.json:2:11: not JSON: found 'b': expected value");
    syntax("{\"a\": 1,}", "f.json:1:9: not JSON: found '}': trailing comma");
    syntax("{\"имя\": x}", "f.json:1:9: not JSON: found 'x': expected value");
    syntax("{\n  \"a\": [1,\n", "f.json:3:1: not JSON: found the end of the file: EOF while parsing a value");
    syntax("", "f.json:1:1: not JSON: found the end of the file: EOF while parsing a value");
    syntax("// no\n{}", "f.json:1:1: not JSON: found '/': expected value");
}

#[test]
fn nesting_without_end_is_refused() {
    let text = "[".repeat(100_000);
    let error = Document::parse(Path::new("f.json"), &text).expect_err("too deep");
    assert!(error.to_string().contains("recursion limit"), "{error}");
}

#[test]
fn a_key_that_stands_twice_is_a_fault_at_its_second_place() {
    syntax(
        "{\n  \"name\": \"a\",\n  \"log\": {\"level\": \"info\", \"level\": \"warn\"},\n  \"name\": \"b\"\n}",
        "f.json:3:28: /log/level: found this key a second time, expected it once\n\
         f.json:4:3: /name: found this key a second time, expected it once",
    );
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    assert_eq!(
        faults::<NodeConfig>("{\n  \"name\": \"bobby\", \"network\": \"lab\",\n  \"lisen\": []\n}"),
        ["3:3: /lisen: found the unknown key \"lisen\"; did you mean \"listen\"?"]
    );
    assert_eq!(
        faults::<NodeConfig>(r#"{"name": "bobby", "network": "lab", "log": {"levl": "info"}}"#),
        ["1:45: /log/levl: found the unknown key \"levl\"; did you mean \"level\"?"]
    );
}

#[test]
fn an_unknown_key_like_no_other_is_answered_with_the_list() {
    let faults = faults::<SignalServerConfig>(r#"{"zzz": 1}"#);
    assert_eq!(
        faults,
        ["1:2: /zzz: found the unknown key \"zzz\", expected one of listen, ttl_s, max_per_key, max_per_address, \
          max_total, dial_back, networks, store, log"]
    );
}

#[test]
fn a_key_of_a_later_version_is_not_called_unknown() {
    let text = r#"{"name": "bobby", "network": "lab", "ledger": []}"#;
    assert_eq!(faults::<ProxyConfig>(text), ["1:37: /ledger: not supported by this version yet"]);
}

#[test]
fn a_wrong_type_says_what_was_found_and_expected() {
    let text = r#"{
  "name": 5,
  "network": "lab",
  "listen": "127.0.0.1:1",
  "max_links": "many",
  "plain": "yes",
  "retries": -1,
  "log": []
}"#;
    assert_eq!(
        faults::<NodeConfig>(text),
        [
            "2:11: /name: found 5, expected a text in quotes",
            "4:13: /listen: found \"127.0.0.1:1\", expected a list",
            "5:16: /max_links: found \"many\", expected a whole number from 0 to 4294967295",
            "6:12: /plain: found \"yes\", expected true or false",
            "7:14: /retries: found -1, expected a whole number from 0 to 4294967295",
            "8:10: /log: found a list ([]), expected an object",
        ]
    );
}

#[test]
fn a_wrong_value_says_what_was_found_and_expected() {
    let text = r#"{
  "name": "a~b",
  "network": "No Such",
  "listen": ["127.0.0.1:1", "6001", "127.0.0.1:70000"],
  "topology": "rinng",
  "signal": ["ftp://host/list"],
  "peers": ["bobby"],
  "console": "alway",
  "log": {"level": "inof", "format": "jsn"}
}"#;
    assert_eq!(
        faults::<NodeConfig>(text),
        [
            "2:11: /name: found \"a~b\", not a name, expected 1 to 32 visible characters without '~', '/' or blanks at the ends",
            "3:14: /network: found \"No Such\", not a label, expected 1 to 32 of a-z, 0-9, '-', '_' and '.'",
            "4:29: /listen/1: found \"6001\", not an address, expected host:port",
            "4:37: /listen/2: found \"127.0.0.1:70000\", not an address, expected host:port",
            "5:15: /topology: found \"rinng\", expected \"mesh\" or \"ring\"; did you mean \"ring\"?",
            "6:14: /signal/0: found \"ftp://host/list\", not a URL of a member list, expected http://, https:// or file: and what follows",
            "7:13: /peers/0: found \"bobby\", not a peer, expected host:port or a node id of 52 characters",
            "8:14: /console: found \"alway\", expected \"auto\" or \"always\" or \"never\"; did you mean \"always\"?",
            "9:20: /log/level: found \"inof\", not a log level, expected off, error, warn, info, debug or trace; did you mean \"info\"?",
            "9:38: /log/format: found \"jsn\", expected \"text\" or \"json\"; did you mean \"json\"?",
        ]
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    assert_eq!(
        faults::<SignalServerConfig>(r#"{"ttl_s": 4, "max_per_key": 0, "max_total": 1000001, "listen": []}"#),
        [
            "1:11: /ttl_s: found 4, expected a whole number from 5 to 3600",
            "1:29: /max_per_key: found 0, expected a whole number from 1 to 1000",
            "1:45: /max_total: found 1000001, expected a whole number from 1 to 1000000",
            "1:64: /listen: found no address, expected at least one",
        ]
    );
    assert_eq!(
        faults::<NodeConfig>(r#"{"name": "a", "network": "lab", "max_links": 4097}"#),
        ["1:46: /max_links: found 4097, expected a whole number from 1 to 4096"]
    );
    assert_eq!(
        faults::<ProxyConfig>(r#"{"name": "a", "network": "lab", "listen": ["127.0.0.1:1"], "max_relays": 0}"#),
        ["1:74: /max_relays: found 0, expected a whole number from 1 to 65536"]
    );
}

#[test]
fn missing_keys_are_named_with_what_they_are_for() {
    let faults = faults::<ViewConfig>("{}");
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("1:1: /name: found nothing, expected this key: Name of this member"), "{faults:?}");
    assert!(faults[1].starts_with("1:1: /network: found nothing, expected this key: Id of a closed"), "{faults:?}");
}

#[test]
fn something_else_than_an_object_is_refused_at_its_start() {
    assert_eq!(
        faults::<SignalServerConfig>(" [1]"),
        ["1:2: found a list ([1]), expected an object with the keys of a signal-server"]
    );
}

#[test]
fn an_open_network_does_not_listen_beyond_loopback_unasked() {
    let text = r#"{"name": "a", "network": "lab", "listen": ["127.0.0.1:1", "10.0.0.1:1", "0.0.0.0:1"]}"#;
    assert_eq!(
        faults::<NodeConfig>(text),
        [
            "1:59: /listen/1: found \"10.0.0.1:1\" on the open network \"lab\", expected a loopback address, or \"open\": true to let everybody in",
            "1:73: /listen/2: found \"0.0.0.0:1\" on the open network \"lab\", expected a loopback address, or \"open\": true to let everybody in",
        ]
    );
    let asked = text.replace("\"name\"", "\"open\": true, \"name\"");
    assert!(super::evaluated::<NodeConfig>(&asked).is_ok());
}

#[test]
fn plain_links_stay_on_an_open_network_and_on_loopback() {
    let text = r#"{"name": "a", "network": "lab", "plain": true, "open": true, "listen": ["10.0.0.1:1"], "peers": ["[::1]:1", "h:1"]}"#;
    assert_eq!(
        faults::<NodeConfig>(text),
        [
            "1:73: /listen/0: found \"10.0.0.1:1\", expected a loopback address because of \"plain\": true",
            "1:109: /peers/1: found \"h:1\", expected a loopback address because of \"plain\": true",
        ]
    );
    let closed = format!(r#"{{"name": "a", "network": "{}", "membership": "m", "plain": true}}"#, "a".repeat(52));
    assert_eq!(
        faults::<NodeConfig>(&closed),
        ["1:110: /plain: found true on a closed network, expected false: plain links prove no key"]
    );
}

#[test]
fn a_closed_network_needs_a_membership() {
    let text = format!(r#"{{"name": "a", "network": "{}"}}"#, "a".repeat(52));
    let faults = faults::<NodeConfig>(&text);
    assert!(faults[0].contains("/network: found the closed network aaaa"), "{faults:?}");
    assert!(faults[0].contains("expected a membership file too"), "{faults:?}");
}

#[test]
fn a_proxy_must_be_reachable() {
    assert_eq!(
        faults::<ProxyConfig>(r#"{"name": "a", "network": "lab"}"#),
        ["configuration: /listen: found no address, expected at least one: nobody could reach this proxy"]
    );
}

#[test]
fn a_key_of_another_program_is_unknown_here() {
    assert_eq!(
        faults::<ViewConfig>(r#"{"name": "a", "network": "lab", "listen": []}"#)[0]
            .split_once("/listen: ")
            .map(|(_, why)| why),
        Some("found the unknown key \"listen\", which a node has: is this the file of a node?")
    );
    assert!(
        faults::<NodeConfig>(r#"{"name": "a", "network": "lab", "ttl_s": 1}"#)[0].contains("unknown key \"ttl_s\"")
    );
}

#[test]
fn foreign_text_in_a_fault_is_escaped_and_short() {
    let faults =
        faults::<NodeConfig>(&format!(r#"{{"name": "a", "network": "lab", "\u001b[2J{}": 1}}"#, "x".repeat(500)));
    let (foreign, _own_keys) = faults[0].split_once(", expected one of").expect("the list of keys");
    assert!(!foreign.contains('\u{1b}') && foreign.len() < 650, "{faults:?}");
}

#[test]
fn faults_without_number_are_cut_off() {
    let members: Vec<String> = (0..500).map(|n| format!("\"key{n}\": 1")).collect();
    let faults = faults::<NodeConfig>(&format!(r#"{{"name": "a", "network": "lab", {}}}"#, members.join(",")));
    assert_eq!(faults.len(), 50);
}
