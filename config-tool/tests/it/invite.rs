//! `config-tool invite` and `revoke`, judged by the same code as in every node.

use meshline_identity::{JoinRequest, KeyPair, RecordError, RevocationList, admit, sign};
use meshline_protocol::message::{Announcement, RecordText, Role};
use meshline_protocol::{Bounded, NetworkId, NodeId, SignedRecord, UnixMicros};

use super::Lab;

fn now() -> UnixMicros {
    meshline_daemon::config::now()
}

fn key(n: u8) -> KeyPair {
    KeyPair::from_secret([n; 32])
}

fn network(lab: &Lab) -> NetworkId {
    lab.json("net/network.json")["network"].as_str().expect("an id").parse().expect("an id")
}

/// A network of its own, and the request of key `n`.
fn lab_with_request(n: u8, name: &str) -> Lab {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("net")).expect("writable");
    lab.done("network --out net/network.json");
    request(&lab, n, name);
    lab
}

fn request(lab: &Lab, n: u8, name: &str) {
    let record = JoinRequest::sign(network(lab), name.parse().expect("valid"), &[Role::Node], &key(n), now());
    lab.write("request.json", &serde_json::to_string(&record.expect("plain data")).expect("plain data"));
}

fn record(lab: &Lab, name: &str) -> SignedRecord {
    serde_json::from_str(&lab.read(name)).expect("a record")
}

fn announcement(lab: &Lab, n: u8, name: &str, membership: SignedRecord) -> SignedRecord {
    let text = Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: network(lab),
        seq: now(),
        expires: now().offset(60_000_000),
        name: name.parse().expect("valid"),
        roles: Bounded::from_first([Role::Node]),
        addresses: Bounded::default(),
        next: None,
        membership: Some(membership),
    };
    sign(&text, &key(n)).expect("plain data")
}

fn judged(lab: &Lab, n: u8, name: &str, revoked: &RevocationList) -> Result<NodeId, RecordError> {
    let announcement = announcement(lab, n, name, record(lab, "membership.json"));
    admit(&announcement, &network(lab), revoked, now()).map(|member| member.id)
}

const INVITE: &str = "invite request.json --network-key net/network.key --out membership.json";
const REVOKE: &str = "--network-key net/network.key --out revocation.json";

#[test]
fn an_invited_member_is_admitted_and_a_revoked_one_is_not() {
    let lab = lab_with_request(1, "bobby");
    assert!(lab.done(INVITE).contains("is a member as bobby (node) for 365 days"));
    let mut revoked = RevocationList::default();
    assert_eq!(judged(&lab, 1, "bobby", &revoked), Ok(key(1).id()));
    assert_eq!(judged(&lab, 2, "bobby", &revoked), Err(RecordError::Foreign), "a borrowed membership");
    lab.done(&format!("revoke bobby {REVOKE}"));
    revoked.insert(&record(&lab, "revocation.json"), &network(&lab), now()).expect("valid").expect("new");
    assert_eq!(judged(&lab, 1, "bobby", &revoked), Err(RecordError::Revoked));
    lab.done("check membership.json revocation.json request.json net/members.json net/network.json");
    // A new invitation, made later, counts again.
    lab.done(&format!("{INVITE} --force"));
    assert_eq!(judged(&lab, 1, "bobby", &revoked), Ok(key(1).id()));
}

#[test]
fn sequences_only_grow_and_are_on_the_disk() {
    let lab = lab_with_request(1, "bobby");
    let future = now().offset(3_600_000_000).get();
    lab.write("net/network.seq", &format!("{future}\n"));
    lab.done(INVITE);
    assert_eq!(lab.read("net/network.seq").trim(), (future + 1).to_string());
    assert_eq!(lab.json("net/members.json")["members"][0]["seq"], future + 1);
    lab.done(&format!("revoke bobby {REVOKE}"));
    assert_eq!(lab.read("net/network.seq").trim(), (future + 2).to_string());
}

#[test]
fn a_name_belongs_to_one_member_until_it_is_revoked() {
    let lab = lab_with_request(1, "bobby");
    lab.done(INVITE);
    request(&lab, 2, "bobby");
    let second = INVITE.replace("membership.json", "second.json");
    let message = lab.refused(&second, 5);
    assert!(message.contains("the name \"bobby\" belongs to") && message.contains("--name"), "{message}");
    lab.done(&format!("{second} --name bobby-2 --roles node,proxy --days 7"));
    assert_eq!(lab.json("net/members.json")["members"][1]["roles"], serde_json::json!(["node", "proxy"]));
    lab.done(&format!("revoke bobby {REVOKE}"));
    request(&lab, 3, "bobby");
    lab.done(&INVITE.replace("membership.json", "third.json"));
}

#[test]
fn a_request_of_another_network_or_a_forged_one_is_refused() {
    let lab = lab_with_request(1, "bobby");
    let good = lab.read("request.json");
    lab.write("request.json", &good.replace("bobby", "eve"));
    assert!(lab.refused(INVITE, 2).contains("request.json: the signature does not fit"));
    let foreign =
        JoinRequest::sign(NetworkId::Closed(key(9).id()), "a".parse().expect("valid"), &[Role::Node], &key(1), now());
    lab.write("request.json", &serde_json::to_string(&foreign.expect("plain data")).expect("plain data"));
    assert!(lab.refused(INVITE, 2).contains("belongs to another network"));
    lab.write("request.json", "{}");
    assert!(lab.refused(INVITE, 2).contains("request.json: not a signed record"));
    assert!(!lab.path("membership.json").exists());
}

#[test]
fn a_member_is_named_by_id_prefix_or_name() {
    let lab = lab_with_request(1, "bobby");
    lab.done(INVITE);
    let id = key(1).id().to_string();
    for word in [&id, &id[..8], "bobby"] {
        lab.done(&format!("revoke {word} {REVOKE} --force"));
        lab.done(&format!("{INVITE} --force"));
    }
    let short = &id[..7];
    for word in [short, "nobody"] {
        let message = lab.refused(&format!("revoke {word} {REVOKE} --force"), 4);
        assert!(message.contains(&format!("no member \"{word}\"")), "{message}");
    }
}

#[test]
fn an_ambiguous_prefix_is_answered_with_the_full_ids() {
    let lab = lab_with_request(1, "bobby");
    let mut second = *key(1).id().as_bytes();
    second[31] ^= 1;
    let ids = [key(1).id(), NodeId::from_bytes(second)];
    let member = |id: NodeId, name: &str| serde_json::json!({ "id": id, "name": name, "roles": ["node"], "seq": 1, "expires": 2 });
    let list = serde_json::json!({
        "schema": "meshline/members/1", "network": network(&lab), "members": [member(ids[0], "a"), member(ids[1], "b")],
    });
    lab.write("net/members.json", &list.to_string());
    let message = lab.refused(&format!("revoke {} {REVOKE}", ids[0].short()), 2);
    assert!(ids.iter().all(|id| message.contains(&id.to_string())), "{message}");
}

#[test]
fn files_are_not_written_over_unasked() {
    let lab = lab_with_request(1, "bobby");
    lab.done(INVITE);
    assert!(lab.refused(INVITE, 2).contains("membership.json is there already; --force"));
    let key = lab.read("net/network.key");
    assert!(lab.refused("network --out net/network.json", 2).contains("is there already"));
    assert_eq!(lab.read("net/network.key"), key);
    assert_eq!(lab.mode("net/network.key"), 0o600);
}

#[test]
fn a_list_of_another_network_is_not_touched() {
    let lab = lab_with_request(1, "bobby");
    std::fs::create_dir(lab.path("other")).expect("writable");
    lab.done("network --out other/network.json");
    std::fs::copy(lab.path("other/members.json"), lab.path("net/members.json")).expect("copied");
    assert!(lab.refused(INVITE, 2).contains("belongs to the network"));
}
