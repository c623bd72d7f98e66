//! `services` and `advertise`: what members offer, and offering something for as long as the command runs.

use std::collections::BTreeMap;

use clap::{Args, value_parser};
use meshline_protocol::{ServiceKind, ServiceName, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, in_path};
use super::duration::seconds;
use super::place::Place;
use super::table::{heading, millis, table};
use crate::config::MemberConfig;
use crate::exit::Stop;
use crate::log::escape;
use crate::output::{print, print_error, print_next};
use crate::words::{condition, distance};

const SERVICES: &str = "/api/v1/services";

/// Which services.
#[derive(Debug, Args)]
pub struct ServicesArgs {
    /// Only services of this kind, such as _http._tcp
    #[arg(long, value_name = "KIND", env = "MESHLINE_KIND")]
    kind: Option<ServiceKind>,
    /// Show what changes, as it happens, until interrupted
    #[arg(long, env = "MESHLINE_WATCH", value_parser = clap::builder::FalseyValueParser::new())]
    watch: bool,
}

impl ServicesArgs {
    pub(super) fn is_followed(&self) -> bool {
        self.watch
    }
}

/// A row as the command needs it.
#[derive(Deserialize)]
struct Service {
    name: String,
    kind: String,
    member_name: String,
    port: u16,
    text: BTreeMap<String, String>,
    health: String,
    expires_ms: u64,
    cost: Option<u64>,
    damped: bool,
    #[serde(default)]
    cause: Option<String>,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
}

pub(super) async fn run(client: &Client, args: &ServicesArgs, json: bool) -> anyhow::Result<()> {
    // Before the list: what changes meanwhile is told twice rather than not at all.
    let events = if args.watch { Some(client.events(None).await?) } else { None };
    let kind = args.kind.as_ref().map(|kind| format!("?kind={}", in_path(kind.as_str()))).unwrap_or_default();
    let document: Value = client.get(&format!("{SERVICES}{kind}")).await?;
    print(&if json { document.to_string() } else { text(&serde_json::from_value(document)?, args.kind.as_ref()) })?;
    let Some(mut events) = events else { return Ok(()) };
    loop {
        let event = client.next(&mut events).await?;
        let Some(change) = event.name.strip_prefix("service_") else {
            if event.name == "lagged" {
                print_error("some changes were missed: list the services again");
            }
            continue;
        };
        let service: Value = serde_json::from_str(&event.data)?;
        if args.kind.as_ref().is_some_and(|kind| service.get("kind") != Some(&json!(kind))) {
            continue;
        }
        print_next(&if json {
            json!({"schema": "meshline/service-event/1", "event": change, "service": service}).to_string()
        } else {
            line(change, &serde_json::from_value(service)?)
        })?;
    }
}

fn text(document: &Services, kind: Option<&ServiceKind>) -> String {
    if document.services.is_empty() {
        return kind.map_or_else(
            || "no member offers anything".to_owned(),
            |kind| format!("nobody offers {kind}; without --kind all are listed"),
        );
    }
    let mut rows = vec![heading(&["NAME", "KIND", "MEMBER", "PORT", "HEALTH", "COST", "EXPIRES", "TEXT"])];
    for service in &document.services {
        rows.push(vec![
            service.name.clone(),
            service.kind.clone(),
            service.member_name.clone(),
            if service.port == 0 { "-".to_owned() } else { service.port.to_string() },
            condition(&service.health, service.damped),
            distance(service.cost),
            millis(service.expires_ms),
            pairs(&service.text),
        ]);
    }
    table(&rows)
}

fn pairs(text: &BTreeMap<String, String>) -> String {
    text.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// One change, for people.
fn line(change: &str, service: &Service) -> String {
    let what = match (change, &service.cause) {
        ("removed", Some(cause)) => format!("gone ({cause})"),
        _ => format!("{change}, {}", service.health),
    };
    let (name, member) = (escape(&service.name), escape(&service.member_name));
    format!("{name} {} at {member}: {what}", escape(&service.kind))
}

/// What to offer.
#[derive(Debug, Args)]
pub struct AdvertiseArgs {
    /// What it is called: a-z, 0-9, '-', '_' and '.'. With --config, --name says the same
    #[arg(long, value_name = "NAME", env = "MESHLINE_SERVICE")]
    service: Option<ServiceName>,
    /// What is spoken there, as in DNS-SD: _http._tcp, _ssh._tcp, _coap._udp …
    #[arg(long, value_name = "KIND", env = "MESHLINE_KIND")]
    kind: ServiceKind,
    /// Its port on this host [env: MESHLINE_PORT]
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Where it is, if not on 127.0.0.1: tcp://host:port, udp://host:port or unix:/path [env: MESHLINE_TARGET]
    #[arg(long, value_name = "TARGET", conflicts_with = "port")]
    target: Option<Target>,
    /// What else there is to say of it; may stand several times [env: MESHLINE_TEXT, with commas between]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    text: Vec<(String, String)>,
    /// Who may use it: '*' for everybody, a full id, a name of a closed network, role:…; several with commas between
    #[arg(long, value_name = "WHO", default_value = "*", env = "MESHLINE_ALLOW", value_delimiter = ',')]
    allow: Vec<String>,
    /// Try to connect to it so often, in whole seconds up to an hour: 5s, 1m; and tell whether it is up
    #[arg(long, value_name = "TIME", env = "MESHLINE_CHECK", value_parser = seconds::<3_600>)]
    check: Option<u64>,
}

/// Variables stand for what no flag said: a flag of one is not held against the variable of the other.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl AdvertiseArgs {
    /// The name of the service, and the member that is to offer it. `--name` is the service's, unless that was said.
    fn named(&self, place: &Place) -> anyhow::Result<(ServiceName, Place)> {
        if let Some(name) = &self.service {
            return Ok((name.clone(), place.clone()));
        }
        let name = place.name.as_ref().ok_or_else(|| Stop::usage("say what it is called: --name NAME"))?;
        let name = name.parse().map_err(|error| Stop::usage(format!("--name {name}: {error}")))?;
        Ok((name, Place { name: None, ..place.clone() }))
    }

    /// Where it is, by flags or else by variables.
    fn place(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Target, Stop> {
        let transport = if self.kind.as_str().ends_with("._udp") { "udp" } else { "tcp" };
        let read = |name: &str, text: &str| {
            text.parse::<Target>().map_err(|error| Stop::usage(format!("{name} {text:?}: {error}")))
        };
        let here = |name: &str, port: &str| read(name, &format!("{transport}://127.0.0.1:{port}"));
        let target = match (&self.target, self.port) {
            (Some(target), _) => target.clone(),
            (None, Some(port)) => here("--port", &port.to_string())?,
            (None, None) => match (variable("MESHLINE_TARGET"), variable("MESHLINE_PORT")) {
                (Some(text), _) => read("MESHLINE_TARGET", &text)?,
                (None, Some(port)) => here("MESHLINE_PORT", &port)?,
                (None, None) => {
                    return Err(Stop::usage("say where it is: --port PORT on this host, or --target TARGET"));
                }
            },
        };
        if target.is_udp() != (transport == "udp") {
            return Err(Stop::usage(format!("what is of kind {} is not at {target}", self.kind)));
        }
        Ok(target)
    }

    fn texts(&self, variable: impl Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, Stop> {
        let Some(set) = variable("MESHLINE_TEXT").filter(|_| self.text.is_empty()) else {
            return Ok(self.text.iter().cloned().collect());
        };
        let pairs: Result<_, String> = set.split(',').map(pair).collect();
        pairs.map_err(|error| Stop::usage(format!("MESHLINE_TEXT={set}: {error}")))
    }

    fn advert(&self, name: &ServiceName, variable: impl Fn(&str) -> Option<String>) -> Result<Value, Stop> {
        let (target, text) = (self.place(&variable)?.to_string(), self.texts(&variable)?);
        let mut advert = json!({"name": name, "kind": self.kind, "target": target, "text": text, "allow": self.allow});
        if let (Some(check), Some(members)) = (self.check, advert.as_object_mut()) {
            members.insert("check_s".to_owned(), json!(check));
        }
        Ok(advert)
    }
}

/// What the member says of what is offered now.
#[derive(Deserialize)]
struct Advertised {
    #[serde(default)]
    unknown: Vec<String>,
}

pub(super) async fn advertise<T: MemberConfig>(args: &AdvertiseArgs, place: &Place) -> anyhow::Result<()> {
    let (name, of) = args.named(place)?;
    let client = of.client::<T>()?;
    let mut events = client.held(SERVICES, &args.advert(&name, variable)?).await?;
    loop {
        let event = client.next(&mut events).await?;
        if event.name == "advertised" {
            let said: Advertised = serde_json::from_str(&event.data)?;
            for word in said.unknown {
                print_error(&format!(
                    "nobody known here is called {word}: until somebody is, that entry allows nobody"
                ));
            }
            print(&if place.json { event.data } else { format!("{name} is offered until this command ends") })?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_shown_as_they_stand_and_nothing_steers_the_terminal() {
        let row = |name: &str, cost: Value, damped: bool| {
            json!({"name": name, "kind": "_http._tcp", "member": "x", "member_name": "bob\u{1b}by", "port": 80,
                "text": {"path": "/\u{1b}[2J"}, "health": "up", "expires_ms": 61_000, "cost": cost, "damped": damped})
        };
        let document = json!({"services": [row("web", json!(1_500), false), row("old", Value::Null, true)]});
        let shown = text(&serde_json::from_value(document).expect("fits"), None);
        for part in ["web   _http._tcp", "1500 µs", "61 s", "up, flapping", "away"] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        let none = || serde_json::from_value(json!({"services": []})).expect("fits");
        let kind = "_zz._tcp".parse().expect("a kind");
        assert_eq!(text(&none(), Some(&kind)), "nobody offers _zz._tcp; without --kind all are listed");
        assert_eq!(text(&none(), None), "no member offers anything");
        let removed = json!({"name": "web", "kind": "_http._tcp", "member_name": "bobby", "port": 80, "text": {},
            "health": "up", "expires_ms": 1, "cost": null, "damped": false, "cause": "expired"});
        let shown = line("removed", &serde_json::from_value(removed).expect("fits"));
        assert_eq!(shown, "web _http._tcp at bobby: gone (expired)");
    }

    #[test]
    fn what_is_offered_is_on_this_host_unless_told() {
        let args = |port, target: Option<&str>, kind: &str| AdvertiseArgs {
            service: None,
            kind: kind.parse().expect("a kind"),
            port,
            target: target.map(|target| target.parse().expect("a target")),
            text: vec![("path".to_owned(), "/".to_owned())],
            allow: vec!["*".to_owned()],
            check: None,
        };
        let advert = |args: AdvertiseArgs, set: &[(&str, &str)]| {
            let variable =
                |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            args.advert(&"web".parse().expect("a name"), variable).map_err(|stop| stop.message)
        };
        let target = |args: AdvertiseArgs, set| Ok::<_, String>(advert(args, set)?["target"].clone());
        let at = |target: &str| Ok(json!(target));
        assert_eq!(target(args(Some(80), None, "_http._tcp"), &[]), at("tcp://127.0.0.1:80"));
        assert_eq!(target(args(Some(5683), None, "_coap._udp"), &[]), at("udp://127.0.0.1:5683"));
        assert_eq!(target(args(None, Some("unix:/run/x"), "_http._tcp"), &[]), at("unix:/run/x"));
        // A variable is not held against a flag, nor against another variable.
        let both = [("MESHLINE_TARGET", "tcp://10.0.0.1:1"), ("MESHLINE_PORT", "7")];
        assert_eq!(target(args(Some(80), None, "_http._tcp"), &both), at("tcp://127.0.0.1:80"));
        assert_eq!(target(args(None, Some("unix:/run/x"), "_http._tcp"), &both), at("unix:/run/x"));
        assert_eq!(target(args(None, None, "_http._tcp"), &both), at("tcp://10.0.0.1:1"));
        assert_eq!(target(args(None, None, "_http._tcp"), &both[1..]), at("tcp://127.0.0.1:7"));
        assert!(target(args(None, None, "_http._tcp"), &[]).is_err_and(|said| said.contains("--port")));
        assert!(target(args(None, None, "_http._tcp"), &[("MESHLINE_PORT", "x")]).is_err());
        for (at, kind) in [("udp://h:1", "_http._tcp"), ("tcp://h:1", "_coap._udp"), ("unix:/run/x", "_coap._udp")] {
            assert!(target(args(None, Some(at), kind), &[]).is_err_and(|said| said.contains(kind)), "{at} {kind}");
        }
        let text = AdvertiseArgs { text: Vec::new(), ..args(Some(80), None, "_http._tcp") };
        let said = advert(text, &[("MESHLINE_TEXT", "a=1,b=2")]).expect("pairs");
        assert_eq!(said["text"], json!({"a": "1", "b": "2"}));
        let place = |name: Option<&str>| Place { config: None, name: name.map(ToOwned::to_owned), json: false };
        let named = |args: AdvertiseArgs, name| args.named(&place(name)).map(|(name, of)| (name.to_string(), of.name));
        let plain = || args(Some(80), None, "_http._tcp");
        assert_eq!(named(plain(), Some("web")).ok(), Some(("web".to_owned(), None)));
        let said = AdvertiseArgs { service: "plan".parse().ok(), ..plain() };
        assert_eq!(named(said, Some("bobby")).ok(), Some(("plan".to_owned(), Some("bobby".to_owned()))));
        assert!(named(plain(), None).is_err() && named(plain(), Some("No Label")).is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
