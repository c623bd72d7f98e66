//! At which of its addresses a proxy is asked to join us with others.

use meshline_identity::{KeyPair, Member};
use meshline_protocol::message::{RelayTicket, Role};
use meshline_protocol::{Address, Code, NodeId, SignedRecord, Ticket, UnixMicros};

use crate::config::Config;
use crate::gossip::Members;
use crate::input::{DialId, LinkId, LinkOpened, Transport};
use crate::link::Links;
use crate::now::{Mono, Now};
use crate::output::Output;
use crate::peers::{Peers, Purpose};
use crate::relay::{Known, MAX_FAILED, RelayClient};
use crate::shared::Shared;

/// One of two nets, where the proxy is at `.1` of each.
const FAR: &str = "10.77.1.1:6100";
const HERE: &str = "10.77.2.1:6100";
/// As the link of the proxy comes in.
const INBOUND: &str = "10.77.2.1:41000";
/// As one behind a router sees it.
const ELSEWHERE: &str = "192.0.2.7:41000";

const PROXY: NodeId = NodeId::from_bytes([1; 32]);
const MEMBER: NodeId = NodeId::from_bytes([2; 32]);

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(1_800_000_000_000_000 + micros) }
}

fn member(id: NodeId, role: Role, addresses: &[&str]) -> Member {
    Member {
        id,
        name: "someone".parse().expect("a name"),
        roles: vec![role],
        addresses: addresses.iter().map(|text| address(text)).collect(),
        next: None,
        seq: UnixMicros::new(1),
        expires: UnixMicros::new(9_000_000_000_000_000),
        membership_seq: None,
        record: SignedRecord { signed: String::new(), by: id, sig: String::new() },
    }
}

/// A node to which a proxy came, which announces an address in each of two nets.
struct Bench {
    shared: Shared,
    client: RelayClient,
    links: Links,
    members: Members,
    peers: Peers,
}

impl Bench {
    fn new(remote: &str, configured: &[&str]) -> Self {
        let mut config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
        config.proxies = configured.iter().map(|text| address(text)).collect();
        let shared = Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], at(0));
        let (mut links, mut members, mut peers) = (Links::default(), Members::default(), Peers::default());
        for address in &shared.config.proxies {
            peers.add_address(address, Purpose::Proxy, Mono(0));
        }
        members.insert(member(PROXY, Role::Proxy, &[FAR, HERE]).into());
        members.insert(member(MEMBER, Role::Node, &[]).into());
        let opened = LinkOpened {
            link: LinkId(1),
            dial: None,
            transport: Transport::Tcp,
            local: address("10.77.2.2:6002"),
            remote: address(remote),
            proved: Some(PROXY),
            through: None,
            spent_us: 0,
        };
        links.open(opened, Mono(0)).expect("room");
        Self { shared, client: RelayClient::default(), links, members, peers }
    }

    /// The proxy offers to join us with the member: where we go for that.
    fn goes_to(&mut self) -> Address {
        let ticket: Ticket = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]).try_into().expect("a ticket");
        let offer = RelayTicket { ticket, peer: MEMBER };
        let known = Known { links: &self.links, members: &self.members, peers: &self.peers };
        self.client.handle_offer(PROXY, offer.clone(), &mut self.shared, known);
        let granted = self.client.handle_grant(PROXY, offer, &mut self.shared, known);
        let (address, _) = granted.expect("it has an address");
        let mut approached = None;
        while let Some(output) = self.shared.pop() {
            if let Output::ApproachProxy { proxy } = output {
                approached = Some(proxy);
            }
        }
        assert_eq!(approached.as_ref(), Some(&address), "what is approached is dialled");
        address
    }

    fn fail(&mut self, address: &Address, code: Code) {
        let known = Known { links: &self.links, members: &self.members, peers: &self.peers };
        self.client.failed_at((PROXY, address.clone()), code, &mut self.shared, known);
    }

    /// The node dialled the proxy once.
    fn dialled_before(&mut self, place: &str) {
        self.peers.add_address(&address(place), Purpose::Proxy, Mono(0));
        self.peers.handle_timeout(&mut self.shared, &Links::default());
        let mut dial = DialId(0);
        while let Some(output) = self.shared.pop() {
            if let Output::Dial { dial: made, .. } = output {
                dial = made;
            }
        }
        let over = (Transport::Tcp, &address(place));
        self.peers.succeed(Some(dial), PROXY, over, &self.shared);
    }
}

#[test]
fn a_proxy_that_came_in_is_asked_where_the_configuration_says() {
    let mut bench = Bench::new(INBOUND, &[HERE]);
    assert_eq!(bench.goes_to(), address(HERE));
    let mut bench = Bench::new("10.77.2.1:41000", &["10.77.2.1:7100", "10.77.3.1:7100"]);
    assert_eq!(bench.goes_to(), address("10.77.2.1:7100"), "not announced, and of another port");
}

#[test]
fn where_it_was_dialled_before_comes_first() {
    let mut bench = Bench::new(ELSEWHERE, &[]);
    bench.dialled_before("198.51.100.1:6100");
    assert_eq!(bench.goes_to(), address("198.51.100.1:6100"));
}

#[test]
fn an_announced_address_of_the_host_it_came_from_comes_before_the_others() {
    assert_eq!(Bench::new(INBOUND, &[]).goes_to(), address(HERE));
    assert_eq!(Bench::new(ELSEWHERE, &[]).goes_to(), address(FAR), "nothing tells");
}

#[test]
fn where_nobody_answers_the_next_address_is_tried_and_the_first_again_in_a_while() {
    let mut bench = Bench::new(ELSEWHERE, &[]);
    bench.fail(&address(FAR), Code::Unreachable);
    assert_eq!(bench.goes_to(), address(HERE));
    bench.shared.now = at(1_000_000);
    bench.fail(&address(HERE), Code::Unreachable);
    assert_eq!(bench.goes_to(), address(FAR), "in turn");
    bench.shared.now = at(59_999_999);
    bench.client.came_up(PROXY, &address(HERE));
    assert_eq!(bench.goes_to(), address(HERE), "it worked");
    bench.fail(&address(HERE), Code::Unreachable);
    bench.shared.now = at(120_000_000);
    assert_eq!(bench.goes_to(), address(HERE), "the failure is forgotten");
}

#[test]
fn a_failure_that_may_be_the_other_members_moves_on_by_chance_and_never_from_what_was_shown() {
    let mut bench = Bench::new(ELSEWHERE, &[]);
    let mut moved = 0;
    for _ in 0..100 {
        let before = bench.goes_to();
        bench.shared.now = at(bench.shared.now.mono.0 + 1);
        bench.fail(&before, Code::HandshakeTimeout);
        moved += usize::from(bench.goes_to() != before);
    }
    assert!((20..=80).contains(&moved), "{moved} of 100, with the seed [7; 32]");
    let mut bench = Bench::new(INBOUND, &[HERE]);
    for _ in 0..100 {
        bench.fail(&address(HERE), Code::HandshakeTimeout);
        assert_eq!(bench.goes_to(), address(HERE));
    }
}

#[test]
fn so_many_failures_are_remembered_the_latest() {
    let mut bench = Bench::new(ELSEWHERE, &[]);
    for n in 0..=MAX_FAILED {
        bench.shared.now = at(u64::try_from(n).expect("small"));
        bench.fail(&address(&format!("h{n}:6100")), Code::Unreachable);
    }
    assert_eq!(bench.client.failures(), MAX_FAILED);
    bench.shared.now = at(61_000_000);
    bench.fail(&address(FAR), Code::Unreachable);
    assert_eq!(bench.client.failures(), 1, "those of more than a minute ago are forgotten");
}
