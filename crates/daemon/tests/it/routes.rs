//! Routes, traces, explanations and frames of three members in a row, over real links and real sockets.

use meshline_identity::KeyPair;
use meshline_mesh::Config;
use serde_json::{Value, json};

use crate::schema::assert_valid;
use crate::support::{Client, Member, request, until};

/// Three members, the first and the last linked with the middle one only.
struct Row {
    first: Member,
    middle: Member,
    last: Member,
}

fn id(number: u8) -> String {
    KeyPair::from_secret([number; 32]).id().to_string()
}

fn config(name: &str) -> Config {
    Config::new("lab".parse().unwrap(), name.parse().unwrap())
}

impl Row {
    async fn start() -> Self {
        let mut listening = config("middle");
        listening.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let middle = Member::start_as(listening, 2).await;
        let dialling = |name: &str| {
            let mut config = config(name);
            config.peers = middle.mesh.listening().to_vec();
            config
        };
        let row = Self {
            first: Member::start_as(dialling("first"), 1).await,
            last: Member::start_as(dialling("last"), 3).await,
            middle,
        };
        // Both ways: an echo has to come back.
        for (member, to) in [(&row.first, id(3)), (&row.last, id(1))] {
            until("the ends see a way to each other", async || has_way(member, &to).await).await;
        }
        row
    }
}

async fn has_way(member: &Member, to: &str) -> bool {
    let routes = member.get("/api/v1/routes").await.json();
    routes["routes"].as_array().unwrap().iter().any(|way| way["peer"] == to)
}

/// The answer to an open question, as it is described.
async fn described(member: &Member, path: &str, of: &str) -> Value {
    let answer = member.ask("GET", path, "", "").await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let document = member.get("/openapi.json").await.json();
    let schema = &document["paths"][of]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_valid(&document, schema, &answer.json());
    answer.json()
}

#[tokio::test]
async fn a_way_over_another_member_is_listed_with_what_each_link_costs() {
    let row = Row::start().await;
    let routes = described(&row.first, "/api/v1/routes", "/api/v1/routes").await;
    assert_eq!(routes["schema"], "meshline/routes/1");
    let way = routes["routes"].as_array().unwrap().iter().find(|way| way["peer"] == id(3)).unwrap().clone();
    assert_eq!((&way["path"], &way["hops"], &way["rank"]), (&json!([id(2), id(3)]), &json!(2), &json!(1)));
    let costs: Vec<u64> = way["costs"].as_array().unwrap().iter().map(|cost| cost.as_u64().unwrap()).collect();
    assert_eq!((costs.len(), costs.iter().sum::<u64>()), (2, way["cost"].as_u64().unwrap()));
}

#[tokio::test]
async fn a_trace_has_echoes_of_every_hop_and_what_both_ends_say_of_each_link() {
    let row = Row::start().await;
    let trace = described(&row.first, &format!("/api/v1/trace/{}", id(3)), "/api/v1/trace/{peer}").await;
    assert_eq!(
        (&trace["schema"], &trace["reached"], &trace["ends"]),
        (&json!("meshline/trace/1"), &json!(true), &Value::Null)
    );
    let hops = trace["hops"].as_array().unwrap();
    assert_eq!(hops.iter().map(|hop| &hop["peer"]).collect::<Vec<_>>(), [&json!(id(2)), &json!(id(3))]);
    for hop in hops {
        assert_eq!(hop["rtts_us"].as_array().unwrap().len(), 3, "{hop}");
        assert!(hop["min_us"].as_u64() <= hop["avg_us"].as_u64(), "{hop}");
        assert!(hop["link"]["there"]["rtt_us"].is_u64() && hop["link"]["back"]["rtt_us"].is_u64(), "{hop}");
    }
}

#[tokio::test]
async fn a_member_that_went_away_is_traced_to_nowhere() {
    let Row { first, middle, last } = Row::start().await;
    drop(last.server);
    last.mesh.shutdown().await;
    until("the way is gone", async || !has_way(&first, &id(3)).await).await;
    let trace = described(&first, &format!("/api/v1/trace/{}", id(3)), "/api/v1/trace/{peer}").await;
    assert_eq!((&trace["reached"], &trace["ends"]["reason"]), (&json!(false), &json!("no_route")));
    assert_eq!(trace["ends"]["at"], id(1));
    drop(middle);
}

#[tokio::test]
async fn an_explanation_says_why_and_what_would_help() {
    let row = Row::start().await;
    let told = described(&row.first, &format!("/api/v1/explain/{}", id(3)), "/api/v1/explain/{peer}").await;
    let why = told["why"].as_array().unwrap();
    assert!(why[0].as_str().unwrap().starts_with("the way over middle~"), "{why:?}");
    assert!(why.contains(&json!("there is no other way")), "{why:?}");
    let advice = told["advice"].to_string();
    assert!(advice.contains("neither this node nor last~"), "{advice}");
    assert!(advice.contains("pass middle~"), "{advice}");
    assert_eq!(told["links"].as_array().unwrap().len(), 2);
    assert_eq!(told["direct_link"], Value::Null);
}

#[tokio::test]
async fn frames_are_shown_to_the_operator_alone_and_as_chosen() {
    let row = Row::start().await;
    assert_eq!(row.first.ask("GET", "/api/v1/tap", "", "").await.refusal(401), "token_required");
    assert_eq!(row.first.get("/api/v1/tap?peer=nobody").await.refusal(404), "no_such_peer");
    let mut all = row.first.stream(&format!("/api/v1/tap?type=datagram&peer={}", id(2)), "").await;
    all.until("\n\n").await;
    let trace = row.first.get(&format!("/api/v1/trace/{}", id(3))).await.json();
    assert_eq!(trace["reached"], true);
    let event = all.event().await;
    let frame = &event.data;
    assert_eq!(
        (event.name.as_str(), &frame["type"], &frame["direction"]),
        ("frame", &json!("datagram"), &json!("out"))
    );
    assert_eq!((&frame["peer"], &frame["message"]["datagram"]["service"]), (&json!(id(2)), &json!("echo")));
    assert!(frame["len"].is_u64() && frame.get("body").is_none(), "{frame}");
    let document = row.first.get("/openapi.json").await.json();
    let content = &document["paths"]["/api/v1/tap"]["get"]["responses"]["200"]["content"]["text/event-stream"];
    assert_valid(&document, &content["x-events"]["frame"], frame);
}

#[tokio::test]
async fn the_socket_needs_no_token_to_watch_frames_and_there_is_room_for_a_few() {
    let row = Row::start().await;
    let mut taps = Vec::new();
    for _ in 0..4 {
        let mut client = row.first.connect_unix().await;
        client.say(&request("GET", "/api/v1/tap", "Host: x\r\n", "")).await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        taps.push(client);
    }
    assert_eq!(row.first.get("/api/v1/tap").await.refusal(503), "too_many_readers");
    drop(taps);
    until("there is room again", async || {
        let mut client: Client<_> = row.first.connect_unix().await;
        client.say(&request("GET", "/api/v1/tap", "Host: x\r\n", "")).await;
        client.head().await.starts_with("HTTP/1.1 200 ")
    })
    .await;
}

#[tokio::test]
async fn changes_are_events_and_counted() {
    let Row { first, middle, last } = Row::start().await;
    let mut events = first.stream("/api/v1/events", "").await;
    let metrics = String::from_utf8(first.get("/metrics").await.body).unwrap();
    for line in ["meshline_peers{path=\"direct\"} 1", "meshline_peers{path=\"multihop\"} 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    drop(last.server);
    last.mesh.shutdown().await;
    let change = loop {
        let event = events.event().await;
        if event.name == "route_changed" {
            break event.data;
        }
    };
    assert_eq!((&change["peer"], &change["path"]), (&json!(id(3)), &json!([])));
    let metrics = String::from_utf8(first.get("/metrics").await.body).unwrap();
    for line in ["meshline_peers{path=\"direct\"} 1", "meshline_peers{path=\"none\"} 1", "meshline_routes 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let count = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}"));
        line.trim().parse::<f64>().unwrap()
    };
    assert!(count("meshline_route_changes_total") >= 3.0 && count("meshline_link_rtt_seconds_count") >= 1.0);
    let status = first.get("/api/v1/status").await.json();
    assert_eq!(status["routing"]["routes"], 1);
    drop(middle);
}
