//! `routing`: members by id or name, its faults, and its way to the core.

use std::collections::BTreeMap;

use super::{evaluated, faults, input};
use crate::config::{KeyKind, MemberConfig, NodeConfig, ProxyConfig, ViewConfig, evaluate, keys};

const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

fn open(routing: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "lab", "routing": {routing}}}"#)
}

#[test]
fn full_ids_are_taken_everywhere_and_reach_the_core_as_they_are() {
    let text = open(&format!(r#"{{"carry": false, "prefer": ["{ID}"], "via": {{"{ID}": "{ID}"}}}}"#));
    let policy = evaluated::<NodeConfig>(&text).expect("it is right").config.routing.policy();
    assert!(!policy.carry && policy.avoid.is_empty());
    assert_eq!(policy.prefer, [ID]);
    assert_eq!(policy.via, BTreeMap::from([(ID.to_owned(), ID.to_owned())]));
}

#[test]
fn nothing_said_carries_except_in_a_view() {
    let carry = |config: NodeConfig| config.routing.carry;
    let text = r#"{"name": "bobby", "network": "lab", "listen": ["127.0.0.1:1"]}"#;
    assert!(carry(evaluated::<NodeConfig>(text).expect("right").config.into_node()));
    assert!(carry(evaluated::<ProxyConfig>(text).expect("right").config.into_node()));
    let view = open(&format!(r#"{{"avoid": ["{ID}"]}}"#));
    assert!(!carry(evaluated::<ViewConfig>(&view).expect("right").config.into_node()));
    assert_eq!(
        faults::<ViewConfig>(&open(r#"{"carry": true}"#)),
        ["1:58: /routing/carry: found true, expected false: a view carries nothing for others"]
    );
}

#[test]
fn names_are_no_rule_on_an_open_network() {
    let found = faults::<NodeConfig>(&open(r#"{"prefer": ["eddy"], "via": {"donald": "eddy"}}"#));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("/routing/prefer/0: found the name \"eddy\" on an open network"), "{found:?}");
    assert!(found[1].contains("/routing/via/donald: found the name \"donald\""), "{found:?}");
}

#[test]
fn names_are_a_rule_on_a_closed_network() {
    let text = format!(
        r#"{{"name": "bobby", "network": "{ID}", "membership": "m", "routing": {{"avoid": ["eddy"], "via": {{"donald": "eddy"}}}}}}"#
    );
    let policy = evaluated::<NodeConfig>(&text).expect("it is right").config.routing.policy();
    assert_eq!((policy.avoid, policy.via.get("donald").map(String::as_str)), (vec!["eddy".to_owned()], Some("eddy")));
}

#[test]
fn what_is_wrong_in_it_is_said_where_it_stands() {
    let one = |routing: &str| faults::<NodeConfig>(&open(routing)).join("; ");
    assert_eq!(
        one(r#"{"prefre": []}"#),
        "1:49: /routing/prefre: found the unknown key \"prefre\"; did you mean \"prefer\"?"
    );
    assert!(one(r#"{"avoid": ["a~b"]}"#).contains("/routing/avoid/0: found \"a~b\", not a member, expected a node id"));
    assert!(one(r#"{"via": {"x": "a~b"}}"#).contains("/routing/via"), "{}", one(r#"{"via": {"x": "a~b"}}"#));
    assert!(one(r#"{"via": []}"#).contains("/routing/via"), "{}", one(r#"{"via": []}"#));
    assert!(one(r#"{"carry": "no"}"#).contains("/routing/carry: found \"no\", expected true or false"));
    let both = one(&format!(r#"{{"prefer": ["{ID}"], "avoid": ["{ID}"]}}"#));
    assert!(both.contains("/routing/avoid/0") && both.contains("in one of the two"), "{both}");
}

#[test]
fn the_environment_gives_pairs() {
    let all = keys::<NodeConfig>();
    let via = all.iter().find(|key| key.pointer == "/routing/via").expect("known");
    assert_eq!((via.kind, via.variable.as_str()), (KeyKind::Map, "MESHLINE_ROUTING_VIA"));
    let mut input = input(&open("{}"));
    input.environment.insert("MESHLINE_ROUTING_VIA".to_owned(), format!("{ID}={ID}"));
    let policy = evaluate::<NodeConfig>(&input, super::NOW).expect("it is right").config.routing.policy();
    assert_eq!(policy.via.len(), 1);
    input.environment.insert("MESHLINE_ROUTING_VIA".to_owned(), "nonsense".to_owned());
    assert!(evaluate::<NodeConfig>(&input, super::NOW).is_err());
}
