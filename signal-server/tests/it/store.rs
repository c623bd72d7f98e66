//! What is there after a restart, and what servers that share a Redis know of each other.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use meshline_protocol::message::Announcement;
use redis::AsyncCommands;
use serde_json::{Value, json};

use super::client::{PATIENCE, send};
use super::process::Program;
use super::records::{announcement, departure, id, member, now, revocation, signed};

async fn announce(to: SocketAddr, body: &str) -> Value {
    let answer = send(to, "POST", "/v1/nodes", "", body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn refresh(to: SocketAddr, n: u8, secret: &Value) -> u16 {
    let body = json!({ "refresh": { "network": "lab", "id": id(n), "secret": secret } }).to_string();
    send(to, "POST", "/v1/nodes", "", body.as_bytes()).await.status
}

async fn listed(at: SocketAddr) -> Vec<String> {
    let list = send(at, "GET", "/v1/nodes?network=lab", "", b"").await.json();
    let mut ids: Vec<String> = list["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

/// Waits until a server lists exactly these members.
async fn until_listed(at: SocketAddr, members: &[u8]) {
    let mut wanted: Vec<String> = members.iter().map(|n| id(*n)).collect();
    wanted.sort();
    let begin = Instant::now();
    loop {
        let found = listed(at).await;
        if found == wanted {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{found:?} instead of {wanted:?}");
    }
}

/// Waits until a change is in the store: it is written behind the answers.
async fn until_kept(at: SocketAddr) {
    let begin = Instant::now();
    while !send(at, "GET", "/metrics", "", b"").await.text().contains("changes_total{outcome=\"kept\"}") {
        assert!(begin.elapsed() < PATIENCE, "nothing is kept");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_list_its_secrets_and_what_may_not_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.redb");
    let store = ["--store", file.to_str().expect("text")];
    let first = Program::start_with(&store);
    let granted = announce(first.address, &signed(&announcement(1), 1)).await;
    let leaving = announcement(2);
    announce(first.address, &signed(&leaving, 2)).await;
    let path = format!("/v1/nodes/{}", id(2));
    let gone = send(first.address, "DELETE", &path, "", signed(&departure(now()), 2).as_bytes()).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    let expelled = member(3);
    announce(first.address, &signed(&expelled, 3)).await;
    let revoked = send(first.address, "POST", "/v1/revocations", "", signed(&revocation(3), 200).as_bytes()).await;
    assert_eq!(revoked.status, 204);
    first.signal("-TERM");
    assert_eq!(first.end().0, Some(0));

    let second = Program::start_with(&store);
    until_listed(second.address, &[1]).await;
    assert_eq!(refresh(second.address, 1, &granted["refresh"]).await, 200);
    let replayed = send(second.address, "POST", "/v1/nodes", "", signed(&leaving, 2).as_bytes()).await;
    assert_eq!(replayed.status, 409, "{replayed:?}");
    let back = send(second.address, "POST", "/v1/nodes", "", signed(&expelled, 3).as_bytes()).await;
    assert_eq!(back.status, 403, "{back:?}");
}

#[tokio::test]
async fn a_kill_loses_at_most_the_last_moments() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.redb");
    let store = ["--store", file.to_str().expect("text")];
    let first = Program::start_with(&store);
    let granted = announce(first.address, &signed(&announcement(1), 1)).await;
    until_kept(first.address).await;
    announce(first.address, &signed(&announcement(2), 2)).await;
    first.signal("-KILL");
    first.end();

    let second = Program::start_with(&store);
    assert!(listed(second.address).await.contains(&id(1)));
    assert_eq!(refresh(second.address, 1, &granted["refresh"]).await, 200);
    announce(second.address, &signed(&announcement(2), 2)).await;
    until_listed(second.address, &[1, 2]).await;
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_the_server_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.redb");
    std::fs::write(&file, b"this is no database, and long enough to be looked at".repeat(100)).expect("written");
    let server = Program::start_with(&["--store", file.to_str().expect("text")]);
    announce(server.address, &signed(&announcement(1), 1)).await;
    assert!(folder.path().join("list.redb.damaged-1").exists());
}

/// A Redis of our own; `None`, and a line that says so, where the program is not installed.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(port: u16) -> Option<Self> {
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let redis = Self { child, port };
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "redis-server does not listen");
            std::thread::yield_now();
        }
        Some(redis)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It is ours; that it has ended already changes nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    taken.local_addr().expect("bound").port()
}

#[tokio::test]
async fn servers_that_share_a_redis_list_prolong_and_refuse_as_one() {
    let Some(redis) = Redis::start(free_port()) else { return };
    let url = redis.url();
    let servers = [Program::start_with(&["--store", &url]), Program::start_with(&["--store", &url])];
    let [one, other] = [servers[0].address, servers[1].address];
    let granted = announce(one, &signed(&announcement(1), 1)).await;
    let leaving = announcement(2);
    announce(other, &signed(&leaving, 2)).await;
    for at in [one, other] {
        until_listed(at, &[1, 2]).await;
    }
    assert_eq!(refresh(other, 1, &granted["refresh"]).await, 200, "the secret of the one serves at the other");
    let path = format!("/v1/nodes/{}", id(2));
    let gone = send(one, "DELETE", &path, "", signed(&departure(now()), 2).as_bytes()).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    until_listed(other, &[1]).await;
    let replayed = send(other, "POST", "/v1/nodes", "", signed(&leaving, 2).as_bytes()).await;
    assert_eq!(replayed.status, 409, "{replayed:?}");

    let late = Program::start_with(&["--store", &url]);
    until_listed(late.address, &[1]).await;
}

#[tokio::test]
async fn servers_go_on_without_redis_and_agree_again_when_it_is_back() {
    let port = free_port();
    let Some(redis) = Redis::start(port) else { return };
    let url = redis.url();
    let servers = [Program::start_with(&["--store", &url]), Program::start_with(&["--store", &url])];
    let [one, other] = [servers[0].address, servers[1].address];
    announce(one, &signed(&announcement(1), 1)).await;
    until_listed(other, &[1]).await;
    drop(redis);
    announce(one, &signed(&announcement(2), 2)).await;
    announce(other, &signed(&announcement(3), 3)).await;
    assert_eq!(listed(one).await.len(), 2);
    assert_eq!(listed(other).await.len(), 2);
    let _back = Redis::start(port).expect("it was there before");
    for at in [one, other] {
        until_listed(at, &[1, 2, 3]).await;
    }
}

#[tokio::test]
async fn what_a_key_may_have_is_counted_by_servers_that_share_a_redis_together() {
    let Some(redis) = Redis::start(free_port()) else { return };
    let url = redis.url();
    let servers = [(); 2].map(|()| Program::start_in(&["--store", &url], &[("MESHLINE_MAX_PER_KEY", "1")]));
    let [one, other] = [servers[0].address, servers[1].address];
    announce(one, &signed(&announcement(1), 1)).await;
    until_listed(other, &[1]).await;
    let elsewhere = Announcement { network: "zoo".parse().expect("a name"), ..announcement(1) };
    let refused = send(other, "POST", "/v1/nodes", "", signed(&elsewhere, 1).as_bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_per_key"));
    announce(other, &signed(&announcement(2), 2)).await;
}

#[tokio::test]
async fn who_was_too_slow_for_the_stream_reads_everything_anew() {
    let Some(redis) = Redis::start(free_port()) else { return };
    let url = redis.url();
    let [one, other] = [(); 2].map(|()| Program::start_with(&["--store", &url]));
    announce(one.address, &signed(&announcement(1), 1)).await;
    until_listed(other.address, &[1]).await;
    let client = redis::Client::open(url).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
    let log = "meshline:signal:1:log";
    other.signal("-STOP");
    // What it waits for is answered with the first of these, and the second is lost to it.
    for n in [2, 3] {
        let before: usize = connection.xlen(log).await.expect("a stream");
        announce(one.address, &signed(&announcement(n), n)).await;
        let begin = Instant::now();
        while connection.xlen::<_, usize>(log).await.expect("a stream") == before {
            assert!(begin.elapsed() < PATIENCE, "nothing is told");
        }
    }
    let _: usize = connection.xtrim(log, redis::streams::StreamMaxlen::Equals(0)).await.expect("a stream");
    for _ in 0..100 {
        let _: String = connection.xadd(log, "*", &[("by", "nobody")]).await.expect("a stream");
    }
    other.signal("-CONT");
    until_listed(other.address, &[1, 2, 3]).await;
    drop(redis);
}
