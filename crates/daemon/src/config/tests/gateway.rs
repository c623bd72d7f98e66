//! `forwards`, `expose`, `exit` and `socks5`: their faults, and their forms.

use super::{evaluated, faults, input};
use crate::config::{MemberConfig, NodeConfig, ProxyConfig, ViewConfig, evaluate};

const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

fn open(keys: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "lab", {keys}}}"#)
}

fn one(keys: &str) -> String {
    faults::<NodeConfig>(&open(keys)).join("; ")
}

#[test]
fn everything_that_may_be_said_is_taken() {
    let text = open(&format!(
        r#""forwards": [
            {{"listen": "tcp://127.0.0.1:8080", "peer": "{ID}", "target": "tcp://127.0.0.1:80"}},
            {{"listen": "udp://127.0.0.1:8080", "peer": "auto", "target": "udp://10.0.0.1:53"}},
            {{"listen": "unix:/run/shell", "peer": "shell"}},
            {{"listen": "tcp://127.0.0.1:8080", "peer": "{ID}", "target": "tcp://127.0.0.1:80", "reverse": true}}
        ],
        "expose": [{{"name": "web", "target": "tcp://127.0.0.1:80", "allow": ["*", "{ID}", "role:view"]}}],
        "exit": {{"rules": [{{"allow": ["*"], "networks": ["10.0.0.0/8"], "ports": ["80", "8000-8999"]}}]}},
        "socks5": {{"listen": "127.0.0.1:1080"}}"#
    ));
    let config = evaluated::<NodeConfig>(&text).expect("it is right").config;
    assert_eq!((config.forwards.len(), config.expose.len(), config.exit.rules.len()), (4, 1, 1));
    assert_eq!(config.socks5.expect("said").exit, "auto");
    let proxy = evaluated::<ProxyConfig>(&text.replace("\"forwards\"", "\"listen\": [\"127.0.0.1:1\"], \"forwards\""));
    assert_eq!(proxy.expect("right").config.into_node().expose.len(), 1);
    assert_eq!(evaluated::<NodeConfig>(&open(r#""socks5": null"#)).expect("right").config.socks5, None);
}

#[test]
fn a_view_offers_nothing() {
    let forwards = r#""forwards": [{"listen": "unix:/run/shell", "peer": "shell"}], "socks5": null"#;
    let view = evaluated::<ViewConfig>(&open(forwards)).expect("right").config.into_node();
    assert_eq!((view.forwards.len(), view.expose.len(), view.exit.rules.len()), (1, 0, 0));
    for key in ["expose", "exit"] {
        let found = faults::<ViewConfig>(&open(&format!(r#""{key}": []"#)));
        assert!(found[0].contains(&format!("unknown key \"{key}\"")), "{found:?}");
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let forward =
        |listen: &str, rest: &str| one(&format!(r#""forwards": [{{"listen": "{listen}", "peer": "auto"{rest}}}]"#));
    let target = r#", "target": "tcp://127.0.0.1:80""#;
    for (found, part) in [
        (forward("tcp://127.0.0.1", target), "/forwards/0/listen: found \"tcp://127.0.0.1\""),
        (forward("tcp://127.0.0.1:1", ""), "/forwards/0: found no \"target\""),
        (forward("udp://127.0.0.1:1", target), "/forwards/0: either both sides are udp or none is"),
        (forward("tcp://127.0.0.1:1", r#", "reverse": true, "target": "tcp://127.0.0.1:80""#), "needs one member"),
        (forward("tcp://127.0.0.1:1", r#", "tarket": 1"#), "did you mean \"target\"?"),
        (one(r#""expose": [{"name": "web", "target": "http://x"}]"#), "/expose/0/target: found \"http://x\""),
        (one(r#""expose": [{"name": "web", "target": "unix:/x", "allow": ["role:king"]}]"#), "/expose/0/allow/0"),
        (one(r#""exit": {"rules": [{"networks": ["10.0.0.1/8"]}]}"#), "/exit/rules/0/networks/0"),
        (one(r#""exit": {"rules": [{"ports": ["0"]}]}"#), "/exit/rules/0/ports/0"),
        (one(r#""socks5": {"listen": "0.0.0.0:1080"}"#), "/socks5: a proxy beyond loopback needs users"),
        (one(r#""socks5": []"#), "/socks5: found a list"),
        (one(r#""exit": null"#), "/exit: found null, expected an object"),
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
}

#[test]
fn two_forwards_cannot_listen_at_one_place() {
    let forward =
        |port: u16| format!(r#"{{"listen": "tcp://127.0.0.1:{port}", "peer": "a", "target": "tcp://127.0.0.1:80"}}"#);
    let found = one(&format!(r#""forwards": [{}, {}, {}]"#, forward(8080), forward(8081), forward(8080)));
    assert!(found.contains("/forwards/2/listen: found \"tcp://127.0.0.1:8080\", where /forwards/0 listens"), "{found}");
    assert!(evaluated::<NodeConfig>(&open(&format!(r#""forwards": [{}, {}]"#, forward(0), forward(0)))).is_ok());
}

#[test]
fn names_are_no_rule_on_an_open_network() {
    let rule = r#""expose": [{"name": "web", "target": "unix:/x", "allow": ["*", "eddy"]}], "exit": {"rules": [{"allow": ["eddy"]}], "listen": [{"allow": ["eddy"]}]}"#;
    let found = faults::<NodeConfig>(&open(rule));
    assert_eq!(found.len(), 3, "{found:?}");
    for (fault, pointer) in found.iter().zip(["/expose/0/allow/1", "/exit/rules/0/allow/0", "/exit/listen/0/allow/0"]) {
        assert!(fault.contains(pointer) && fault.contains("names are only claimed"), "{fault}");
    }
    let closed = format!(r#"{{"name": "bobby", "network": "{ID}", "membership": "m", {rule}}}"#);
    assert!(evaluated::<NodeConfig>(&closed).is_ok());
}

#[test]
fn more_than_there_is_room_for_is_a_fault() {
    let expose = |count: usize| {
        let entries = vec![r#"{"name": "web", "target": "unix:/x"}"#; count].join(",");
        one_or_none(&format!(r#""expose": [{entries}]"#))
    };
    assert_eq!(expose(256), "");
    assert!(expose(257).contains("/expose: found 257 entries, expected 256 at most"));
}

fn one_or_none(keys: &str) -> String {
    match evaluated::<NodeConfig>(&open(keys)) {
        Ok(_) => String::new(),
        Err(error) => error.findings.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn lists_of_objects_stand_in_the_environment_as_json() {
    let mut input = input(&open(r#""retries": 1"#));
    let set = |input: &mut crate::config::Input, key: &str, value: &str| {
        input.environment.insert(format!("MESHLINE_{key}"), value.to_owned());
    };
    set(&mut input, "FORWARDS", r#"[{"listen": "tcp://127.0.0.1:1", "peer": "web"}]"#);
    set(&mut input, "SOCKS5_LISTEN", "127.0.0.1:1080");
    let config = evaluate::<NodeConfig>(&input, super::NOW).expect("right").config;
    assert_eq!((config.forwards.len(), config.socks5.map(|proxy| proxy.listen.port())), (1, Some(1080)));
    set(&mut input, "FORWARDS", "[nonsense");
    assert!(evaluate::<NodeConfig>(&input, super::NOW).is_err());
}

#[test]
fn rules_and_services_are_so_many_at_most() {
    let many = |one: &str, count: usize| vec![one; count].join(",");
    for (key, one, most) in [
        ("expose", r#"{"name": "web", "target": "tcp://127.0.0.1:80"}"#, 256),
        ("exit/rules", r#"{"allow": ["*"]}"#, 256),
        ("exit/listen", r#"{"allow": ["*"]}"#, 256),
    ] {
        let text = |count| match key.split_once('/') {
            Some((outer, inner)) => format!(r#""{outer}": {{"{inner}": [{}]}}"#, many(one, count)),
            None => format!(r#""{key}": [{}]"#, many(one, count)),
        };
        assert!(!one_or_none(&text(most)).contains("entries"), "{key}");
        let found = one_or_none(&text(most + 1));
        assert!(found.contains(&format!("/{key}: found {} entries, expected {most} at most", most + 1)), "{found}");
    }
}
