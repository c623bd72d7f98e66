//! Services that a member offers by name.

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{ServiceName, Target};
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
}

impl Expose {
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
