//! A member that sends as much as a link takes: the load under which links are measured.
//!
//! It is a whole node of an open network whose only other member is another such program. Orders come a line each:
//! `tell` prints what the node says of its link, `send SECONDS` sends first, and prints what it says then.

use std::io::{BufRead, Write};
use std::time::Duration;

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_mesh::{Command, Config, Node, Reply};
use meshline_net::{Clock, MeshHandle, Settings, start};
use meshline_protocol::NodeId;
use meshline_services as services;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// A body of which sixteen make one that is forwarded at once.
const BODY: usize = 8 * 1024;

/// Two flows: one alone may not use all the room of a link.
const FLOWS: u32 = 2;

/// How long it waits when the link takes nothing any more: at a gigabit what waits lasts longer.
const PAUSE: Duration = Duration::from_millis(2);

/// Anything can go wrong, and then it ends.
type Fault = Box<dyn std::error::Error>;

/// Listens at `address`, links to `peer` if one is named, and does what it is told until its input ends.
///
/// # Errors
/// If it cannot listen, or is told something it does not know.
pub fn run_load(address: &str, peer: Option<&str>) -> Result<(), Fault> {
    let (orders, mut lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let input = std::io::stdin().lock();
        input.lines().map_while(Result::ok).try_for_each(|line| orders.send(line))
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mesh = node(address, peer).await?;
        writeln!(std::io::stdout(), "ready")?;
        while let Some(line) = lines.recv().await {
            if let Some(seconds) = line.strip_prefix("send ") {
                send(&mesh, Duration::from_secs(seconds.parse()?)).await?;
            }
            writeln!(std::io::stdout(), "{}", link(&mesh).await?)?;
        }
        Ok(())
    })
}

/// The key is made from the address: hosts have one each.
async fn node(address: &str, peer: Option<&str>) -> Result<MeshHandle, Fault> {
    let mut secret = [7; 32];
    secret.iter_mut().zip(address.bytes()).for_each(|(to, from)| *to = from);
    let key = KeyPair::from_secret(secret);
    let mut config = Config::new("load".parse()?, "load".parse()?);
    config.listen = vec![address.parse()?];
    config.peers = peer.map(str::parse).transpose()?.into_iter().collect();
    let clock = Clock::start();
    let settings = Settings::new(clock, key.clone(), &config);
    let node = Node::new(config, key, secret, clock.now());
    Ok(start(settings, services::Stack::new(node, Default::default(), clock.now())).await?)
}

/// What the node says of its link, `null` without one.
async fn link(mesh: &MeshHandle) -> Result<Value, Fault> {
    let reply = mesh.command(services::Command::Mesh(Command::Status)).await;
    let services::Reply::Mesh(Reply::Status(status)) = reply else { return Err("no status".into()) };
    Ok(serde_json::to_value(status.links.first())?)
}

async fn send(mesh: &MeshHandle, time: Duration) -> Result<(), Fault> {
    let link = link(mesh).await?;
    let peer: NodeId = link.get("peer").and_then(Value::as_str).ok_or("no link")?.parse()?;
    let body = Bytes::from_static(&[b'x'; BODY]);
    let end = Instant::now() + time;
    let mut flow = 0;
    while Instant::now() < end {
        flow = (flow + 1) % FLOWS;
        if mesh.send_datagram(peer, "load".parse()?, flow, body.clone()).await == Reply::Sent {
            tokio::task::yield_now().await;
        } else {
            // paced: there is more than the link takes, and nothing tells when it takes more.
            sleep(PAUSE).await;
        }
    }
    Ok(())
}
