//! `config-tool rebuild`, judged by the same code as in every node.

use meshline_identity::{JoinRequest, KeyPair, RebuildWord, RecordError, RevocationList, Verifier, judge_rebuild};
use meshline_protocol::message::{RebuildOrder, Role};
use meshline_protocol::{NetworkId, SignedRecord, UnixMicros};

use super::Lab;

const REBUILD: &str = "rebuild --at now+30s --network-key net/network.key --out rebuild.json";

fn now() -> UnixMicros {
    meshline_daemon::config::now()
}

fn network(lab: &Lab) -> NetworkId {
    lab.json("net/network.json")["network"].as_str().expect("an id").parse().expect("an id")
}

fn lab() -> Lab {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("net")).expect("writable");
    lab.done("network --out net/network.json");
    lab
}

fn judged(lab: &Lab, name: &str) -> Result<RebuildWord, RecordError> {
    let record: SignedRecord = serde_json::from_str(&lab.read(name)).expect("a record");
    let none = RevocationList::default();
    judge_rebuild(&Verifier::default(), &record, &network(lab), &none, now()).map(|judged| judged.word)
}

fn order(lab: &Lab, name: &str) -> RebuildOrder {
    match judged(lab, name) {
        Ok(RebuildWord::Order(order)) => order,
        other => panic!("{other:?}"),
    }
}

/// A member with these roles: its key and its membership.
fn member(lab: &Lab, roles: &str) {
    let key = KeyPair::from_secret([7; 32]);
    lab.write("node.key", &key.to_pem().expect("plain data"));
    let request = JoinRequest::sign(network(lab), "bobby".parse().expect("valid"), &[Role::Node], &key, now());
    lab.write("request.json", &serde_json::to_string(&request.expect("plain data")).expect("plain data"));
    lab.done(&format!(
        "invite request.json --network-key net/network.key --roles {roles} --out membership.json --force"
    ));
}

#[test]
fn an_order_of_the_network_key_is_good_and_says_what_it_was_told() {
    let lab = lab();
    let begin = now();
    let said = lab.done(&format!("{REBUILD} --reason test --dry-run --late-minutes 3"));
    assert!(said.contains("node apply rebuild.json"), "{said}");
    let order = order(&lab, "rebuild.json");
    assert!((30_000_000..=60_000_000).contains(&order.at.since(begin)), "{}", order.at.since(begin));
    assert_eq!(order.expires.since(order.at), 180_000_000);
    assert_eq!((order.dry_run, order.reason.as_deref()), (true, Some("test")));
    lab.done("check rebuild.json");
    let again = lab.done(&format!("{REBUILD} --force --json"));
    let document: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(document["schema"], "meshline/rebuild/1");
    assert_ne!(self::order(&lab, "rebuild.json").nonce, order.nonce);
    assert!(self::order(&lab, "rebuild.json").seq > order.seq);
}

#[test]
fn instants_may_be_dates_and_numbers_and_the_key_has_a_short_name() {
    let lab = lab();
    let at = now().get() / 1_000_000 + 600;
    lab.done(&format!("rebuild --at {at} --key net/network.key --out rebuild.json"));
    assert_eq!(order(&lab, "rebuild.json").at.get(), at * 1_000_000);
}

#[test]
fn an_instant_that_is_past_too_near_too_far_or_none_is_refused_in_words() {
    let lab = lab();
    let refused = |at: &str| lab.refused(&REBUILD.replace("now+30s", at), 2);
    assert!(refused("2020-01-01T00:00:00Z").contains("s ago by this host's clock"));
    assert!(refused("now+1s").contains("too near"));
    assert!(refused("now+24h").contains("too far"));
    assert!(refused("soon").contains("expected now+30s"));
    assert!(lab.refused("rebuild --network-key net/network.key --out rebuild.json", 2).contains("--at"));
    assert!(!lab.path("rebuild.json").exists());
    lab.done(REBUILD);
    assert!(lab.refused(REBUILD, 2).contains("--force"), "a file that is there stays");
    let help = lab.done("rebuild --help");
    assert!(help.contains("Example:") && help.contains("node apply rebuild.json"), "{help}");
}

#[test]
fn a_member_with_the_role_may_sign_and_one_without_may_not() {
    let lab = lab();
    member(&lab, "node");
    let line = "rebuild --at now+30s --member-key node.key --membership membership.json --out rebuild.json";
    let said = lab.refused(line, 5);
    assert!(said.contains("has not the role rebuild") && said.contains("--roles node,rebuild"), "{said}");
    member(&lab, "node,rebuild");
    lab.done(line);
    assert!(order(&lab, "rebuild.json").membership.is_some());
    let other = KeyPair::from_secret([8; 32]);
    lab.write("node.key", &other.to_pem().expect("plain data"));
    assert!(lab.refused(&format!("{line} --force"), 5).contains("not that of the key"));
    let alone = lab.refused("rebuild --at now+30s --member-key node.key --out rebuild.json --force", 2);
    assert!(alone.contains("--membership"), "{alone}");
}

#[test]
fn an_order_is_ended_by_whoever_may() {
    let lab = lab();
    member(&lab, "node,rebuild");
    lab.done(REBUILD);
    let by_member = "--member-key node.key --membership membership.json --out off.json";
    let said = lab.refused(&format!("rebuild --abort rebuild.json {by_member}"), 5);
    assert!(said.contains("only that key ends it"), "{said}");
    let line = "rebuild --abort rebuild.json --network-key net/network.key --out off.json";
    lab.done(line);
    match judged(&lab, "off.json") {
        Ok(RebuildWord::Abort(abort)) => assert_eq!(abort.rebuild, order(&lab, "rebuild.json").seq),
        other => panic!("{other:?}"),
    }
    lab.done("check off.json");
    assert!(
        lab.refused(&line.replace("--abort rebuild.json", "--abort off.json --force"), 2)
            .contains("not a record of type rebuild")
    );
    assert!(lab.refused(&format!("{line} --force --at now+30s"), 2).contains("cannot be used with"));
}
