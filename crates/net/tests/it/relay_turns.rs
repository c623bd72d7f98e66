//! A proxy that carried a link well for a while and then does not: what is said goes through the other proxy, nothing of it
//! is lost or doubled, the proxy is named, and nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meshline_mesh::{Command, Event as MeshEvent, Reply};
use meshline_net::Tunnels;
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Code, NodeId};
use meshline_services::{Event, chat};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::*;

/// What is done to the pieces of what is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// All come out as they went in.
    Carries,
    /// They come out later.
    Delays,
    /// Every second one is missing.
    Drops,
    /// None comes out any more, and nobody is told.
    Swallows,
    /// Each comes out twice.
    Doubles,
    /// Of the next one half comes out, and then the end.
    Truncates,
    /// Of two the second comes out first.
    Reorders,
}

/// How much later, there and back each: far more than the other proxy takes.
const LATER: Duration = Duration::from_millis(150);

/// Texts that each of the two says, and how many of them before the proxy turns bad.
const TEXTS: usize = 40;
const GOOD_TEXTS: usize = 10;

/// What stands between two members and a proxy: it meddles with what is relayed, not with the proxy's own links.
struct Between {
    address: Address,
    deed: watch::Sender<Deed>,
}

impl Between {
    async fn lay(proxy: Address) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let (deed, deeds) = watch::channel(Deed::Carries);
        drop(tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(proxy.as_str()).await.unwrap();
                drop(tokio::spawn(carry(near, far, deeds.clone())));
            }
        }));
        Self { address, deed }
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, deeds: watch::Receiver<Deed>) {
    let mut first = [0];
    // Tickets are lines, links of the proxy are TLS.
    if near.peek(&mut first).await.is_ok() && first == *b"{" {
        let ((reader, mut back), (mut far_reader, writer)) = (near.split(), far.split());
        let _ = tokio::join!(meddle(reader, writer, deeds), tokio::io::copy(&mut far_reader, &mut back));
    } else {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}

async fn meddle(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    deeds: watch::Receiver<Deed>,
) -> std::io::Result<()> {
    let (mut buffer, mut pieces, mut held) = (vec![0; 4_096], 0_usize, None::<Vec<u8>>);
    loop {
        let count = from.read(&mut buffer).await?;
        let piece = &buffer[..count];
        if count == 0 {
            return to.shutdown().await;
        }
        pieces += 1;
        let deed = *deeds.borrow();
        match deed {
            Deed::Carries => to.write_all(piece).await?,
            Deed::Delays => {
                // paced: the delay is what the proxy does wrong.
                tokio::time::sleep(LATER).await;
                to.write_all(piece).await?;
            }
            Deed::Drops if pieces % 2 == 0 => to.write_all(piece).await?,
            Deed::Drops | Deed::Swallows => {}
            Deed::Doubles => {
                to.write_all(piece).await?;
                to.write_all(piece).await?;
            }
            Deed::Truncates => {
                to.write_all(&piece[..count / 2]).await?;
                return to.shutdown().await;
            }
            Deed::Reorders => match held.take() {
                Some(first) => {
                    to.write_all(piece).await?;
                    to.write_all(&first).await?;
                }
                None => held = Some(piece.to_vec()),
            },
        }
    }
}

/// Two members that meet only through two proxies, and one more that all reach.
struct Net {
    members: [Running; 2],
    third: Running,
    proxies: [Running; 2],
    between: [Between; 2],
}

impl Net {
    async fn new() -> Self {
        let proxy = |name: &str| {
            let mut settings = config(name);
            settings.roles = vec![Role::Node, Role::Proxy];
            // The tunnel of the two goes over their link or not at all.
            settings.routing.carry = false;
            run(settings)
        };
        let proxies = [proxy("left").await, proxy("right").await];
        let between = [Between::lay(proxies[0].address()).await, Between::lay(proxies[1].address()).await];
        let mut third = config("third");
        third.routing.carry = false;
        let mut third = run(third).await;
        let addresses: Vec<Address> = between.iter().map(|between| between.address.clone()).collect();
        let hidden = |name: &str| {
            let mut hidden = config(name);
            (hidden.listen, hidden.proxies, hidden.peers) = (Vec::new(), addresses.clone(), vec![third.address()]);
            // Otherwise they would find each other on loopback, past any proxy.
            hidden.punch = false;
            run(hidden)
        };
        let mut members = [hidden("one").await, hidden("other").await];
        let ids = members.each_ref().map(|member| member.id);
        for (member, other) in members.iter_mut().zip([ids[1], ids[0]]) {
            member.linked_to(other).await;
            third.linked_to(member.id).await;
        }
        Self { members, third, proxies, between }
    }

    /// Talks until a second link stands by at both ends; which proxy is in use.
    async fn stands_by(&self) -> usize {
        let ready = async {
            let mut nth = 0_u32;
            loop {
                self.members[0].say(&format!("hello {nth}")).await;
                let [here, there] = [self.link(0).await, self.link(1).await];
                let is_ready = |link: &meshline_mesh::LinkRow| link.bearers.iter().any(|bearer| bearer.works);
                if is_ready(&here) && is_ready(&there) && here.address == there.address {
                    break here.address;
                }
                nth += 1;
                tokio::time::sleep(Duration::from_millis(100)).await; // paced: between two looks
            }
        };
        let used = timeout(PATIENCE, ready).await.expect("a second link stands by");
        usize::from(used == self.between[1].address)
    }

    async fn link(&self, of: usize) -> meshline_mesh::LinkRow {
        self.members[of].link_to(self.members[1 - of].id).await
    }
}

/// What a member told since the proxy turned bad.
#[derive(Debug, Default)]
struct Seen {
    texts: BTreeMap<String, u32>,
    failed: Vec<(NodeId, &'static str)>,
    lost: Vec<(NodeId, Code)>,
    blamed: Vec<(NodeId, Code)>,
}

impl Seen {
    fn note(&mut self, event: &Arc<Event>) {
        match &**event {
            Event::Chat(chat::Event::Message { message, own: false }) => {
                *self.texts.entry(message.text.clone()).or_default() += 1;
            }
            Event::Mesh(MeshEvent::ProxyFailed { proxy, reason, .. }) => self.failed.push((proxy.id, *reason)),
            Event::Mesh(MeshEvent::LinkDown { peer, code, .. }) => self.lost.push((peer.id, *code)),
            Event::Mesh(MeshEvent::Misbehaved { peer, code, .. }) => self.blamed.push((peer.id, *code)),
            _ => {}
        }
    }
}

fn text(of: usize, nth: usize) -> String {
    format!("{of} says {nth}")
}

/// Takes in what a member tells until it heard all of the other and named a proxy.
async fn watch_until_moved(member: &mut Running, other: usize) -> Seen {
    let mut seen = Seen::default();
    let moved = async {
        let is_heard = |seen: &Seen| (0..TEXTS).all(|nth| seen.texts.contains_key(&text(other, nth)));
        while !is_heard(&seen) || seen.failed.is_empty() {
            seen.note(&member.events.recv().await.unwrap());
        }
    };
    if timeout(PATIENCE, moved).await.is_err() {
        panic!("not moved: {seen:?}");
    }
    while let Ok(event) = member.events.try_recv() {
        seen.note(&event);
    }
    seen
}

/// Sends everything back that comes on one stream.
fn echo(tunnels: Tunnels) {
    drop(tokio::spawn(async move {
        let stream = tunnels.accept().await.expect("a stream");
        let (mut reading, mut writing) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reading, &mut writing).await;
        let _ = writing.shutdown().await;
    }));
}

/// What goes through the tunnel beside one text.
fn piece(nth: usize) -> Vec<u8> {
    (0..4_096).map(|at| u8::try_from((at * 7 + at / 251 + nth) % 256).unwrap()).collect()
}

async fn turns(deed: Deed) {
    let mut net = Net::new().await;
    let used = net.stands_by().await;
    echo(net.members[1].handle.tunnels().clone());
    let stream = net.members[0].handle.tunnels().open(net.members[1].id).await.expect("a tunnel");
    let (mut reading, mut writing) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut back = Vec::new();
        reading.read_to_end(&mut back).await.map(|_| back)
    });
    for nth in 0..TEXTS {
        writing.write_all(&piece(nth)).await.unwrap();
        for of in 0..2 {
            net.members[of].say(&text(of, nth)).await;
        }
        if nth == GOOD_TEXTS {
            net.between[used].deed.send_replace(deed);
        }
        tokio::time::sleep(Duration::from_millis(10)).await; // paced: some is under way whenever it turns bad
    }
    writing.shutdown().await.unwrap();
    let back = timeout(PATIENCE, reading).await.expect("all comes back").unwrap().unwrap();
    assert!(back == (0..TEXTS).flat_map(piece).collect::<Vec<u8>>(), "{deed:?}: each byte once, in order");
    let (bad, good) = (net.proxies[used].id, &net.between[1 - used].address);
    for of in 0..2 {
        let seen = watch_until_moved(&mut net.members[of], 1 - of).await;
        eprintln!("{deed:?}: {of} names {:?}", seen.failed);
        assert!(seen.failed.iter().all(|(proxy, _)| *proxy == bad), "{deed:?}: {seen:?}");
        let wrong: Vec<_> = seen.texts.iter().filter(|(_, count)| **count != 1).collect();
        assert!(wrong.is_empty(), "{deed:?}: each text is heard once: {wrong:?}");
        let honest = [net.members[1 - of].id, net.third.id, net.proxies[1 - used].id];
        let is_hit = |(id, _): &&(NodeId, Code)| honest.contains(id);
        let hit: Vec<_> = seen.lost.iter().chain(&seen.blamed).filter(is_hit).collect();
        assert!(hit.is_empty(), "{deed:?}: honest members are neither left nor blamed: {hit:?}");
        assert_eq!(net.link(of).await.address, *good, "{deed:?}: the other proxy carries");
        is_explained(&net, of, deed).await;
    }
}

/// Where a link broke, `explain` tells through which proxy; one that is only slow has not broken.
async fn is_explained(net: &Net, of: usize, deed: Deed) {
    let command = meshline_services::Command::Mesh(Command::Explain(net.members[1 - of].id));
    let meshline_services::Reply::Mesh(Reply::Explanation(Some(found))) = net.members[of].handle.command(command).await
    else {
        panic!("no explanation")
    };
    let places = net.between.each_ref().map(|between| between.address.as_str().to_owned());
    let broke = found.attempts.iter().any(|row| row.outcome != "up" && places.contains(&row.address));
    assert!(broke || deed == Deed::Delays, "{deed:?}: {:?}", found.attempts);
}

#[tokio::test]
async fn a_proxy_that_begins_to_drop_pieces_is_left() {
    turns(Deed::Drops).await;
}

#[tokio::test]
async fn a_proxy_that_begins_to_swallow_everything_is_left() {
    turns(Deed::Swallows).await;
}

#[tokio::test]
async fn a_proxy_that_begins_to_double_pieces_is_left() {
    turns(Deed::Doubles).await;
}

#[tokio::test]
async fn a_proxy_that_begins_to_truncate_is_left() {
    turns(Deed::Truncates).await;
}

#[tokio::test]
async fn a_proxy_that_begins_to_reorder_is_left() {
    turns(Deed::Reorders).await;
}

#[tokio::test]
async fn a_proxy_that_becomes_slow_is_left() {
    turns(Deed::Delays).await;
}
