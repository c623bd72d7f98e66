//! A router that speaks UPnP: found by a question to all in the house, asked by SOAP over HTTP.
//!
//! Nothing is taken from what it says but an address, a path and whether it did what was asked; and it is spoken to only at
//! the address that answered, so that no device in the house sends us elsewhere.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use meshline_protocol::message::NatTransport;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::lease::LEASE_SECONDS;
use crate::http::{Limits, Request, Target, request};

/// Where devices listen for questions to all.
pub(super) const EVERYBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 1_900);

/// Such a question and its answers may be lost: it is asked so often, this far apart.
const QUESTIONS: u32 = 3;
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// Devices that take themselves for routers and forward nothing: with so many of them the house has no other.
pub(super) const MAX_USELESS: usize = 8;

/// Longest answer of a device to the question to all; real ones have 300 to 500 bytes.
const MAX_ANSWER: usize = 2_048;

/// A router describes itself in 3 to 10 KB, and has the answer at hand.
const LIMITS: Limits = Limits { max_body: 64 * 1024, timeout: Duration::from_secs(2) };

/// Ports tried, from the wanted one upwards, where others in the house have them.
const PORTS: u16 = 4;

/// The router keeps what it forwards for ever, and cannot do otherwise.
const ONLY_FOR_EVER: &str = "725";

/// Shown in the lists of routers.
const DESCRIPTION: &str = "meshline";

/// Parts of a router that forward ports.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// The part of a router that forwards ports.
#[derive(Debug)]
pub(super) struct Upnp {
    target: Target,
    path: String,
    service: &'static str,
}

impl Upnp {
    /// Asks everybody, from the address that a router is to forward to.
    pub(super) async fn find(local: Ipv4Addr, everybody: SocketAddr) -> Option<Self> {
        let socket = UdpSocket::bind((local, 0)).await.ok()?;
        SockRef::from(&socket).set_multicast_if_v4(&local).ok()?;
        let mut useless = BTreeSet::new();
        for _ in 0..QUESTIONS {
            socket.send_to(question().as_bytes(), everybody).await.ok()?;
            if let Ok(found) = timeout(BETWEEN_QUESTIONS, Self::hear(&socket, &mut useless)).await {
                return found;
            }
        }
        None
    }

    /// The first device that answers and forwards ports; `None` once too many answered that do not.
    async fn hear(socket: &UdpSocket, useless: &mut BTreeSet<SocketAddr>) -> Option<Self> {
        let mut buffer = [0; MAX_ANSWER];
        while useless.len() < MAX_USELESS {
            let (length, from) = socket.recv_from(&mut buffer).await.ok()?;
            let place = buffer.get(..length).and_then(|answer| described_at(answer, from.ip()));
            let Some((host, path)) = place.filter(|(host, _)| !useless.contains(host)) else { continue };
            match Self::at(host, &path).await {
                Some(found) => return Some(found),
                None => useless.insert(host),
            };
        }
        None
    }

    /// Reads the description of a device.
    async fn at(host: SocketAddr, path: &str) -> Option<Self> {
        let target = Target::tcp(&host.ip().to_string(), host.port());
        let answer = request(&target, Request::get(path), LIMITS).await.ok()?;
        let (service, control) = service(std::str::from_utf8(&answer.body).ok()?)?;
        let (host, path) = match place(&control) {
            Some((place, path)) if place.ip() == host.ip() => (place, path),
            Some(_) => return None,
            None => (host, format!("/{}", control.trim_start_matches('/'))),
        };
        Some(Self { target: Target::tcp(&host.ip().to_string(), host.port()), path, service })
    }

    /// The router's address outside.
    pub(super) async fn external(&self) -> Option<Ipv4Addr> {
        let answer = self.ask("GetExternalIPAddress", &[]).await.ok()?;
        text_of(&answer, "NewExternalIPAddress")?.parse().ok()
    }

    /// Has a port forwarded to `local`, the same one outside or one a little above; says which.
    pub(super) async fn add(&self, transport: NatTransport, local: SocketAddr) -> Option<u16> {
        for port in (local.port()..=u16::MAX).take(usize::from(PORTS)) {
            if self.keep(transport, port, local).await {
                return Some(port);
            }
        }
        None
    }

    /// Has this port forwarded, or forwarded for longer.
    pub(super) async fn keep(&self, transport: NatTransport, external: u16, local: SocketAddr) -> bool {
        let asked = self.forward(transport, external, local, LEASE_SECONDS).await;
        match asked {
            Err(code) if code == ONLY_FOR_EVER => self.forward(transport, external, local, 0).await.is_ok(),
            other => other.is_ok(),
        }
    }

    async fn forward(
        &self,
        transport: NatTransport,
        external: u16,
        local: SocketAddr,
        seconds: u32,
    ) -> Result<String, String> {
        let (external, internal) = (external.to_string(), local.port().to_string());
        let arguments = [
            ("NewRemoteHost", ""),
            ("NewExternalPort", external.as_str()),
            ("NewProtocol", word(transport)),
            ("NewInternalPort", internal.as_str()),
            ("NewInternalClient", &local.ip().to_string()),
            ("NewEnabled", "1"),
            ("NewPortMappingDescription", DESCRIPTION),
            ("NewLeaseDuration", &seconds.to_string()),
        ];
        self.ask("AddPortMapping", &arguments).await
    }

    /// The port need not be forwarded any more.
    pub(super) async fn remove(&self, transport: NatTransport, external: u16) {
        let external = external.to_string();
        let arguments =
            [("NewRemoteHost", ""), ("NewExternalPort", external.as_str()), ("NewProtocol", word(transport))];
        let _ = self.ask("DeletePortMapping", &arguments).await;
    }

    /// Its answer, or the code of its refusal, which is empty if there is none.
    async fn ask(&self, action: &str, arguments: &[(&str, &str)]) -> Result<String, String> {
        let Self { service, .. } = self;
        let arguments: String = arguments.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{service}\">\
             {arguments}</u:{action}></s:Body></s:Envelope>"
        );
        let action = HeaderValue::try_from(format!("\"{service}#{action}\"")).map_err(|_| String::new())?;
        let question = Request::new(Method::POST, self.path.clone())
            .body(body)
            .header(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=\"utf-8\""))
            .header(SOAP_ACTION, action);
        let answer = request(&self.target, question, LIMITS).await.map_err(|_| String::new())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == StatusCode::OK {
            return Ok(text);
        }
        Err(text_of(&text, "errorCode").unwrap_or_default().to_owned())
    }
}

fn question() -> String {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {EVERYBODY}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
         ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )
}

fn word(transport: NatTransport) -> &'static str {
    match transport {
        NatTransport::Udp => "UDP",
        NatTransport::Tcp | NatTransport::Other => "TCP",
    }
}

/// Where a device that answered describes itself: at its own address, or nowhere.
pub(super) fn described_at(answer: &[u8], from: IpAddr) -> Option<(SocketAddr, String)> {
    let text = std::str::from_utf8(answer).ok()?;
    let headers = text.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut locations = headers.filter(|(name, _)| name.trim().eq_ignore_ascii_case("location"));
    place(locations.next()?.1.trim()).filter(|(host, _)| host.ip() == from)
}

/// Address and path of a URL whose host is an address.
fn place(url: &str) -> Option<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = host.parse().or_else(|_| host.parse().map(|ip: Ipv4Addr| (ip, 80).into())).ok()?;
    Some((address, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

/// The first part of a device that forwards ports, and where that is asked.
pub(super) fn service(document: &str) -> Option<(&'static str, String)> {
    let parts = document.split("<service>").skip(1).filter_map(|rest| rest.split("</service>").next());
    let mut known = parts.filter_map(|part| {
        let kind = text_of(part, "serviceType")?;
        let service = SERVICES.into_iter().find(|service| *service == kind)?;
        Some((service, text_of(part, "controlURL")?.replace("&amp;", "&")))
    });
    known.next()
}

/// What stands between the tags of a name, which may have attributes.
fn text_of<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}"))?;
    let (attributes, rest) = rest.split_once('>')?;
    let is_name = attributes.is_empty() || attributes.starts_with(char::is_whitespace);
    is_name.then_some(rest.split_once("</")?.0.trim())
}
