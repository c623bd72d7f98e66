//! A member's own connections through another one's exit.

use meshline_daemon::config::NodeConfig;
use meshline_identity::KeyPair;
use meshline_mesh::Config;
use serde_json::{Value, json};

use crate::support::{Member, until};

fn id(number: u8) -> String {
    KeyPair::from_secret([number; 32]).id().to_string()
}

fn config(name: &str) -> Config {
    Config::new("lab".parse().unwrap(), name.parse().unwrap())
}

/// At a port that is free: what a member announces is what it was told to listen on.
fn listening(name: &str) -> Config {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().into();
    Config { listen: vec![address], ..config(name) }
}

/// The first links to the third through the exit of the second.
struct Three {
    first: Member,
    second: Member,
    third: Member,
}

impl Three {
    async fn start() -> Self {
        let third = Member::start_as(listening("third"), 3).await;
        let target = format!("tcp://{}", third.mesh.listening()[0]);
        // Loopback is reached through nobody's exit unless it is exposed.
        let expose = json!({"expose": [{"name": "third", "target": target, "allow": [id(1)]}]});
        let mut between = listening("second");
        between.peers = third.mesh.listening().to_vec();
        let second = Member::start_with(between, 2, expose).await;
        let mut dialling = config("first");
        dialling.peers = second.mesh.listening().to_vec();
        let first = Member::start_with(dialling, 1, json!({"via": id(2)})).await;
        Self { first, second, third }
    }

    async fn wait_for_link(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        until(what, async || {
            let status = self.first.get("/api/v1/status").await.json();
            status["links"].as_array().unwrap().iter().any(|link| link["peer"] == id(3) && is_it(link))
        })
        .await;
    }
}

#[tokio::test]
async fn a_link_goes_through_the_exit_of_the_member_named_and_says_so() {
    let three = Three::start().await;
    three.wait_for_link("linked through the second", |link| link["via"] == id(2)).await;
    let status = three.first.get("/api/v1/status").await.json();
    let links = status["links"].as_array().unwrap();
    let straight = links.iter().find(|link| link["peer"] == id(2)).unwrap();
    assert_eq!(straight["via"], Value::Null, "what carries the rest is reached without it");
    let carried = links.iter().find(|link| link["peer"] == id(3)).unwrap();
    assert_eq!(carried["address"], three.third.mesh.listening()[0].as_str());
    let explained = three.first.get(&format!("/api/v1/explain/{}", id(3))).await.json();
    let summary = explained["summary"].as_str().unwrap();
    assert!(summary.contains("is linked through second~") && summary.ends_with("'s exit"), "{summary}");
    // It is a link like any other.
    three.first.write("through you").await;
    until("the third reads it", async || {
        let chat = three.third.get("/api/v1/chat").await.json();
        chat["messages"].as_array().unwrap().iter().any(|message| message["text"] == "through you")
    })
    .await;
}

#[tokio::test]
async fn when_the_member_named_goes_the_link_is_made_straight() {
    let three = Three::start().await;
    three.wait_for_link("linked through the second", |link| link["via"] == id(2)).await;
    three.second.mesh.shutdown().await;
    three.wait_for_link("linked straight", |link| link["via"] == Value::Null).await;
}

#[tokio::test]
async fn what_is_configured_anew_holds_for_the_next_connection() {
    let three = Three::start().await;
    three.wait_for_link("linked through the second", |link| link["via"] == id(2)).await;
    let config: NodeConfig = serde_json::from_value(json!({"name": "first", "network": "lab"})).unwrap();
    three.first.gateway.reconfigure(&config).await;
    // Its end takes the link with it; what is dialled then goes straight.
    three.second.gateway.close();
    let tunnels = three.second.mesh.tunnels();
    tunnels.close();
    three.wait_for_link("linked straight", |link| link["via"] == Value::Null).await;
}
