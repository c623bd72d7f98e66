//! Forwards, connections and tunnels of two members, over real links and real sockets.

use std::net::SocketAddr;

use clap::Parser;
use meshline_daemon::cli::{Place, Verb, execute};
use meshline_daemon::config::NodeConfig;
use meshline_daemon::exit::Exit;
use meshline_identity::KeyPair;
use meshline_mesh::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::schema::assert_valid;
use crate::support::{Client, Member, request, until};

fn id(number: u8) -> String {
    KeyPair::from_secret([number; 32]).id().to_string()
}

fn config(name: &str) -> Config {
    Config::new("lab".parse().unwrap(), name.parse().unwrap())
}

/// A server that sends everything back, until its client ends.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reading, mut writing) = stream.split();
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
                let _ = writing.shutdown().await;
            });
        }
    });
    address
}

/// Two members: the second exposes an echo to everybody, which the first can reach.
struct Pair {
    first: Member,
    second: Member,
    echo: SocketAddr,
}

impl Pair {
    async fn start() -> Self {
        let echo = echo().await;
        let mut listening = config("second");
        listening.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let expose = json!({"expose": [{"name": "echo", "target": format!("tcp://{echo}"), "allow": ["*"]}]});
        let second = Member::start_with(listening, 2, expose).await;
        let mut dialling = config("first");
        dialling.peers = second.mesh.listening().to_vec();
        let first = Member::start_as(dialling, 1).await;
        for (member, to) in [(&first, id(2)), (&second, id(1))] {
            until("the members see a way to each other", async || {
                let routes = member.get("/api/v1/routes").await.json();
                let known = !member.gateway.meant(&to).is_empty();
                known && routes["routes"].as_array().unwrap().iter().any(|way| way["peer"] == to)
            })
            .await;
        }
        Self { first, second, echo }
    }

    async fn add(&self) -> Value {
        let body = json!({"listen": "tcp://127.0.0.1:0", "peer": id(2), "target": format!("tcp://{}", self.echo)});
        let added = self.first.post("/api/v1/forwards", &body.to_string()).await;
        assert_eq!(added.status, 200, "{added:?}");
        described(&self.first, "/api/v1/forwards", "post", added.json()).await
    }
}

/// A document, once it was found to be as described.
async fn described(member: &Member, path: &str, method: &str, document: Value) -> Value {
    let api = member.get("/openapi.json").await.json();
    let schema = &api["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_valid(&api, schema, &document);
    document
}

async fn said(stream: &mut TcpStream, data: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = stream.split();
    let mut heard = Vec::new();
    let saying = async {
        writing.write_all(data).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    tokio::join!(saying, async { reading.read_to_end(&mut heard).await.unwrap() });
    heard
}

#[tokio::test]
async fn a_forward_is_added_used_counted_kept_and_removed() {
    let pair = Pair::start().await;
    let added = pair.add().await;
    let listening = added["state"]["listening"].as_str().unwrap().strip_prefix("tcp://").unwrap().to_owned();
    let data: Vec<u8> = (0..200_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    assert!(said(&mut TcpStream::connect(&listening).await.unwrap(), &data).await == data);

    until("its end is counted", async || pair.first.gateway.report().forwards[0].traffic.open == 0).await;
    let list = pair.first.get("/api/v1/forwards").await.json();
    let list = described(&pair.first, "/api/v1/forwards", "get", list).await;
    let row = &list["forwards"][0];
    assert_eq!((&row["connections"], &row["sent_bytes"]), (&json!(1), &json!(data.len())));
    let exposed = pair.second.get("/api/v1/forwards").await.json();
    let exposed = described(&pair.second, "/api/v1/forwards", "get", exposed).await;
    assert_eq!((&exposed["exposed"][0]["name"], &exposed["served"]["connections"]), (&json!("echo"), &json!(1)));

    let tunnels = pair.first.get("/api/v1/tunnels").await.json();
    let tunnels = described(&pair.first, "/api/v1/tunnels", "get", tunnels).await;
    let tunnel = &tunnels["tunnels"][0];
    assert_eq!((&tunnel["peer"], &tunnel["up"]), (&json!(id(2)), &json!(true)));
    assert_eq!(tunnel["paths"][0]["path"], json!([id(2)]));
    let status = pair.first.get("/api/v1/status").await.json();
    let status = described(&pair.first, "/api/v1/status", "get", status).await;
    assert_eq!((&status["gateway"]["local"]["connections"], &status["tunnels"]["up"]), (&json!(1), &json!(1)));
    let metrics = String::from_utf8(pair.first.get("/metrics").await.body).unwrap();
    let number = added["id"].as_u64().unwrap();
    for line in [
        format!("meshline_gateway_connections_total{{part=\"forward\",id=\"{number}\"}} 1"),
        format!("meshline_tunnels{{peer=\"{}\"}} 1", id(2)),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }

    let file = pair.first.folder.path().join("forwards.json");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((kept["forwards"].as_array().unwrap().len(), &kept["forwards"][0]["peer"]), (1, &json!(id(2))));
    let path = format!("/api/v1/forwards/{number}");
    let removed = pair.first.ask("DELETE", &path, &pair.first.bearer(), "").await;
    assert_eq!(removed.status, 200, "{removed:?}");
    described(&pair.first, "/api/v1/forwards/{id}", "delete", removed.json()).await;
    assert_eq!(pair.first.ask("DELETE", &path, &pair.first.bearer(), "").await.refusal(404), "no_such_forward");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept["forwards"], json!([]));
    assert!(TcpStream::connect(&listening).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_forward_of_the_configuration_is_not_removed_and_a_wrong_one_not_added() {
    let forward = json!({"listen": "tcp://127.0.0.1:0", "peer": id(2), "target": "tcp://127.0.0.1:9"});
    let member = Member::start_with(config("first"), 1, json!({"forwards": [forward]})).await;
    let row = member.gateway.report().forwards[0].clone();
    let path = format!("/api/v1/forwards/{}", row.id);
    assert_eq!(member.ask("DELETE", &path, &member.bearer(), "").await.refusal(403), "forbidden");
    let meshline_gateway::ForwardState::Listening(taken) = row.state else { panic!("{row:?}") };
    for (body, status, code) in [
        (json!({"listen": taken, "peer": id(2), "target": "tcp://127.0.0.1:9"}), 409, "cannot_listen"),
        (json!({"listen": "tcp://127.0.0.1:0", "peer": "nobody", "target": "tcp://127.0.0.1:9"}), 404, "no_such_peer"),
        (json!({"listen": "udp://127.0.0.1:0", "peer": id(2), "target": "tcp://127.0.0.1:9"}), 400, "invalid_message"),
        (json!({"listen": "tcp://127.0.0.1:0", "peer": id(2), "unknown": 1}), 400, "invalid_message"),
    ] {
        assert_eq!(member.post("/api/v1/forwards", &body.to_string()).await.refusal(status), code, "{body}");
    }
    assert!(!member.folder.path().join("forwards.json").exists());
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: meshline-connect\r\n";

#[tokio::test]
async fn a_connection_carries_bytes_and_the_end_of_each_direction() {
    let pair = Pair::start().await;
    let path = format!("/api/v1/connect?peer={}&target=tcp://{}", id(2), pair.echo);
    let mut client = pair.first.connect_unix().await;
    client.say(&request("GET", &path, &format!("Host: x\r\n{UPGRADE}"), "")).await;
    exchange(&mut client).await;
    // A service needs no target, and with the token TCP is as good.
    let mut client = pair.first.connect().await;
    let headers = format!("Host: {}\r\n{}{UPGRADE}", pair.first.host(), pair.first.bearer());
    client.say(&request("GET", "/api/v1/connect?peer=echo", &headers, "")).await;
    exchange(&mut client).await;
}

async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(client: &mut Client<S>) {
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    exchange_on(client).await;
}

/// Says something, hears it again, and both ends.
async fn exchange_on<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(client: &mut Client<S>) {
    client.say("\0\0\0\u{5}hello").await;
    client.until("\0\0\0\u{5}hello").await;
    client.say("\0\0\0\0").await;
    client.until("\0\0\0\0").await;
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_goes_without_an_end_breaks_the_connection() {
    let pair = Pair::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let expose = json!([{"name": "server", "target": format!("tcp://{address}"), "allow": [id(1)]}]);
    let config = json!({"name": "second", "network": "lab", "data_dir": "", "expose": expose});
    pair.second.gateway.reconfigure(&serde_json::from_value(config).unwrap()).await;
    let mut client = pair.first.connect_unix().await;
    client.say(&request("GET", "/api/v1/connect?peer=server", &format!("Host: x\r\n{UPGRADE}"), "")).await;
    let (mut server, _) = listener.accept().await.unwrap();
    client.head().await;
    client.say("\0\0\0\u{1}x").await;
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    drop(client);
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "an end would make it look complete");
}

#[tokio::test]
async fn a_server_that_breaks_off_ends_the_connection_of_a_client_with_nothing_to_say() {
    let pair = Pair::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let expose = json!([{"name": "server", "target": format!("tcp://{address}"), "allow": [id(1)]}]);
    let config = json!({"name": "second", "network": "lab", "data_dir": "", "expose": expose});
    pair.second.gateway.reconfigure(&serde_json::from_value(config).unwrap()).await;
    let mut client = pair.first.connect_unix().await;
    client.say(&request("GET", "/api/v1/connect?peer=server", &format!("Host: x\r\n{UPGRADE}"), "")).await;
    let (server, _) = listener.accept().await.unwrap();
    client.head().await;
    // What was said and not read makes the end a reset.
    client.say("\0\0\0\u{1}x").await;
    server.peek(&mut [0]).await.unwrap();
    drop(server);
    client.closed().await;
}

#[tokio::test]
async fn refusals_of_a_connection_have_the_code_of_whoever_refuses() {
    let pair = Pair::start().await;
    let connect = async |query: &str| {
        let headers = format!("{}{UPGRADE}", pair.first.bearer());
        pair.first.ask("GET", &format!("/api/v1/connect?{query}"), &headers, "").await
    };
    let (two, away) = (id(2), id(9));
    for (query, status, code) in [
        (format!("peer={two}&target=tcp://127.0.0.1:1"), 403, "forbidden"),
        (format!("peer={away}&target=tcp://127.0.0.1:1"), 502, "no_route"),
        (format!("peer={two}&target=udp://127.0.0.1:1"), 400, "invalid_message"),
        (format!("peer={two}&target=nonsense"), 400, "invalid_message"),
        ("peer=no!body&target=tcp://127.0.0.1:1".to_owned(), 404, "no_such_peer"),
        ("peer=nothing".to_owned(), 404, "no_such_service"),
        ("peer=nothing&target=tcp://127.0.0.1:1".to_owned(), 404, "no_such_peer"),
    ] {
        assert_eq!(connect(&query).await.refusal(status), code, "{query}");
    }
    let plain = pair.first.get(&format!("/api/v1/connect?peer={two}")).await;
    assert_eq!(plain.refusal(426), "upgrade_required");
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// The exit code of a command to that member.
async fn run(member: &Member, words: &[&str]) -> Exit {
    let file = member.folder.path().join("node-1.json");
    let config = json!({"name": "one", "network": "lab", "data_dir": member.folder.path()});
    std::fs::write(&file, config.to_string()).unwrap();
    let cli = Cli::try_parse_from(["node", "--config", file.to_str().unwrap()].iter().chain(words)).unwrap();
    match execute::<NodeConfig>(cli.verb, &cli.place).await {
        Ok(()) => Exit::Done,
        Err(error) => Exit::of(error.chain()),
    }
}

#[tokio::test]
async fn commands_end_with_the_code_of_their_reason() {
    let pair = Pair::start().await;
    let (two, away, echo) = (id(2), id(9), format!("tcp://{}", pair.echo));
    let here = "tcp://127.0.0.1:0";
    for (words, exit) in [
        (vec!["forward", "list"], Exit::Done),
        (vec!["forward", "add", here, &two, &echo], Exit::Done),
        (vec!["forward", "add", here, "echo"], Exit::Done),
        (vec!["forward", "list", "--json"], Exit::Done),
        (vec!["forward", "remove", "1"], Exit::Done),
        (vec!["forward", "remove", "1"], Exit::Failed),
        (vec!["forward", "add", here, "no!body", &echo], Exit::NoPeer),
        (vec!["forward", "add", "udp://127.0.0.1:0", &two, &echo], Exit::Usage),
        (vec!["tunnels"], Exit::Done),
        (vec!["connect", &two, "127.0.0.1:1"], Exit::Refused),
        (vec!["connect", "nothing"], Exit::NoPeer),
        (vec!["connect", "nothing", "127.0.0.1:1"], Exit::NoPeer),
        (vec!["connect", &away, "127.0.0.1:1"], Exit::NoPeer),
        (vec!["connect", &two, "nonsense"], Exit::Usage),
    ] {
        assert_eq!(run(&pair.first, &words).await, exit, "{words:?}");
    }
}

/// Connections of `connect` at once.
const MAX_CONNECTS: usize = 256;

#[tokio::test]
async fn so_many_connections_are_carried_and_one_more_when_one_has_gone() {
    let pair = Pair::start().await;
    let mut clients = Vec::new();
    let ask = request("GET", "/api/v1/connect?peer=echo", &format!("Host: x\r\n{UPGRADE}"), "");
    for _ in 0..MAX_CONNECTS {
        let mut client = pair.first.connect_unix().await;
        client.say(&ask).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        clients.push(client);
    }
    let mut further = pair.first.connect_unix().await;
    further.say(&ask).await;
    assert_eq!(further.answer().await.refusal(429), "rate_limited");
    exchange_on(&mut clients[0]).await;
    until("there is room again", async || {
        let mut further = pair.first.connect_unix().await;
        further.say(&ask).await;
        further.head().await.starts_with("HTTP/1.1 101 ")
    })
    .await;
}

#[tokio::test]
async fn a_forward_that_cannot_be_kept_is_not_there() {
    let member = Member::start_as(config("first"), 1).await;
    std::fs::remove_dir_all(member.folder.path()).unwrap();
    let body = json!({"listen": "tcp://127.0.0.1:0", "peer": id(2), "target": "tcp://127.0.0.1:9"});
    assert_eq!(member.post("/api/v1/forwards", &body.to_string()).await.refusal(507), "storage_failed");
    assert_eq!(member.get("/api/v1/forwards").await.json()["forwards"], json!([]));
}

#[tokio::test]
async fn a_forward_leads_to_a_service_that_is_offered_though_it_is_down_and_one_s_own_name_is_known() {
    let pair = Pair::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let advert = json!({"name": "plan", "kind": "_http._tcp", "target": format!("tcp://{closed}"), "allow": ["*"]});
    let mut client = pair.second.connect_unix().await;
    client.say(&request("POST", "/api/v1/services", "Host: x\r\n", &advert.to_string())).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    until("the first knows it", async || {
        pair.first.get("/api/v1/services?name=plan").await.json()["services"] != json!([])
    })
    .await;
    let add = async |peer: &str| {
        let body = json!({"listen": "tcp://127.0.0.1:0", "peer": peer});
        pair.first.post("/api/v1/forwards", &body.to_string()).await
    };
    let added = add("plan").await.json();
    assert_eq!(added["peer"], "service:plan", "{added}");
    let detail = |answer: Value| answer["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail(add("plan._ssh._tcp").await.json()), "plan is offered, but as plan._http._tcp");
    assert_eq!(detail(add("plan@first").await.json()), "first does not offer plan; others offer plan._http._tcp");
    let unknown = detail(add("nosuch").await.json());
    assert!(unknown.ends_with("no service nosuch is exposed to this member: asked second"), "{unknown}");
    assert_eq!(pair.first.get("/api/v1/explain/first").await.refusal(400), "this_member");
    assert_eq!(pair.first.get("/api/v1/explain/nobody").await.refusal(404), "no_such_peer");
}
