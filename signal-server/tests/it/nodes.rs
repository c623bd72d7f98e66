//! Announce, refresh, depart, read, revoke: as a node does it.

use std::net::SocketAddr;
use std::sync::Arc;

use meshline_protocol::message::{Announcement, Role};
use meshline_protocol::signal::NodeList;
use meshline_protocol::{Address, Bounded, NodeId};
use serde_json::{Value, json};

use super::client::{Answer, Running, send, settings, start, start_with};
use super::records::{SECOND, announcement, body, closed, departure, id, member, now, record, revocation, signed};

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut names: Vec<String> = answer.json()["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

fn refresh(network: &str, n: u8, secret: &str) -> String {
    json!({ "refresh": { "network": network, "id": id(n), "secret": secret } }).to_string()
}

#[tokio::test]
async fn the_asker_is_listed_and_reads_who_else_is() {
    let server = start().await;
    let first = server.post("/v1/nodes", signed(&announcement(1), 1)).await;
    assert_eq!(names(&first), ["member-1"]);
    let proxy = Announcement { roles: Bounded::from_first([Role::Proxy]), ..announcement(2) };
    let second = server.post("/v1/nodes", signed(&proxy, 2)).await;
    assert_eq!(names(&second), ["member-1", "member-2"]);
    let list = second.json();
    assert_eq!(list["schema"], "meshline/nodes/1");
    assert_eq!(
        list["proxies"],
        json!([{ "id": id(2), "name": "member-2", "roles": ["proxy"], "addresses": ["127.0.0.1:6001"] }])
    );
    assert!(list["observed"].as_str().expect("an address").starts_with("127.0.0.1:"), "{list}");
    assert_eq!(list["expires_s"], 120);
    assert_eq!(list["refresh"].as_str().expect("a secret").len(), 43);
    let typed: NodeList = serde_json::from_slice(&second.body).expect("what a node reads");
    assert_eq!((typed.nodes.len(), typed.proxies.len()), (2, 1));
    assert_eq!(names(&server.get("/v1/nodes?network=lab").await), ["member-1", "member-2"]);
    assert!(names(&server.get("/v1/nodes?network=other").await).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn of_many_that_come_at_once_each_is_judged_by_itself() {
    let crowd = 60;
    let server = start_with(
        &signal_server::Settings { max_per_address: crowd, ..settings() },
        Arc::new(signal_server::NoDialBack),
    )
    .await;
    let is_forged = |n: u8| n.is_multiple_of(20);
    let (address, mut asked) = (server.address, Vec::new());
    for n in 1..=60 {
        let text = member(n);
        let mut announced = record(&text, n);
        if is_forged(n) {
            announced.sig = record(&text, 200).sig;
        }
        let text = body(&announced);
        asked.push(tokio::spawn(async move { (n, send(address, "POST", "/v1/nodes", "", text.as_bytes()).await) }));
    }
    for one in asked {
        let (n, answer) = one.await.expect("no panic");
        if is_forged(n) {
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_signature"), "{n}");
        } else {
            assert!(names(&answer).contains(&format!("member-{n}")), "{n}: {answer:?}");
        }
    }
    assert_eq!(server.metric("meshline_signal_announcements_total{outcome=\"added\"}").await, 57);
    assert_eq!(server.metric("meshline_signal_announcements_total{outcome=\"bad_signature\"}").await, 3);
    server.stop().await;
}

#[tokio::test]
async fn the_refresh_secret_serves_in_place_of_an_announcement() {
    let server = start().await;
    let granted = server.post("/v1/nodes", signed(&announcement(1), 1)).await.json();
    let secret = granted["refresh"].as_str().expect("a secret");
    let again = server.post("/v1/nodes", refresh("lab", 1, secret)).await;
    assert_eq!((names(&again), &again.json()["refresh"]), (vec!["member-1".to_owned()], &granted["refresh"]));
    let wrong = server.post("/v1/nodes", refresh("lab", 1, &"A".repeat(43))).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (403, "forbidden"));
    let nobody = server.post("/v1/nodes", refresh("lab", 2, secret)).await;
    assert_eq!((nobody.status, nobody.code().as_str()), (404, "no_such_peer"));
    assert_eq!(server.metric("meshline_signal_announcements_total{outcome=\"refreshed\"}").await, 1);
    assert_eq!(server.metric("meshline_signal_announcements_total{outcome=\"forbidden\"}").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_not_refreshed_disappears() {
    let server =
        start_with(&signal_server::Settings { ttl_s: 1, ..settings() }, Arc::new(signal_server::NoDialBack)).await;
    server.post("/v1/nodes", signed(&announcement(1), 1)).await;
    while server.metric("meshline_signal_entries").await > 0 {
        // paced: the entry ends by the clock; asking more often would not make it sooner
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(names(&server.get("/v1/nodes?network=lab").await).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn who_departs_is_gone_and_an_old_announcement_does_not_bring_it_back() {
    let server = start().await;
    let first = announcement(1);
    server.post("/v1/nodes", signed(&first, 1)).await;
    let path = format!("/v1/nodes/{}", id(1));
    let stale = server.send("DELETE", &path, "", signed(&departure(first.seq), 1).as_bytes()).await;
    assert_eq!((stale.status, stale.code().as_str()), (409, "record_outdated"));
    let leave = signed(&departure(first.seq.offset(1)), 1);
    let elsewhere = server.send("DELETE", &format!("/v1/nodes/{}", id(2)), "", leave.as_bytes()).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (403, "identity_mismatch"));
    assert_eq!(server.send("DELETE", &path, "", leave.as_bytes()).await.status, 204);
    assert!(names(&server.get("/v1/nodes?network=lab").await).is_empty());
    let twice = server.send("DELETE", &path, "", leave.as_bytes()).await;
    assert_eq!((twice.status, twice.code().as_str()), (404, "no_such_peer"));
    let replayed = server.post("/v1/nodes", signed(&first, 1)).await;
    assert_eq!((replayed.status, replayed.code().as_str()), (409, "record_outdated"));
    assert_eq!(server.post("/v1/nodes", signed(&announcement(1), 1)).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_list_of_a_closed_network_is_for_its_members() {
    let server = start().await;
    let granted = server.post("/v1/nodes", signed(&member(1), 1)).await;
    assert_eq!(names(&granted), ["member-1"]);
    let path = format!("/v1/nodes?network={}", closed());
    let refused = server.get(&path).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not_member"));
    let bearer = |secret: &str| format!("authorization: Bearer {secret}\r\n");
    let wrong = server.send("GET", &path, &bearer(&"A".repeat(43)), b"").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (403, "not_member"));
    let json = granted.json();
    let own = json["refresh"].as_str().expect("a secret");
    assert_eq!(names(&server.send("GET", &path, &bearer(own), b"").await), ["member-1"]);
    server.stop().await;
}

#[tokio::test]
async fn who_has_the_list_already_is_told_so_until_it_changes() {
    let server = start().await;
    let path = "/v1/nodes?network=lab";
    server.post("/v1/nodes", signed(&announcement(1), 1)).await;
    let first = server.get(path).await;
    let tag = first.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    for known in [tag.clone(), format!("\"x\", {tag}"), tag.replace("W/", ""), "*".to_owned()] {
        let same = server.send("GET", path, &format!("if-none-match: {known}\r\n"), b"").await;
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag.as_str())), "{known}");
        assert_eq!(same.header("cache-control"), Some("private, no-cache"));
    }
    let header = format!("if-none-match: {tag}\r\n");
    assert_eq!(server.send("GET", &format!("{path}&limit=0"), &header, b"").await.status, 200, "another list");
    server.post("/v1/nodes", signed(&announcement(2), 2)).await;
    let changed = server.send("GET", path, &header, b"").await;
    assert_eq!(names(&changed), ["member-1", "member-2"]);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    // Whoever may not read it is not told whether it changed.
    server.post("/v1/nodes", signed(&member(1), 1)).await;
    let closed = server.send("GET", &format!("/v1/nodes?network={}", closed()), "if-none-match: *\r\n", b"").await;
    assert_eq!((closed.status, closed.code().as_str()), (403, "not_member"));
    // An announcement is answered with who is listed, always.
    assert_eq!(server.post("/v1/nodes", signed(&announcement(3), 3)).await.header("etag"), None);
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_member_is_dropped_and_refused_and_the_others_read_why() {
    let server = start().await;
    server.post("/v1/nodes", signed(&member(1), 1)).await;
    let forged = server.post("/v1/revocations", signed(&revocation(1), 2)).await;
    assert_eq!((forged.status, forged.code().as_str()), (403, "record_foreign"));
    let revoked = record(&revocation(1), 200);
    assert_eq!(server.post("/v1/revocations", body(&revoked)).await.status, 204);
    let refused = server.post("/v1/nodes", signed(&Announcement { seq: now(), ..member_from_before(1) }, 1)).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "revoked"));
    let list: NodeList =
        serde_json::from_slice(&server.post("/v1/nodes", signed(&member(2), 2)).await.body).expect("a list");
    assert_eq!((list.nodes.len(), list.revocations.to_vec()), (1, vec![revoked]));
    server.stop().await;
}

/// Its membership is a minute older than any revocation.
fn member_from_before(n: u8) -> Announcement {
    let new = member(n);
    let held = new.membership.as_ref().expect("a member").signed.clone();
    let mut text: meshline_protocol::message::Membership = serde_json::from_str(&held).expect("its own form");
    text.seq = text.seq.offset(-60 * SECOND);
    Announcement { membership: Some(record(&text, 200)), ..new }
}

#[tokio::test]
async fn a_limit_bounds_the_list_and_without_one_all_of_a_small_network_are_listed() {
    let server = start().await;
    for n in 0..128 {
        assert_eq!(server.post("/v1/nodes", signed(&announcement(n), n)).await.status, 200);
    }
    for (query, wanted) in [("", 128), ("&limit=0", 0), ("&limit=7", 7), ("&limit=1024", 128), ("&limit=99999999", 128)]
    {
        assert_eq!(names(&server.get(&format!("/v1/nodes?network=lab{query}")).await).len(), wanted, "{query}");
    }
    assert_eq!(names(&server.post("/v1/nodes?limit=3", signed(&announcement(1), 1)).await).len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn caps_are_refused_by_name() {
    let limits = signal_server::Settings { max_per_key: 1, max_total: 2, ..settings() };
    let server = start_with(&limits, Arc::new(signal_server::NoDialBack)).await;
    server.post("/v1/nodes", signed(&announcement(1), 1)).await;
    let second = Announcement { network: "zoo".parse().expect("a name"), ..announcement(1) };
    let refused = server.post("/v1/nodes", signed(&second, 1)).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_per_key"));
    assert!(refused.header("retry-after").is_some());
    server.post("/v1/nodes", signed(&announcement(2), 2)).await;
    let refused = server.post("/v1/nodes", signed(&announcement(3), 3)).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "server_full"));
    server.stop().await;
}

/// The addresses listed of the only member.
async fn addresses(server: &Running) -> Vec<Value> {
    let list = server.get("/v1/nodes?network=lab").await.json();
    list["nodes"][0]["addresses"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn only_addresses_that_were_seen_or_answered_are_listed() {
    let answers =
        |address: SocketAddr, id: NodeId| async move { address.port() == 1 && id == super::records::key(1).id() };
    let server = start_with(&settings(), Arc::new(answers)).await;
    let claimed = ["127.0.0.1:6001", "[::1]:6001", "198.51.100.1:1", "198.51.100.1:2", "10.0.0.1:1"];
    let claimed = claimed.map(|address| address.parse::<Address>().expect("an address"));
    let text = Announcement { addresses: Bounded::from_first(claimed), ..announcement(1) };
    let answer = server.post("/v1/nodes", signed(&text, 1)).await.text();
    assert!(!answer.contains("10.0.0.1") && !answer.contains("198.51.100.1:2"), "{answer}");
    let dialled = "meshline_signal_dial_backs_total{outcome=\"answered\"}";
    let silent = "meshline_signal_dial_backs_total{outcome=\"unanswered\"}";
    while (server.metric(dialled).await, server.metric(silent).await) != (1, 2) {
        tokio::task::yield_now().await;
    }
    assert_eq!(addresses(&server).await, ["127.0.0.1:6001", "[::1]:6001", "198.51.100.1:1"]);
    server.stop().await;
}
