//! A registry with many entries: what each costs in memory, and what a request costs with all of them there.
//!
//! `crowd N [FILE]`: with FILE it also writes them there, for a server to start with, and beside it the bodies of
//! refreshes (`FILE.refreshes`, one a line). `crowd sign N FILE` writes announcements of as many members of a closed
//! network, each with its membership, for a server that knows none of them, and says how many signatures one core
//! verifies.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program to measure with ends where it fails")]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use meshline_identity::{KeyPair, Member, sign, verify};
use meshline_protocol::message::{Announcement, Membership, RecordText, Role};
use meshline_protocol::{Address, Bounded, NetworkId, NodeId, SignedRecord, UnixMicros};
use signal_server::registry::{Candidate, Caps, Recording, Registry, Rules, SecretKey, Seen};
use signal_server::write_store;

/// Refreshes in the file: more than a benchmark has connections.
const REFRESHES: usize = 4_096;

/// Signatures verified for the figure.
const VERIFIED: usize = 4_096;

const HOUR: i64 = 3_600_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u32>().ok()).expect("how many?");
    let first = arguments.next();
    if first.as_deref() == Some("sign") {
        let count = number(arguments.next());
        return sign_all(count, &arguments.next().expect("which file?"));
    }
    let count = number(first);
    let file = arguments.next();
    let caps = Caps { per_key: 5, per_address: 32, total: 1_100_000 };
    let rules = Rules { ttl_micros: HOUR, caps, networks: [].into() };
    let key = [7; 32];
    let empty = resident();
    let mut registry = Registry::new(rules, SecretKey::new(&key), 1);
    if file.is_some() {
        registry.record(Recording::Entries);
    }
    let network: NetworkId = "crowd".parse().expect("a name");
    let now = now();
    let begin = Instant::now();
    let mut refreshes = Vec::new();
    for n in 0..count {
        let (candidate, observed) = (candidate(n, &network, now), address(n));
        let id = candidate.member.id;
        let granted = registry.announce(candidate, Seen { observed, now }).expect("room");
        if refreshes.len() < REFRESHES && n % (count / 4_096).max(1) == 0 {
            refreshes.push((id, observed, granted.secret.text()));
        }
    }
    println!("{count} entries in {:.2} s", begin.elapsed().as_secs_f64());
    println!("{} bytes of memory an entry", (resident() - empty) / u64::from(count.max(1)));
    refresh_all(&mut registry, &network, &refreshes, now);
    choose(&mut registry, &network, now);
    end_all(&mut registry, count, now, file.is_some());
    if let Some(file) = file {
        write(&mut registry, &network, &refreshes, (&file, &key));
    }
}

type Refresh = (NodeId, IpAddr, String);

fn refresh_all(registry: &mut Registry, network: &NetworkId, refreshes: &[Refresh], now: UnixMicros) {
    let begin = Instant::now();
    for (id, observed, secret) in refreshes {
        registry.refresh(*id, network, secret, Seen { observed: *observed, now }).expect("its own");
    }
    println!("{:.2} µs a refresh", begin.elapsed().as_secs_f64() * 1e6 / refreshes.len() as f64);
}

fn choose(registry: &mut Registry, network: &NetworkId, now: UnixMicros) {
    let begin = Instant::now();
    for round in 0..100 {
        registry.list(network, 50, now.offset(round * 20_000));
    }
    println!("{:.0} µs a fresh choice of 50", begin.elapsed().as_secs_f64() * 1e4);
}

/// What the longest wait would be if all ended at once.
fn end_all(registry: &mut Registry, count: u32, now: UnixMicros, is_needed: bool) {
    if is_needed {
        return;
    }
    let (mut longest, later) = (0.0_f64, now.offset(2 * HOUR));
    let begin = Instant::now();
    loop {
        let step = Instant::now();
        let goes_on = registry.sweep(later);
        longest = longest.max(step.elapsed().as_secs_f64());
        if !goes_on {
            break;
        }
    }
    println!("{count} ended in {:.2} s, the longest step {:.0} µs", begin.elapsed().as_secs_f64(), longest * 1e6);
}

fn write(registry: &mut Registry, network: &NetworkId, refreshes: &[Refresh], (file, key): (&str, &[u8; 32])) {
    loop {
        let changes = registry.take_changes(16_384);
        if changes.is_empty() {
            break;
        }
        write_store(file.as_ref(), key, &changes).expect("written");
    }
    let mut bodies = std::fs::File::create(format!("{file}.refreshes")).expect("a file");
    for (id, _, secret) in refreshes {
        let body = format!("{{\"refresh\":{{\"network\":\"{network}\",\"id\":\"{id}\",\"secret\":\"{secret}\"}}}}");
        writeln!(bodies, "{body}").expect("written");
    }
}

/// Announcements that nobody has seen, one a line.
fn sign_all(count: u32, file: &str) {
    let network = KeyPair::from_secret([200; 32]);
    let mut lines = std::io::BufWriter::new(std::fs::File::create(file).expect("a file"));
    let mut some = Vec::new();
    for n in 0..count {
        let record = announced(n, &network);
        writeln!(lines, "{}", serde_json::to_string(&record).expect("plain data")).expect("written");
        if some.len() < VERIFIED {
            some.push(record);
        }
    }
    let closed = NetworkId::Closed(network.id());
    let begin = Instant::now();
    let verified = some.iter().filter(|record| verify::<Announcement>(record, &closed, now()).is_ok()).count();
    println!("{:.0} signatures a second", verified as f64 / begin.elapsed().as_secs_f64());
}

fn announced(n: u32, network: &KeyPair) -> SignedRecord {
    let mut secret = [9; 32];
    secret[..4].copy_from_slice(&n.to_le_bytes());
    let key = KeyPair::from_secret(secret);
    let (seq, expires) = (now(), now().offset(HOUR));
    let id = NetworkId::Closed(network.id());
    let name: meshline_protocol::Name = format!("member-{n}").parse().expect("a name");
    let roles = Bounded::from_first([Role::Node]);
    let (node, kind) = (key.id(), Membership::TYPE.to_owned());
    let membership =
        Membership { kind, network: id.clone(), seq, expires, node, name: name.clone(), roles: roles.clone() };
    let membership = sign(&membership, network).expect("plain data");
    let addresses = Bounded::from_first(["127.0.0.1:6001".parse::<Address>().expect("an address")]);
    let (kind, membership) = (Announcement::TYPE.to_owned(), Some(membership));
    let text = Announcement { kind, network: id, seq, expires, name, roles, addresses, next: None, membership };
    sign(&text, &key).expect("plain data")
}

fn candidate(n: u32, network: &NetworkId, now: UnixMicros) -> Candidate {
    let mut id = [0; 32];
    // Ids are keys and look random; the multiplier spreads the numbers over the first bytes.
    id[..8].copy_from_slice(&u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    id[28..].copy_from_slice(&n.to_le_bytes());
    let id = NodeId::from_bytes(id);
    let member = Member {
        id,
        name: format!("member-{n}").parse().expect("a name"),
        roles: vec![Role::Node],
        addresses: vec![format!("{}:6001", address(n)).parse().expect("an address")],
        next: None,
        seq: now,
        expires: now.offset(24 * HOUR),
        membership_seq: None,
        record: SignedRecord { signed: String::new(), by: id, sig: String::new() },
    };
    Candidate { network: network.clone(), member }
}

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + n))
}

/// Memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMicros::new(u64::try_from(since.as_micros()).expect("before 2255"))
}
