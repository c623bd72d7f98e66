//! Leases of a router that speaks NAT-PMP (RFC 6886), on loopback; and the route to the router.

use std::net::Ipv4Addr;

use meshline_protocol::message::NatTransport;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::gateway::{Router, default_route};
use super::{PortMaps, is_usable};
use crate::driver::Notice;

/// A house of its own for each test: PCP and NAT-PMP have one port.
const ROUTER: Router = Router { address: Ipv4Addr::new(127, 0, 9, 1), local: Ipv4Addr::LOCALHOST };

/// What was asked: transport, port inside, port outside and seconds, all 0 for the address.
type Asked = (u8, u16, u16, u32);

/// A router that grants what is asked on another port, and tells what that was.
async fn router() -> mpsc::UnboundedReceiver<Asked> {
    let socket = UdpSocket::bind((ROUTER.address, crab_nat::GATEWAY_PORT)).await.expect("the port is free");
    let (asked, all) = mpsc::unbounded_channel();
    drop(tokio::spawn(async move {
        let mut buffer = [0; 1_100];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let answer: Vec<u8> = match &buffer[..length] {
                [0, 0] => [&[0, 128, 0, 0, 0, 0, 0, 9][..], &[203, 0, 113, 7]].concat(),
                [0, kind @ (1 | 2), _, _, i0, i1, e0, e1, seconds @ ..] => {
                    let (inside, outside) = (u16::from_be_bytes([*i0, *i1]), u16::from_be_bytes([*e0, *e1]));
                    let seconds = u32::from_be_bytes(seconds.try_into().expect("four bytes"));
                    let _ = asked.send((*kind, inside, outside, seconds));
                    let granted = if seconds == 0 { 0 } else { inside + 1_000 };
                    let head = [0, 128 + kind, 0, 0, 0, 0, 0, 9, *i0, *i1];
                    [&head[..], &granted.to_be_bytes(), &seconds.to_be_bytes()].concat()
                }
                // Anything newer is told that this router is old.
                _ => vec![0, 128, 0, 1, 0, 0, 0, 9],
            };
            let _ = socket.send_to(&answer, from).await;
        }
    }));
    all
}

#[tokio::test]
async fn ports_that_a_router_grants_are_told_and_given_back_at_the_end() {
    let mut asked = router().await;
    let (notices, mut told) = mpsc::channel(8);
    let maps = PortMaps::with(6_001, || Some(ROUTER), notices);
    let Some(Notice::PortsMapped(mapped)) = told.recv().await else { panic!("nothing was mapped") };
    let found: Vec<_> =
        mapped.iter().map(|mapped| (mapped.transport, mapped.external.to_string(), mapped.by)).collect();
    let outside = "203.0.113.7:7001".to_owned();
    assert_eq!(found, [(NatTransport::Udp, outside.clone(), "nat_pmp"), (NatTransport::Tcp, outside, "nat_pmp")]);
    for kind in [1, 2] {
        assert_eq!(asked.recv().await, Some((kind, 6_001, 6_001, 7_200)));
    }
    maps.finish().await;
    for kind in [1, 2] {
        let (given_back, inside, _, seconds) = asked.try_recv().expect("given back");
        assert_eq!((given_back, inside, seconds), (kind, 6_001, 0));
    }
}

#[tokio::test]
async fn other_addresses_here_or_outside_are_a_change_and_the_first_ones_are_not() {
    let (notices, _told) = mpsc::channel(8);
    let mut maps = PortMaps::with(6_001, || None, notices);
    let at = |text: &str| vec![text.parse().expect("an address")];
    // Whether it was told so. The task cannot have heard of it: nothing is waited for here.
    let mut tells = |act: &dyn Fn(&mut PortMaps)| {
        act(&mut maps);
        let mut heard = std::pin::pin!(maps.changed.notified());
        heard.as_mut().enable()
    };
    for (expected, host) in [(false, "192.168.1.7:1"), (false, "192.168.1.7:1"), (true, "192.168.2.7:1")] {
        assert_eq!(tells(&|maps| maps.host_is(&at(host))), expected, "{host}");
    }
    let outside = [(false, "203.0.113.7:1"), (false, "203.0.113.7:2"), (true, "203.0.113.8:2")];
    for (expected, seen) in outside {
        assert_eq!(tells(&|maps| maps.seen_at(&at(seen))), expected, "{seen}");
    }
    assert!(!tells(&|maps| maps.seen_at(&[])) && !tells(&|maps| maps.seen_at(&at("203.0.113.8:9"))), "nobody saw it");
}

#[tokio::test]
async fn nothing_is_asked_for_a_node_on_loopback() {
    let (notices, _told) = mpsc::channel(1);
    let loopback = ["127.0.0.1:6001", "[::1]:6001"].map(|address| address.parse().expect("an address"));
    assert!(PortMaps::start(&loopback, notices.clone()).is_none());
    assert!(PortMaps::start(&[], notices).is_none());
}

#[test]
fn the_default_route_with_the_least_metric_leads_to_the_router() {
    let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                 eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                 wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                 eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
    let router = Ipv4Addr::from(0x0102_00C0_u32.to_ne_bytes());
    assert_eq!(default_route(table), Some(router));
    assert_eq!(default_route(table.lines().next().unwrap_or_default()), None);
    assert_eq!(default_route("Iface\nx\ty\neth0\t00000000\tzz\n"), None);
}

#[test]
fn addresses_that_lead_nowhere_are_not_told() {
    assert!(is_usable(Ipv4Addr::new(203, 0, 113, 7), 7).is_some());
    for (external, port) in [(Ipv4Addr::UNSPECIFIED, 7), (Ipv4Addr::LOCALHOST, 7), (Ipv4Addr::new(203, 0, 113, 7), 0)] {
        assert!(is_usable(external, port).is_none(), "{external}:{port}");
    }
}
