//! Memory of idle links: a node that many members are linked to, and a bare acceptor of the same TLS.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::Plan;
use crate::child::Served;
use crate::figures::{median, median_ratio, rounded};
use crate::member::Member;
use crate::stack::key;
use crate::usage::rss_bytes;

/// Links before the first that counts: what is allocated once is there then.
const WARM_UP: usize = 50;

/// Handshakes at a time, well below what a node lets stand at its door.
const AT_ONCE: usize = 32;

/// Long enough for each idle link to be asked for the time once more.
const REST: Duration = Duration::from_secs(17);

/// The same for a look in passing.
const SHORT_REST: Duration = Duration::from_secs(1);

pub(crate) async fn run(plan: Plan) {
    // As nodes have one: the discard port, where nobody is and which is never dialled while the links are up.
    let listen = || Some("127.0.0.1:9".parse().unwrap());
    let numbers = 0..u32::try_from(WARM_UP + plan.size).unwrap();
    let members: Vec<Member> = numbers.map(|number| Member::new(key(number), listen())).collect();
    let (mut of_mesh, mut of_bare) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        of_bare.push(bytes_each(&members, true).await);
        of_mesh.push(bytes_each(&members, false).await);
        let last = |bytes: &[f64]| bytes.last().unwrap() / 1e3;
        println!(
            "idle round {round}: bare TLS {:5.2} KB a link | mesh {:5.2} KB a link",
            last(&of_bare),
            last(&of_mesh)
        );
    }
    let result = json!({
        "mode": "idle", "rounds": plan.rounds, "size": plan.size,
        "mesh_bytes": rounded(median(of_mesh.clone()), 0), "bare_bytes": rounded(median(of_bare.clone()), 0),
        "ratio": rounded(median_ratio(&of_mesh, &of_bare), 2),
    });
    println!("{result}");
}

async fn bytes_each(members: &[Member], bare: bool) -> f64 {
    let most = (members.len() + 8).to_string();
    let words: &[&str] = if bare { &["serve-bare"] } else { &["serve-stack", "--max-links", &most] };
    let served = Served::start(words);
    let mut held = JoinSet::new();
    hold(&mut held, &members[..WARM_UP], served.address, bare).await;
    let before = rss_bytes(served.pid());
    hold(&mut held, &members[WARM_UP..], served.address, bare).await;
    rest(if members.len() >= 1_000 { REST } else { SHORT_REST }, &mut held).await;
    let grown = rss_bytes(served.pid()).saturating_sub(before);
    grown as f64 / (members.len() - WARM_UP) as f64
}

/// Opens a connection for each member, a few at a time, and leaves it to a task.
async fn hold(held: &mut JoinSet<()>, members: &[Member], address: SocketAddr, bare: bool) {
    for some in members.chunks(AT_ONCE) {
        let (ready, mut opened) = tokio::sync::mpsc::channel::<()>(1);
        for member in some {
            drop(held.spawn(keep(member.clone(), address, bare, ready.clone())));
        }
        drop(ready);
        assert!(opened.recv().await.is_none(), "nothing is ever sent");
    }
}

/// Connects, says so by letting go of `ready`, and stays.
async fn keep(member: Member, address: SocketAddr, bare: bool, ready: tokio::sync::mpsc::Sender<()>) {
    if bare {
        let _held = member.connect(address).await;
        drop(ready);
        return std::future::pending().await;
    }
    let mut wire = member.link(address).await;
    drop(ready);
    wire.stay().await;
}

/// Waits; a member that ends before is a link that did not stay.
async fn rest(time: Duration, held: &mut JoinSet<()>) {
    let until = Instant::now() + time;
    let ended = tokio::time::timeout_at(until.into(), held.join_next()).await;
    assert!(ended.is_err(), "a link ended: {ended:?}");
}
