//! A stream of datagrams, one every ten milliseconds, from member to member or over plain UDP, for hosts whose cables
//! somebody cuts. What arrives is printed as `arrived NUMBER SENT AT`, both times in microseconds of this machine's
//! clock, which all its hosts share.

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use meshline_mesh::{Command, Event, Reply};
use meshline_net::MeshHandle;
use meshline_protocol::{Address, NodeId};
use meshline_services as services;
use tokio::net::UdpSocket;
use tokio::time::{interval, sleep};

use crate::stack::{key, node};

/// Between two datagrams.
const INTERVAL: Duration = Duration::from_millis(10);

/// Number and time of a datagram.
const HEAD: usize = 16;

/// What the words of the command line ask for: `--key 1 --listen 10.1.0.1:7000 --peer 10.1.0.2:7000 --send-to 3 --body 1200`.
pub(crate) struct Wanted<'a>(pub(crate) &'a [String]);

impl<'a> Wanted<'a> {
    fn all(&self, flag: &str) -> impl Iterator<Item = &'a String> {
        let found = move |pair: &'a [String]| (pair[0] == *flag).then_some(&pair[1]);
        self.0.windows(2).filter_map(found).collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn text(&self, flag: &str) -> Option<&'a str> {
        self.all(flag).next().map(String::as_str)
    }

    pub(crate) fn number(&self, flag: &str) -> Option<u32> {
        self.all(flag).next().map(|word| word.parse().expect("a number"))
    }

    fn addresses(&self, flag: &str) -> Vec<Address> {
        self.all(flag).map(|word| word.parse().expect("an address")).collect()
    }

    pub(crate) fn body(&self) -> usize {
        self.number("--body").map_or(HEAD, |body| usize::try_from(body).unwrap()).max(HEAD)
    }
}

/// A member that says how many ways it has to another (`--watch`), when a link ends, and what arrives.
pub(crate) async fn member(words: &[String]) {
    end_with_input();
    let wanted = Wanted(words);
    let mesh = node(key(wanted.number("--key").expect("--key")), |config| {
        (config.listen, config.peers) = (wanted.addresses("--listen"), wanted.addresses("--peer"));
    })
    .await;
    let mut arriving = mesh.datagrams();
    let mut events = mesh.subscribe();
    drop(tokio::spawn(async move {
        while let Ok(datagram) = arriving.recv().await {
            arrived(&datagram.1);
        }
    }));
    drop(tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            if let services::Event::Mesh(Event::LinkDown { code, .. }) = &*event {
                println!("down {} {}", now_us(), code.name());
            }
        }
    }));
    if let Some(to) = wanted.number("--watch") {
        drop(tokio::spawn(watch(mesh.clone(), key(to).id())));
    }
    let Some(to) = wanted.number("--send-to") else { return std::future::pending().await };
    let (to, mut pace) = (key(to).id(), interval(INTERVAL));
    for number in 0_u64.. {
        pace.tick().await;
        // A datagram for which there is no way is lost, as it would be on the way.
        let _ = mesh.send_datagram(to, "bench".parse().unwrap(), 1, body(number, wanted.body())).await;
    }
}

/// Prints how many ways there are, whenever that changes.
async fn watch(mesh: MeshHandle, to: NodeId) {
    let mut last = usize::MAX;
    loop {
        let reply = mesh.command(services::Command::Mesh(Command::Routes)).await;
        let services::Reply::Mesh(Reply::Routes(rows)) = reply else { return };
        let ways = rows.iter().filter(|row| row.peer == to).count();
        if ways != last {
            println!("ways {ways}");
            last = ways;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends the same stream to an address.
pub(crate) async fn udp_send(words: &[String]) {
    end_with_input();
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let wanted = Wanted(words);
    let to = wanted.all("--to").next().expect("--to");
    let mut pace = interval(INTERVAL);
    for number in 0_u64.. {
        pace.tick().await;
        // Without a route the system refuses it: lost.
        let _ = socket.send_to(&body(number, wanted.body()), to).await;
    }
}

/// Takes it in.
pub(crate) async fn udp_receive(words: &[String]) {
    end_with_input();
    let at = Wanted(words).all("--at").next().expect("--at");
    let socket = UdpSocket::bind(at).await.unwrap();
    let mut buffer = [0; 2_048];
    loop {
        // A refusal that came back for something else is no reason to end.
        let Ok(length) = socket.recv(&mut buffer).await else { continue };
        arrived(&buffer[..length]);
    }
}

pub(crate) fn body(number: u64, length: usize) -> Bytes {
    let mut body = Vec::with_capacity(length);
    body.extend(number.to_le_bytes());
    body.extend(now_us().to_le_bytes());
    body.resize(length, b'x');
    body.into()
}

pub(crate) fn arrived(body: &[u8]) {
    let at = now_us();
    let word = |from: usize| body.get(from..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (Some(number), Some(sent)) = (word(0), word(8)) else { return };
    println!("arrived {number} {sent} {at}");
}

fn now_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Ends when the one who started this does.
pub(crate) fn end_with_input() {
    drop(std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    }));
}
