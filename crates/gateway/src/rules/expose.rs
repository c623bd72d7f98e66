//! Services that a member offers by name.

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{ServiceKind, ServiceName, ServiceText, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Allow;

/// One entry of `expose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expose {
    /// What it is called.
    pub name: ServiceName,
    /// Where it is: tcp://host:port, udp://host:port, unix:/path or serial:/device,baud.
    pub target: Target,
    /// Through whom it is reached: a member, or "auto". Missing: from here. That member judges by its own rules what
    /// this one may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Who may use it: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// Whether the directory of services tells everybody of it. Missing: if everybody may use it ("*").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<bool>,
    /// What is spoken there, as in DNS-SD ("_http._tcp"). Missing: what its port is known for, or "_meshline._tcp".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceKind>,
    /// What else the directory says of it: pairs of key and value, 512 bytes together.
    #[serde(default, skip_serializing_if = "ServiceText::is_empty")]
    pub text: ServiceText,
    /// Seconds between two attempts to connect to it, by which the directory says whether it is up. Missing: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub check_s: Option<u32>,
}

impl Expose {
    /// One that the directory does not say more of than it must.
    #[must_use]
    pub fn new(name: ServiceName, target: Target, allow: Vec<Allow>) -> Self {
        let (via, advertise, kind, text, check_s) = (None, None, None, ServiceText::default(), None);
        Self { name, target, via, allow, advertise, kind, text, check_s }
    }

    /// Whether the directory tells of it. What nobody may use is not told; what only some may use, if it was asked for,
    /// because a name says what a member runs.
    #[must_use]
    pub fn is_advertised(&self) -> bool {
        !self.allow.is_empty() && self.advertise.unwrap_or_else(|| self.allow.contains(&Allow::Anybody))
    }

    /// What is spoken there.
    #[must_use]
    pub fn kind(&self) -> Option<ServiceKind> {
        let known = match (self.target.is_udp(), self.port()) {
            (false, 22) => "_ssh._tcp",
            (false, 80 | 8000 | 8080) => "_http._tcp",
            (false, 443 | 8443) => "_https._tcp",
            (false, 631) => "_ipp._tcp",
            (false, 1883) => "_mqtt._tcp",
            (true, 53) => "_domain._udp",
            (true, 5683) => "_coap._udp",
            (false, _) => "_meshline._tcp",
            (true, _) => "_meshline._udp",
        };
        self.kind.clone().or_else(|| known.parse().ok())
    }

    /// Its port, 0 if it has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.target.address().map_or(0, meshline_protocol::Address::port)
    }

    /// Whether it is what a request asks for: by name, by port, or by the very target.
    pub(super) fn answers(&self, request: &OpenStream) -> bool {
        let by_name = request.service.as_ref().is_none_or(|name| *name == self.name);
        let by_target = request.target.as_ref().is_none_or(|target| same(target, &self.target));
        let by_port = request.port.is_none_or(|port| self.is_port(port, request.udp));
        by_name && by_target && by_port
    }

    fn is_port(&self, port: u16, udp: bool) -> bool {
        self.target.is_udp() == udp && self.target.address().is_some_and(|address| address.port() == port)
    }
}

/// `localhost` and the addresses of loopback mean the same place. Of a device, its speed is the exposer's choice.
fn same(asked: &Target, exposed: &Target) -> bool {
    if let (Target::Serial(asked, _), Target::Serial(exposed, _)) = (asked, exposed) {
        return asked == exposed;
    }
    let (Some(a), Some(b)) = (asked.address(), exposed.address()) else { return asked == exposed };
    let one_kind = asked.is_udp() == exposed.is_udp();
    let one_host = a.host().eq_ignore_ascii_case(b.host()) || (a.is_loopback() && b.is_loopback());
    one_kind && one_host && a.port() == b.port()
}
