//! A whole network around two members behind NATs: what each cell of the acceptance tests and figures begins with.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Home, Nat};
use crate::lab::{Lab, Site};
use crate::member::Member;
use crate::process::Process;
use crate::ring::Ring;
use crate::wait::PATIENCE;

/// The names of the members: two public ones, and those behind NATs.
const NAMES: &str = "first,second,one,other";

/// As verbose as this variable says are the members behind NATs, if it is set.
const LOG_LEVEL: &str = "MESHLINE_LAB_LOG";

/// Between two looks, when times are taken: an answer takes well under a millisecond.
const INTERVAL: Duration = Duration::from_millis(5);

/// The first exchanges of a link are over after so long, even where a round trip takes 600 ms and one of them was held up.
const SETTLED: Duration = Duration::from_secs(4);

/// How attempts end that bring a direct link.
const FOUND: [&str; 7] = ["near", "told", "seen", "predicted", "birthday", "tcp", "linked"];

/// A document of the local API is far smaller.
const MAX_DOCUMENT: u64 = 1 << 20;

/// Signal server and proxy on one public host, two public members, and `one` and `other`, each behind a NAT.
#[derive(Debug)]
pub struct Cell {
    /// `one` and `other`.
    pub members: [Member; 2],
    /// Public members that everybody is linked to.
    pub public: [Member; 2],
    /// What relays between those who do not reach each other.
    pub proxy: Member,
    /// Where `one` and `other` live.
    pub homes: [Home; 2],
    _signal: Process,
    _ring: Ring,
    _sites: [Home; 3],
}

/// How two members came together, from when the second knew of the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// Until the first byte had gone there and come back, in microseconds.
    pub first_byte_us: u64,
    /// Until they were linked directly, in microseconds; `None` if they were not within the patience.
    pub direct_us: Option<u64>,
    /// The transport of their link in the end; `none` if the mesh carries for them.
    pub by: String,
    /// What the one says the other's clock is ahead, in microseconds; both have the clock of this machine.
    pub clock_offset_us: Option<i64>,
    /// How far off it says that is at the most, in microseconds.
    pub clock_error_us: Option<u64>,
    /// What it says of that when a direct link has been up for four seconds.
    pub settled_offset_us: Option<i64>,
    /// And how far off that is at the most, in microseconds.
    pub settled_error_us: Option<u64>,
    /// From the instant both had agreed on until they were linked directly, in milliseconds; `None` if no attempt was
    /// agreed on, or none of those brought it.
    pub after_agreed_ms: Option<u64>,
    /// What the two tell of their attempts.
    pub punch: [Option<Value>; 2],
}

impl Cell {
    /// Two homes behind such NATs, without delay or loss, and all processes running.
    ///
    /// # Panics
    /// If something of it does not come up.
    #[track_caller]
    #[must_use]
    pub fn new(lab: &Lab, one: Nat, other: Nat) -> Self {
        let mut cell = Self::between(lab, [lab.behind(one), lab.behind(other)]);
        cell.start_other();
        cell
    }

    /// As [`Self::new`], with homes that are there already, and `other` is not started yet.
    ///
    /// # Panics
    /// If something of it does not come up.
    #[track_caller]
    #[must_use]
    pub fn between(lab: &Lab, homes: [Home; 2]) -> Self {
        let sites = [lab.behind(Nat::None), lab.behind(Nat::None), lab.behind(Nat::None)];
        let hosts = [&sites[1], &sites[2], &homes[0], &homes[1]].map(|home| Site::clone(home));
        let ring = Ring::write_on(&hosts, &sites[0], &format!("--names {NAMES}"));
        for (number, home) in [(3, &homes[0]), (4, &homes[1])] {
            if let Some(ipv6) = home.ipv6_address() {
                let port = ring.port(number);
                let listen = [format!("{}:{port}", home.address()), format!("[{ipv6}]:{port}")];
                ring.configure(number, &serde_json::json!({ "listen": listen }));
            }
        }
        let signal = ring.start_signal();
        let proxy = ring.start_proxy();
        let [mut first, mut second, mut one, mut other] = [1, 2, 3, 4].map(|number| ring.node(number));
        if let Some(level) = std::env::var_os(LOG_LEVEL) {
            one.set_env("MESHLINE_LOG_LEVEL", &level);
            other.set_env("MESHLINE_LOG_LEVEL", &level);
        }
        for member in [&mut first, &mut second, &mut one] {
            member.start();
        }
        one.wait_until_linked_to(&["first", "second", "proxy"]);
        let (members, public) = ([one, other], [first, second]);
        Self { members, public, proxy, homes, _signal: signal, _ring: ring, _sites: sites }
    }

    /// Starts `other`, and waits until it can reach its fellows outside.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn start_other(&mut self) {
        let [_, other] = &mut self.members;
        other.start();
        other.wait_for_links(3);
    }

    /// Waits until `one` and `other` are linked to each other and to all others, over whatever.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_until_linked(&self) {
        let [one, other] = &self.members;
        one.wait_until_linked_to(&["first", "second", "proxy", other.name()]);
        other.wait_until_linked_to(&["first", "second", "proxy", one.name()]);
    }

    /// Waits until `one` and `other` are linked directly, as both see it.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_until_direct(&self) {
        let [one, other] = &self.members;
        for (member, peer) in [(one, other), (other, one)] {
            let answer = member.ask(&["wait", "--for", &format!("path={}:direct", peer.name()), "--timeout", "60s"]);
            assert_eq!(answer.code, Some(0), "{}: {}", member.name(), answer.stderr);
        }
    }

    /// The transport of the link between `one` and `other`, as a member of the two sees it.
    #[must_use]
    pub fn transport(&self, of: usize) -> Option<String> {
        let [one, other] = &self.members;
        let (member, peer) = if of == 0 { (one, other) } else { (other, one) };
        transport(&member.status(), peer.name())
    }

    /// Starts `other` and takes the times. `patience` is how long they may take to be linked directly.
    ///
    /// # Errors
    /// If nothing gets there at all.
    pub fn meet(&mut self, patience: Duration) -> Result<Meeting, String> {
        let [one, other] = &mut self.members;
        other.start();
        let known = look(PATIENCE, || row(other, one.name())).ok_or("they never heard of each other")?;
        let is_direct = |row: &Value| row.get("direct").is_some_and(|is| is == true);
        // Beside each other: a trace answers when its last echo is back or given up.
        let (first, direct) = thread::scope(|scope| {
            let first = scope.spawn(|| look(PATIENCE, || echo(other, one.name())));
            let left = patience.saturating_sub(known.at.elapsed());
            let direct = look(left, || row(other, one.name()).filter(is_direct));
            (first.join().ok().flatten(), direct)
        });
        let first = first.ok_or("nothing got there")?;
        let status = get(other, "/api/v1/status").unwrap_or_default();
        let is_settled =
            |link: &Value| link.get("up_ms").and_then(Value::as_u64).map(Duration::from_millis) >= Some(SETTLED);
        let settled = direct.as_ref().and_then(|_| {
            let status = || link(&get(other, "/api/v1/status")?, one.name()).cloned().filter(is_settled);
            look(SETTLED * 2, status).map(|settled| settled.found)
        });
        let since = |at: Instant| u64::try_from(at.saturating_duration_since(known.at).as_micros()).unwrap_or(u64::MAX);
        Ok(Meeting {
            first_byte_us: since(first.found),
            direct_us: direct.map(|direct| since(direct.at)),
            by: transport(&status, one.name()).unwrap_or_else(|| "none".to_owned()),
            clock_offset_us: link(&status, one.name()).and_then(|link| link.get("clock_offset_us")?.as_i64()),
            clock_error_us: link(&status, one.name()).and_then(|link| link.get("clock_error_us")?.as_u64()),
            settled_offset_us: settled.as_ref().and_then(|link| link.get("clock_offset_us")?.as_i64()),
            settled_error_us: settled.as_ref().and_then(|link| link.get("clock_error_us")?.as_u64()),
            after_agreed_ms: after_agreed(other, one.name()),
            punch: [attempts(one, other.name()), attempts(other, one.name())],
        })
    }
}

impl Cell {
    /// What the two wrote and know of their routers, and the flows that those remember; `None` if nobody asked for it by
    /// `MESHLINE_LAB_LOG`.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        std::env::var_os(LOG_LEVEL)?;
        let told = self.members.iter().zip(&self.homes).map(|(member, home)| {
            let nat = get(member, "/api/v1/status").and_then(|mut status| status.get_mut("nat").map(Value::take));
            let nat = nat.unwrap_or_default();
            let flows = home.edge().flows().join("\n");
            format!("{}--- {}: {}: {nat}\n{flows}\n", member.process().told(), member.name(), home.address())
        });
        Some(told.collect())
    }
}

/// Something that was looked for, and when it was there.
struct Found<T> {
    found: T,
    at: Instant,
}

fn look<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<Found<T>> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(Found { found, at: Instant::now() });
        }
        if begin.elapsed() > patience {
            return None;
        }
        // paced: between two looks at another process
        thread::sleep(INTERVAL);
    }
}

/// The row of `peers` of somebody, once there is one.
fn row(member: &Member, name: &str) -> Option<Value> {
    let document = get(member, "/api/v1/peers")?;
    let rows = document.get("peers")?.as_array()?;
    rows.iter().find(|row| row.get("name").is_some_and(|found| found == name)).cloned()
}

/// When the first echo of somebody was back. Several are asked for; the later ones do not count.
fn echo(member: &Member, name: &str) -> Option<Instant> {
    let begin = Instant::now();
    let document = get(member, &format!("/api/v1/trace/{name}"))?;
    let rtts = document.get("hops")?.as_array()?.last()?.get("rtts_us")?.as_array()?;
    let first = rtts.first()?.as_u64().filter(|_| document.get("reached").is_some_and(|reached| *reached == true))?;
    Some(begin + Duration::from_micros(first))
}

/// What somebody tells of the attempts with another.
fn attempts(member: &Member, name: &str) -> Option<Value> {
    get(member, &format!("/api/v1/explain/{name}"))?.get_mut("punch").map(Value::take)
}

/// When the last attempt that one knows of ended, if it brought a link.
fn after_agreed(member: &Member, name: &str) -> Option<u64> {
    let punch = attempts(member, name)?;
    let last = punch.get("attempts")?.as_array()?.last()?.clone();
    let is_found = last.get("outcome").and_then(Value::as_str).is_some_and(|outcome| FOUND.contains(&outcome));
    last.get("took_ms")?.as_u64().filter(|_| is_found)
}

fn transport(status: &Value, name: &str) -> Option<String> {
    Some(link(status, name)?.get("transport")?.as_str()?.to_owned())
}

fn link<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let links = status.get("links")?.as_array()?;
    links.iter().find(|link| link.get("name").is_some_and(|found| found == name))
}

/// A document of the local API, over its socket: to start a command would take longer than what is measured.
fn get(member: &Member, path: &str) -> Option<Value> {
    let folder = member.config().with_extension("data");
    let mut socket = UnixStream::connect(folder.join("api.sock")).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.take(MAX_DOCUMENT).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok().filter(|_| head.split(' ').nth(1) == Some("200"))
}
