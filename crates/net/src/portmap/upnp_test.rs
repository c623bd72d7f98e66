//! What routers and other devices say by UPnP, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshline_protocol::message::NatTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use super::upnp::{MAX_USELESS, Upnp, described_at, service};

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn part(kind: &str, control: &str) -> String {
    format!("<service>\n<serviceType>{kind}</serviceType><controlURL>{control}</controlURL></service>")
}

const WAN_IP: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";

/// A device that answers each of these, given what it is asked, on an address of its own; and what it is asked.
async fn device(
    ip: Ipv4Addr,
    description: String,
    answer: fn(&str) -> (u16, String),
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((ip, 0)).await.expect("a port");
    let place = listener.local_addr().expect("bound");
    let socket = UdpSocket::bind((ip, 0)).await.expect("a port");
    let everybody = socket.local_addr().expect("bound");
    drop(tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            let answer = format!("HTTP/1.1 200 OK\r\nST: any\r\nlocation: http://{place}/root.xml\r\n\r\n");
            let _ = socket.send_to(answer.as_bytes(), from).await;
        }
    }));
    let (asked, all) = mpsc::unbounded_channel();
    drop(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 8_192];
            let mut length = 0;
            while !is_whole(&buffer[..length]) {
                length += stream.read(&mut buffer[length..]).await.unwrap_or(0);
            }
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let (status, body) = if text.starts_with("GET") { (200, description.clone()) } else { answer(&text) };
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = asked.send(text);
        }
    }));
    (everybody, all)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let lengths =
        head.lines().filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= lengths.max().unwrap_or(0)
}

fn refused(code: u16) -> (u16, String) {
    (500, format!("<s:Fault><detail><UPnPError><errorCode>{code}</errorCode></UPnPError></detail></s:Fault>"))
}

#[tokio::test]
async fn a_port_that_somebody_else_has_makes_room_for_the_next_and_no_lease_for_one_for_ever() {
    let answer = |text: &str| match text {
        text if text.contains("GetExternalIPAddress") => {
            (200, "<u:R><NewExternalIPAddress dt=\"string\"> 203.0.113.7 </NewExternalIPAddress></u:R>".to_owned())
        }
        text if text.contains("<NewExternalPort>6001<") => refused(718),
        text if text.contains("<NewLeaseDuration>7200<") => refused(725),
        _ => (200, String::new()),
    };
    let (everybody, mut asked) = device(Ipv4Addr::new(127, 0, 9, 3), part(WAN_IP, "/ctl?a=1&amp;b=2"), answer).await;
    let router = Upnp::find(LOCAL, everybody).await.expect("it answers");
    assert_eq!(router.external().await, Some(Ipv4Addr::new(203, 0, 113, 7)));
    let local = SocketAddr::from((LOCAL, 6_001));
    assert_eq!(router.add(NatTransport::Udp, local).await, Some(6_002));
    assert!(router.keep(NatTransport::Udp, 6_002, local).await);
    assert!(!router.keep(NatTransport::Udp, 6_001, local).await);
    router.remove(NatTransport::Udp, 6_002).await;
    asked.recv().await;
    let first = asked.recv().await.expect("asked");
    assert!(first.starts_with("POST /ctl?a=1&b=2 HTTP/1.1\r\n"), "{first}");
    assert!(
        first
            .to_ascii_lowercase()
            .contains("soapaction: \"urn:schemas-upnp-org:service:wanipconnection:1#getexternalipaddress\"")
    );
    let mut last = String::new();
    while let Ok(text) = asked.try_recv() {
        last = text;
    }
    assert!(
        last.contains("<u:DeletePortMapping")
            && last.contains("<NewExternalPort>6002</NewExternalPort><NewProtocol>UDP<")
    );
}

#[tokio::test]
async fn devices_that_forward_nothing_or_send_us_elsewhere_are_no_routers() {
    let ok: fn(&str) -> (u16, String) = |_| (200, String::new());
    let descriptions = [
        String::new(),
        part("urn:schemas-upnp-org:service:Printer:1", "/ctl"),
        part(WAN_IP, "http://127.0.9.77:80/ctl"),
        "x".repeat(70_000) + &part(WAN_IP, "/ctl"),
    ];
    for description in descriptions {
        let (everybody, mut asked) = device(Ipv4Addr::new(127, 0, 9, 4), description, ok).await;
        assert!(Upnp::find(LOCAL, everybody).await.is_none());
        assert!(asked.try_recv().is_ok(), "its description was read");
        assert!(asked.try_recv().is_err(), "once");
    }
}

#[tokio::test]
async fn after_as_many_useless_devices_as_a_house_may_have_nobody_else_is_heard() {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 9, 5), 0)).await.expect("a port");
    let everybody = socket.local_addr().expect("bound");
    // Nobody listens at any of these ports.
    let finding = tokio::spawn(async move { Upnp::find(LOCAL, everybody).await.is_none() });
    let (_, from) = socket.recv_from(&mut [0; 1_500]).await.expect("asked");
    for port in 1..=u16::try_from(MAX_USELESS).expect("few") {
        let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://127.0.9.5:{port}/\r\n\r\n");
        socket.send_to(answer.as_bytes(), from).await.expect("sent");
    }
    assert!(finding.await.expect("it ends"));
    let mut buffer = [0; 1_500];
    assert!(socket.try_recv_from(&mut buffer).is_err(), "it was not asked again");
}

#[test]
fn a_device_describes_itself_at_its_own_address_alone() {
    let from: IpAddr = [192, 168, 1, 1].into();
    let of = |location: &str| described_at(format!("HTTP/1.1 200 OK\r\nLocation: {location}\r\n\r\n").as_bytes(), from);
    assert_eq!(
        of("http://192.168.1.1:5000/rootDesc.xml"),
        Some(([192, 168, 1, 1], 5_000).into()).map(|at| (at, "/rootDesc.xml".to_owned()))
    );
    assert_eq!(of("http://192.168.1.1"), Some((([192, 168, 1, 1], 80).into(), "/".to_owned())));
    for bad in
        ["http://192.168.1.2/x", "https://192.168.1.1/x", "http://router/x", "http://192.168.1.1:99999/", "", "http://"]
    {
        assert_eq!(of(bad), None, "{bad}");
    }
    assert_eq!(described_at(b"HTTP/1.1 200 OK\r\n\r\n", from), None);
    assert_eq!(described_at(&[0xff; 100], from), None);
}

#[test]
fn the_part_that_forwards_is_found_among_others() {
    let others = part("urn:schemas-upnp-org:service:Layer3Forwarding:1", "/l3");
    let ppp = part("urn:schemas-upnp-org:service:WANPPPConnection:1", "ctl/ppp");
    let found = service(&format!("<root><serviceList>{others}{ppp}</serviceList></root>"));
    assert_eq!(found, Some(("urn:schemas-upnp-org:service:WANPPPConnection:1", "ctl/ppp".to_owned())));
    for bad in ["", "<service>", "<service><serviceType>", "<service><serviceType>x</serviceType>"] {
        assert_eq!(service(bad), None);
    }
    assert_eq!(service(&format!("<service><serviceType>{WAN_IP}</serviceType></service>")), None, "nowhere to ask");
}
