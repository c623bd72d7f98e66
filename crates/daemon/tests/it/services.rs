//! The directory of services over the API: listed, offered while a request is open, and told as it changes.

use serde_json::json;

use crate::schema::assert_valid;
use crate::support::{Member, request, until};

const SERVICES: &str = "/api/v1/services";

#[tokio::test]
async fn a_service_is_offered_while_its_request_is_open() {
    let member = Member::start().await;
    assert_eq!(member.get(SERVICES).await.json()["services"], json!([]));
    let advert = json!({"name": "web", "kind": "_http._tcp", "target": "tcp://127.0.0.1:8000", "text": {"path": "/"},
        "allow": ["*"]});
    let mut client = member.connect_unix().await;
    client.say(&request("POST", SERVICES, "Host: x\r\n", &advert.to_string())).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    let list = member.get(SERVICES).await.json();
    let api = member.get("/openapi.json").await.json();
    let schema = &api["paths"][SERVICES]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_valid(&api, schema, &list);
    let row = &list["services"][0];
    assert_eq!((&row["name"], &row["port"], &row["cost"]), (&json!("web"), &json!(8000), &json!(0)));
    assert_eq!((&row["health"], &row["text"]["path"]), (&json!("unknown"), &json!("/")));
    assert_eq!(member.get(&format!("{SERVICES}?kind=_ssh._tcp")).await.json()["services"], json!([]));
    assert_eq!(member.get(&format!("{SERVICES}?kind=ssh")).await.refusal(400), "invalid_message");
    assert_eq!(
        member.post(SERVICES, &advert.to_string()).await.refusal(400),
        "invalid_message",
        "a name is taken once"
    );
    let status = member.get("/api/v1/status").await.json();
    assert_eq!((&status["services"]["own"], &status["gateway"]["exposed"]), (&json!(1), &json!(1)));
    let metrics = String::from_utf8(member.get("/metrics").await.body).unwrap();
    assert!(metrics.lines().any(|line| line == "meshline_services 1"), "{metrics}");
    drop(client);
    until("it is withdrawn", async || member.get(SERVICES).await.json()["services"] == json!([])).await;
    until("nobody may use it", async || member.get("/api/v1/status").await.json()["gateway"]["exposed"] == 0).await;
}

#[tokio::test]
async fn what_changes_in_the_directory_is_told_by_three_events_as_they_are_described() {
    let member = Member::start().await;
    let api = member.get("/openapi.json").await.json();
    let shapes = &api["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["x-events"];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let advert = json!({"name": "web", "kind": "_http._tcp", "target": target, "allow": ["*"], "check_s": 1});
    let mut events = member.stream("/api/v1/events", "").await;
    let mut client = member.connect_unix().await;
    client.say(&request("POST", SERVICES, "Host: x\r\n", &advert.to_string())).await;
    let mut told = async |name: &str| loop {
        let event = events.event().await;
        if event.name == name {
            assert_valid(&api, &shapes[name], &event.data);
            assert_eq!((&event.data["name"], &event.data["kind"]), (&json!("web"), &json!("_http._tcp")));
            return event.data;
        }
        assert!(!event.name.starts_with("service_"), "{name} is due: {event:?}");
    };
    assert_eq!(told("service_added").await["health"], "unknown");
    assert_eq!(told("service_changed").await["health"], "up", "somebody listens there");
    drop(client);
    assert_eq!(told("service_removed").await["cause"], "withdrawn");
}

#[tokio::test]
async fn what_cannot_be_offered_is_refused() {
    let member = Member::start().await;
    let long = "x".repeat(129);
    for (advert, status, code) in [
        (json!({"name": "web", "kind": "http", "target": "tcp://h:1", "allow": ["*"]}), 400, "invalid_message"),
        (json!({"name": "web", "kind": "_http._tcp", "target": "h:1", "allow": ["*"]}), 400, "invalid_message"),
        (json!({"name": "web", "kind": "_http._tcp", "target": "tcp://h:1", "allow": []}), 400, "invalid_message"),
        (
            json!({"name": "web", "kind": "_http._tcp", "target": "tcp://h:1", "allow": ["*"], "text": {"a": long}}),
            400,
            "invalid_message",
        ),
        (
            json!({"name": "web", "kind": "_http._tcp", "target": "tcp://h:1", "allow": ["*"], "check_s": 0}),
            400,
            "invalid_message",
        ),
    ] {
        assert_eq!(member.post(SERVICES, &advert.to_string()).await.refusal(status), code, "{advert}");
    }
}

#[tokio::test]
async fn what_is_exposed_to_everybody_is_told_and_nothing_else_unless_it_was_asked_for() {
    let expose = |name: &str, allow: serde_json::Value, advertise: serde_json::Value| json!({"name": name, "target": "tcp://127.0.0.1:80", "allow": allow, "advertise": advertise});
    let null = serde_json::Value::Null;
    let entries = json!([
        expose("open", json!(["*"]), null.clone()),
        expose("quiet", json!(["*"]), json!(false)),
        expose("some", json!(["role:view"]), null.clone()),
        expose("known", json!(["role:view"]), json!(true)),
        expose("nobody", json!([]), json!(true)),
    ]);
    let config = meshline_mesh::Config::new("lab".parse().unwrap(), "first".parse().unwrap());
    let member = Member::start_with(config, 1, json!({ "expose": entries })).await;
    let list = member.get(SERVICES).await.json();
    let names: Vec<&str> =
        list["services"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["known", "open"]);
    assert_eq!(list["services"][1]["kind"], "_http._tcp", "by its port");
}
