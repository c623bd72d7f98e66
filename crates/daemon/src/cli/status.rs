//! `status`: the state of the member.

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::links::goodput;
use super::table::{heading, micros, millis, table};
use crate::log::escape;
use crate::output::print;

#[derive(Deserialize)]
struct Status {
    id: String,
    name: String,
    network: String,
    version: String,
    state: String,
    topology: String,
    uptime_ms: u64,
    ready: Ready,
    listen: Vec<String>,
    links: Vec<Link>,
    ring: Option<Ring>,
    time: Time,
    routing: Routing,
    gateway: Gateway,
    tunnels: Tunnels,
    rebuild: Rebuild,
    limits: Limits,
}

#[derive(Deserialize)]
struct Limits {
    link_set: LinkSet,
}

#[derive(Deserialize)]
struct LinkSet {
    bounded: bool,
}

#[derive(Deserialize)]
struct Rebuild {
    state: String,
    in_us: Option<i64>,
    by: Option<String>,
    dry_run: bool,
    reason: Option<String>,
    known_by: usize,
    of: usize,
    late_us: Option<i64>,
    link: Vec<String>,
    let_go: Vec<String>,
    linked: usize,
    ended: usize,
    proposals: usize,
    shape: String,
}

impl Rebuild {
    /// `None` if there is nothing to tell; `network` is the network's key.
    fn words(&self, network: &str, is_bounded: bool) -> Option<String> {
        let (what, by) = (if self.dry_run { "trial " } else { "" }, self.by.as_deref().unwrap_or_default());
        let by: String = if by == network { "the network key".to_owned() } else { by.chars().take(8).collect() };
        let order = match self.state.as_str() {
            "none" => None,
            "planned" => {
                let seconds = self.in_us.unwrap_or(0).max(0) / 1_000_000;
                Some(format!("{what}planned by {by} in {seconds} s, known by {} of {}", self.known_by, self.of))
            }
            "tried" => Some(format!(
                "trial by {by}: {} links would come at once, {} would be idle",
                self.link.len(),
                self.let_go.len()
            )),
            "done" | "running" => {
                let late = self.late_us.unwrap_or(0);
                let changed = match (self.linked, self.ended) {
                    (0, 0) if !is_bounded => "every member is linked, so there was nothing to choose".to_owned(),
                    (linked, ended) => format!("{linked} links came, {ended} let go"),
                };
                Some(format!("{} by {by}, {late} µs after its instant; {changed}", self.state))
            }
            state => Some(format!("{what}{state}, by {by}")),
        };
        let reason = self.reason.as_ref().filter(|_| order.is_some()).map(|reason| format!("({reason})"));
        let count = self.proposals;
        let proposals = (count > 0).then(|| format!("{count} members propose one"));
        let shape = (self.shape != "good").then(|| format!("this member finds {}", self.shape));
        let words: Vec<String> = [order, reason, proposals, shape].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

#[derive(Deserialize)]
struct Gateway {
    forwards: usize,
    failed: usize,
    exposed: usize,
    socks5: Option<bool>,
}

#[derive(Deserialize)]
struct Tunnels {
    up: usize,
    streams: usize,
}

/// So many of what is called by the first word if it is one.
fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What tunnels are used for; `None` if for nothing.
fn tunnels(gateway: &Gateway, tunnels: &Tunnels) -> Option<String> {
    let count = |count: usize, one: &str, more: &str| (count > 0).then(|| counted(count, one, more));
    let failed = (gateway.failed > 0).then(|| format!("{} of them failed", gateway.failed));
    let proxy = gateway.socks5.map(|listens| if listens { "socks5" } else { "socks5 failed" }.to_owned());
    let parts = [count(gateway.forwards, "forward", "forwards"), failed, proxy];
    let exposed = count(gateway.exposed, "service exposed", "services exposed");
    let streams = count(tunnels.streams, "stream open", "streams open");
    let parts = parts.into_iter().chain([exposed, count(tunnels.up, "tunnel", "tunnels"), streams]);
    let words: Vec<String> = parts.flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[derive(Deserialize)]
struct Routing {
    carries: bool,
    advertisements: usize,
    routes: usize,
    damped: usize,
}

impl Routing {
    fn words(&self) -> String {
        let Self { advertisements, routes, .. } = self;
        let carries = if self.carries { "" } else { "; carries nothing for others" };
        let damped =
            if self.damped == 0 { String::new() } else { format!("; {} links come and go too often", self.damped) };
        let ways = counted(*routes, "way", "ways");
        let say = counted(*advertisements, "member says of its", "members say of their");
        format!("{ways}, by what {say} links{damped}{carries}")
    }
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    reason: String,
}

#[derive(Deserialize)]
struct Link {
    name: String,
    transport: String,
    direction: String,
    address: String,
    via_name: Option<String>,
    rtt_us: Option<u64>,
    goodput_bps: u64,
    goodput_by: Option<String>,
    clock_offset_us: Option<i64>,
    up_ms: u64,
}

#[derive(Deserialize)]
struct Ring {
    next: Option<String>,
    previous: Option<String>,
    length: usize,
    complete: bool,
}

#[derive(Deserialize)]
struct Time {
    offset_us: i64,
    error_us: u64,
    members: usize,
}

impl Time {
    /// An error of years is no measure: then nothing is known.
    fn words(&self) -> String {
        let (off, error) = (micros(Some(self.offset_us.unsigned_abs())), micros(Some(self.error_us)));
        match (self.members, self.error_us) {
            (0, 0) => "no other to compare with".to_owned(),
            (0, _) => "known to be wrong, and no other to compare with".to_owned(),
            (members, _) => {
                let side = if self.offset_us > 0 { "behind" } else { "ahead of" };
                format!("{off} {side} network time, ± {error}, by this clock and {members} of others")
            }
        }
    }
}

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get("/api/v1/status").await?;
    if json {
        print(&document.to_string())?;
        return Ok(());
    }
    let status: Status = serde_json::from_value(document)?;
    print(&text(&status))?;
    Ok(())
}

fn text(status: &Status) -> String {
    let ready = if status.ready.ready { "ready" } else { "not ready" };
    let mut lines = vec![
        format!("{} ({}), meshline {}", status.name, status.id, status.version),
        format!("network   {}", status.network),
        format!("state     {}, {ready}: {}; up {}", status.state, status.ready.reason, millis(status.uptime_ms)),
        format!("topology  {}", status.topology),
        format!(
            "listening {}",
            if status.listen.is_empty() { "nowhere: only connects out".to_owned() } else { status.listen.join(", ") }
        ),
        format!("clock     {}", status.time.words()),
    ];
    lines.push(format!("routing   {}", status.routing.words()));
    let rebuild = status.rebuild.words(&status.network, status.limits.link_set.bounded);
    lines.extend(rebuild.map(|words| format!("rebuild   {}", escape(&words))));
    lines.extend(tunnels(&status.gateway, &status.tunnels).map(|words| format!("tunnels   {words}")));
    if let Some(ring) = &status.ring {
        let short =
            |id: &Option<String>| id.as_ref().map_or_else(|| "nobody".to_owned(), |id| id.chars().take(8).collect());
        let closed = if ring.complete { format!("closed, {} members", ring.length) } else { "open".to_owned() };
        lines.push(format!("ring      {closed}; next {}, previous {}", short(&ring.next), short(&ring.previous)));
    }
    if !status.links.is_empty() {
        lines.push(String::new());
        lines.push(links(&status.links));
    }
    lines.join("\n")
}

fn links(links: &[Link]) -> String {
    let mut rows = vec![heading(&["LINK TO", "TRANSPORT", "DIRECTION", "ADDRESS", "RTT", "GOODPUT", "CLOCK", "UP"])];
    for link in links {
        rows.push(vec![
            link.name.clone(),
            link.transport.clone(),
            link.direction.clone(),
            link.via_name.as_ref().map_or_else(|| link.address.clone(), |via| format!("{} via {via}", link.address)),
            micros(link.rtt_us),
            goodput(link.goodput_bps, link.goodput_by.as_deref()),
            link.clock_offset_us.map_or_else(|| "-".to_owned(), |offset| format!("{offset:+} µs")),
            millis(link.up_ms),
        ]);
    }
    table(&rows)
}
