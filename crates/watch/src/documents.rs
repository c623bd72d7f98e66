//! What a member tells, as far as it is shown. What is missing in a document of another version is left blank.

use serde::Deserialize;

/// `status`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// This member.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// `idle`, `punching` or `connected`.
    pub state: String,
    /// `mesh` or `ring`.
    pub topology: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Time since start.
    pub uptime_ms: u64,
    /// Links that are up.
    pub links: Vec<Link>,
    /// The ring, in ring mode.
    pub ring: Option<Ring>,
    /// The clock.
    pub time: Clock,
}

/// A link of `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The member at the other end.
    pub peer: String,
    /// Its name.
    pub name: String,
    /// `tcp`, `quic`, `relay` or `plain`.
    pub transport: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The address at the other end.
    pub address: String,
    /// What this member keeps it for.
    pub purposes: Vec<String>,
    /// The member through whose exit it goes.
    pub via_name: Option<String>,
    /// Smoothed round trip in microseconds.
    pub rtt_us: Option<u64>,
    /// Its mean deviation.
    pub jitter_us: Option<u64>,
    /// The least of late.
    pub min_rtt_us: Option<u64>,
    /// Share of what is lost on the way there.
    pub loss: f64,
    /// Bits a second that get there; 0 while nobody knows.
    pub goodput_bps: u64,
    /// `traffic` or `probe`.
    pub goodput_by: Option<String>,
    /// Bits a second received, likewise.
    pub goodput_in_bps: u64,
    /// The peer's clock less that of this member.
    pub clock_offset_us: Option<i64>,
    /// Bound on the error of that.
    pub clock_error_us: Option<u64>,
    /// Bytes sent in frames.
    pub sent_bytes: u64,
    /// Bytes received in frames.
    pub received_bytes: u64,
    /// Time since it came up.
    pub up_ms: u64,
    /// Further connections to the same peer.
    pub bearers: Vec<Bearer>,
}

/// A further connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bearer {
    /// What it is.
    pub transport: String,
    /// The address at the other end.
    pub address: String,
    /// Whether packets pass.
    pub works: bool,
}

/// The ring.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ring {
    /// Live members, oneself included.
    pub length: usize,
    /// Whether the own token came round.
    pub complete: bool,
}

/// Network time less the own clock.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// In microseconds.
    pub offset_us: i64,
    /// Bound on the error.
    pub error_us: u64,
    /// Members whose clocks are in it.
    pub members: usize,
}

/// A row of `peers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// The member.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether anything can be sent to it now.
    pub reachable: bool,
    /// Whether there is a link that no proxy carries.
    pub direct: bool,
    /// The first hop, unless that is the link.
    pub via: Option<String>,
    /// The way there.
    pub path: Vec<String>,
    /// Links on it.
    pub hops: usize,
    /// Expected delivery time in microseconds.
    pub cost: Option<u64>,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Whether it said goodbye.
    pub left: bool,
}

/// A row of `routes`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Route {
    /// The destination.
    pub peer: String,
    /// Its name.
    pub name: String,
    /// 1 for the one in use.
    pub rank: usize,
    /// Who is on the way, the destination last.
    pub path: Vec<String>,
    /// Expected delivery time in microseconds.
    pub cost: u64,
    /// Thousandths of the traffic.
    pub share: u32,
}

/// A row of `services`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `_http._tcp` and the like.
    pub kind: String,
    /// Who has it.
    pub member: String,
    /// The name of that member.
    pub member_name: String,
    /// Where it listens there.
    pub port: u16,
    /// What is said of it.
    pub text: serde_json::Value,
    /// Whether it works.
    pub health: String,
    /// When it is gone unless it is announced again.
    pub expires_ms: Option<u64>,
    /// Expected delivery time to the member in microseconds.
    pub cost: Option<u64>,
    /// Whether it comes and goes.
    pub damped: bool,
}

/// A message of the chat.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Its place in the order of arrival.
    pub cursor: String,
    /// Who wrote it.
    pub author: String,
    /// The author's name.
    pub name: String,
    /// What.
    pub text: String,
    /// When, by the author's clock.
    pub time: String,
    /// With author and `seq` the common order.
    pub clock: u64,
    /// The author's sequence.
    pub seq: u64,
    /// Whether it was written here.
    pub own: bool,
    /// How far it has come.
    pub state: String,
    /// How many others have it.
    pub delivered_to: usize,
    /// How many it is for.
    pub delivered_of: usize,
}

/// How far an own message has come, as an event tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Delivered {
    /// Which.
    pub cursor: String,
    /// How far.
    pub state: String,
    /// How many others have it.
    pub delivered_to: usize,
    /// How many it is for.
    pub delivered_of: usize,
}

/// The tip of the ledger, of one that keeps it or of one that follows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Height of the tip.
    pub height: u64,
    /// The tip's name.
    pub tip: String,
    /// Height of the best header known: above the tip while blocks are got.
    pub headers: u64,
    /// Payments that wait for a block.
    pub mempool: Mempool,
    /// Long work under way.
    pub task: Option<Task>,
    /// Of one that follows it: up to which height blocks were looked through.
    pub scanned: Option<u64>,
}

/// Payments that wait for a block.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Mempool {
    /// How many.
    pub transactions: u64,
}

/// Long work of the ledger.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Task {
    /// `verify` or `reindex`.
    pub name: String,
    /// Blocks done.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// An event of before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Past {
    /// When, by the member's clock.
    pub time: String,
    /// Its name.
    pub event: String,
    /// What is said of it.
    pub data: serde_json::Value,
}

/// Rows under the name of their listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    pub(crate) events: Vec<Past>,
    #[serde(default)]
    pub(crate) peers: Vec<Peer>,
    #[serde(default)]
    pub(crate) routes: Vec<Route>,
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    #[serde(default)]
    pub(crate) messages: Vec<Message>,
}

#[cfg(test)]
mod tests {
    use meshline_daemon::ledger::{LightDocument, MempoolSummary, StatusDocument, TaskStatus};

    use super::Ledger;

    #[test]
    fn the_ledger_is_read_as_a_node_writes_it() {
        let document = StatusDocument {
            schema: "meshline/ledger-status/1".into(),
            chain: String::new(),
            name: String::new(),
            prefix: String::new(),
            height: 7,
            tip: "00ff".to_owned(),
            tip_time: 0,
            work: String::new(),
            headers: 9,
            bits: String::new(),
            mempool: MempoolSummary { transactions: 3, bytes: 1 },
            running: true,
            mining: None,
            task: Some(TaskStatus { name: "verify".into(), done: 2, of: 8 }),
            sync: None,
            wallet: false,
        };
        let written = serde_json::to_value(document).unwrap();
        let Ledger { height, tip, headers, mempool, task, scanned } = serde_json::from_value(written).unwrap();
        assert_eq!((height, tip.as_str(), headers, mempool.transactions, scanned), (7, "00ff", 9, 3, None));
        let task = task.unwrap();
        assert_eq!((task.name.as_str(), task.done, task.of), ("verify", 2, 8));
    }
    #[test]
    fn the_ledger_is_read_as_a_view_writes_it_that_follows_it() {
        let document = LightDocument {
            schema: "meshline/ledger-light/1".into(),
            chain: String::new(),
            phase: "blocks".to_owned(),
            height: 7,
            tip: "00ff".to_owned(),
            scanned: Some(5),
            from: 0,
            uncompared_from: None,
            peers: Vec::new(),
            serving: 0,
            blocks: 0,
            received_bytes: 0,
        };
        let written = serde_json::to_value(document).unwrap();
        let Ledger { height, tip, scanned, .. } = serde_json::from_value(written).unwrap();
        assert_eq!((height, tip.as_str(), scanned), (7, "00ff", Some(5)));
    }
}
