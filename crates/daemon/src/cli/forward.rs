//! `forward`: add, list, remove.

use clap::{Args, Subcommand};
use meshline_protocol::Target;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::table::{heading, table};
use crate::output::print;

const FORWARDS: &str = "/api/v1/forwards";

/// What to do with forwards.
#[derive(Debug, Subcommand)]
pub enum ForwardVerb {
    /// Add a forward and keep it over restarts
    Add(AddArgs),
    /// List forwards, the local proxy, and what is exposed to others
    List,
    /// Remove a forward that was added
    Remove {
        /// Its number in the list
        id: u32,
    },
}

/// A forward.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Listen at the peer and connect from here
    #[arg(long, env = "MESHLINE_REVERSE", value_parser = clap::builder::FalseyValueParser::new())]
    reverse: bool,
    /// Where to listen: tcp://host:port, udp://host:port or unix:/path
    listen: Target,
    /// Name, id or the first 8 or more characters of the id; `auto`, or the name of a service
    peer: String,
    /// What to connect to: tcp://host:port, udp://host:port, unix:/path or serial:/device,baud. A service needs none
    target: Option<Target>,
}

/// A row as the command needs it.
#[derive(Deserialize)]
struct Forward {
    id: u32,
    listen: String,
    peer: String,
    peer_name: Option<String>,
    target: Option<String>,
    #[serde(default)]
    reverse: bool,
    origin: String,
    state: Value,
    open: u64,
    connections: u64,
    sent_bytes: u64,
    received_bytes: u64,
    last_error: Option<String>,
}

#[derive(Deserialize)]
struct Forwards {
    forwards: Vec<Forward>,
    socks5: Option<Proxy>,
    exposed: Vec<Exposed>,
}

#[derive(Deserialize)]
struct Proxy {
    state: Value,
    exit: String,
}

#[derive(Deserialize)]
struct Exposed {
    name: String,
    target: String,
    #[serde(default)]
    via: Option<String>,
    allow: Vec<String>,
}

impl Exposed {
    fn place(&self) -> String {
        self.via.as_ref().map_or_else(|| self.target.clone(), |via| format!("{} via {via}", self.target))
    }
}

pub(super) async fn run(client: &Client, verb: ForwardVerb, json: bool) -> anyhow::Result<()> {
    match verb {
        ForwardVerb::Add(args) => add(client, &args, json).await,
        ForwardVerb::List => list(client, json).await,
        ForwardVerb::Remove { id } => remove(client, id, json).await,
    }
}

async fn add(client: &Client, args: &AddArgs, json: bool) -> anyhow::Result<()> {
    let mut forward = json!({"listen": args.listen, "peer": args.peer, "reverse": args.reverse});
    if let (Some(target), Some(members)) = (&args.target, forward.as_object_mut()) {
        members.insert("target".to_owned(), json!(target));
    }
    let added: Value = client.post_far(FORWARDS, &forward).await?;
    if json {
        print(&added.to_string())?;
        return Ok(());
    }
    let added: Forward = serde_json::from_value(added)?;
    print(&format!("forward {}: {}", added.id, state(&added.state)))?;
    Ok(())
}

async fn remove(client: &Client, id: u32, json: bool) -> anyhow::Result<()> {
    let removed: Value = client.delete(&format!("{FORWARDS}/{id}")).await?;
    print(&if json { removed.to_string() } else { format!("forward {id} removed; its open connections live on") })?;
    Ok(())
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get(FORWARDS).await?;
    print(&if json { document.to_string() } else { text(&serde_json::from_value(document)?) })?;
    Ok(())
}

fn text(document: &Forwards) -> String {
    let mut parts = Vec::new();
    if document.forwards.is_empty() {
        parts.push("there is no forward".to_owned());
    } else {
        parts.push(forwards(&document.forwards));
    }
    if let Some(proxy) = &document.socks5 {
        parts.push(table(&[vec![format!("socks5 and http: {}, out through {}", state(&proxy.state), proxy.exit)]]));
    }
    if !document.exposed.is_empty() {
        let mut rows = vec![heading(&["EXPOSED", "TARGET", "ALLOWED"])];
        let allowed = |allow: &[String]| if allow.is_empty() { "nobody".to_owned() } else { allow.join(", ") };
        rows.extend(document.exposed.iter().map(|one| vec![one.name.clone(), one.place(), allowed(&one.allow)]));
        parts.push(table(&rows));
    }
    parts.join("\n\n")
}

fn forwards(forwards: &[Forward]) -> String {
    let mut rows =
        vec![heading(&["ID", "FROM", "STATE", "PEER", "TO", "OPEN", "ALL", "SENT", "RECEIVED", "LAST ERROR"])];
    for forward in forwards {
        let listen = if forward.reverse { format!("{} there", forward.listen) } else { forward.listen.clone() };
        rows.push(vec![
            forward.id.to_string(),
            forward.origin.clone(),
            state(&forward.state).replace(&forward.listen, &listen),
            peer(forward),
            forward.target.clone().unwrap_or_else(|| "what it offers".to_owned()),
            forward.open.to_string(),
            forward.connections.to_string(),
            forward.sent_bytes.to_string(),
            forward.received_bytes.to_string(),
            forward.last_error.clone().unwrap_or_default(),
        ]);
    }
    table(&rows)
}

/// A name with the beginning of the id, where there are both.
fn peer(forward: &Forward) -> String {
    let is_id = forward.peer.len() == FULL_ID;
    let word: String = if is_id { forward.peer.chars().take(8).collect() } else { forward.peer.clone() };
    forward.peer_name.as_ref().map_or_else(|| word.clone(), |name| format!("{name} ({word})"))
}

/// Characters of a whole id.
const FULL_ID: usize = 52;

/// How it stands, in words.
fn state(state: &Value) -> String {
    let text = |pointer: &str| state.pointer(pointer).and_then(Value::as_str);
    if let Some(place) = text("/listening") {
        return format!("listens on {place}");
    }
    match (text("/refused/code"), text("/refused/detail")) {
        (Some(code), Some(detail)) => format!("does not listen: {detail} ({code})"),
        _ => "asks the peer to listen".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn forwards_proxy_and_what_is_exposed_are_shown_as_they_stand() {
        let forward = |id: u32, state| {
            json!({"id": id, "listen": "tcp://127.0.0.1:8080", "peer": "auto", "target": "tcp://10.0.0.1:80",
                "origin": "added", "state": state, "open": 1, "connections": 2, "sent_bytes": 3, "received_bytes": 4,
                "refused": {}, "last_error": null})
        };
        let mut named = forward(3, json!("asking"));
        named["peer"] = json!("aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa");
        named["peer_name"] = json!("eddy");
        let document = json!({
            "forwards": [
                forward(1, json!({"listening": "tcp://127.0.0.1:8080"})),
                named,
                forward(2, json!({"refused": {"code": "target_refused", "detail": "in use"}})),
            ],
            "socks5": {"state": {"listening": "127.0.0.1:1080"}, "exit": "auto"},
            "exposed": [{"name": "web", "target": "tcp://127.0.0.1:80", "allow": []}],
        });
        let shown = text(&serde_json::from_value(document).expect("fits"));
        for part in [
            "1   added  listens on tcp://127.0.0.1:8080",
            "asks the peer to listen                   eddy (aebagbaf)",
            "does not listen: in use (target_refused)",
            "socks5 and http: listens on 127.0.0.1:1080, out through auto",
            "web      tcp://127.0.0.1:80  nobody",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        let none = serde_json::from_value(json!({"forwards": [], "socks5": null, "exposed": []})).expect("fits");
        assert_eq!(text(&none), "there is no forward");
    }
}
