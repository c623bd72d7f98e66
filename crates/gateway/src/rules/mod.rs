//! Who may use what: exposed services, ways out, listeners. Pure rules; an exit asks them for every stream.

mod allow;
mod exit;
mod expose;
mod guard;
#[cfg(test)]
mod tests;

pub use allow::Allow;
pub use exit::{ExitRule, ListenRule, Network, Ports, SocketPath};
pub use expose::Expose;
pub use guard::OwnPorts;

use std::net::IpAddr;

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Code, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::directory::Member;
use crate::refusal::{Refusal, refuse};

/// What this member lets others do: the keys `expose` and `exit` of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Services by name.
    #[serde(default)]
    pub expose: Vec<Expose>,
    /// Ways out and listeners.
    #[serde(default)]
    pub exit: ExitRules,
}

/// What other members may reach through this one, beside what it exposes. Nothing unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitRules {
    /// Networks and ports that members may reach from here. One rule that fits is enough.
    #[serde(default)]
    pub rules: Vec<ExitRule>,
    /// Where members may have this one listen for them (reverse forwards).
    #[serde(default)]
    pub listen: Vec<ListenRule>,
}

/// What a request may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// This, wherever it is: it is exposed.
    Exposed(Target),
    /// The same, through the member that is named.
    Through(Target, String),
    /// This, at those of its addresses that [`Rules::judge_address`] lets pass.
    ByRule(Target),
}

impl Rules {
    /// What `member` gets when it asks for that.
    pub(crate) fn grant(&self, request: &OpenStream, member: &Member) -> Result<Grant, Refusal> {
        if request.target.is_none() && request.service.is_none() && request.port.is_none() {
            return Err(refuse(Code::InvalidMessage, "neither target nor service nor port"));
        }
        let exposed = self.expose.iter().filter(|expose| expose.answers(request));
        if let Some(expose) = exposed.clone().find(|expose| allow::permits(&expose.allow, member)) {
            let target = expose.target.clone();
            return Ok(match &expose.via {
                Some(via) => Grant::Through(target, via.clone()),
                None => Grant::Exposed(target),
            });
        }
        if let (Some(target @ (Target::Tcp(_) | Target::Udp(_))), None) = (&request.target, &request.service) {
            return Ok(Grant::ByRule(target.clone()));
        }
        Err(not_exposed(request, exposed.count() > 0))
    }

    /// Whether `member` may reach that address by the exit rules.
    pub(crate) fn judge_address(&self, ip: IpAddr, port: u16, member: &Member) -> Result<(), Refusal> {
        guard::judge(ip).map_err(|what| refuse(Code::Forbidden, format!("{ip} is {what}: only if it is exposed")))?;
        if self.exit.rules.iter().any(|rule| rule.permits(ip, port, member)) {
            return Ok(());
        }
        let why = if self.exit.rules.is_empty() { "this member is no exit" } else { "no exit rule permits it" };
        Err(refuse(Code::Forbidden, format!("{ip} port {port}: {why}")))
    }

    /// Whether `member` may have this one listen there.
    pub(crate) fn judge_listen(&self, listen: &Target, member: &Member) -> Result<(), Refusal> {
        if self.exit.listen.iter().any(|rule| rule.permits(listen, member)) {
            return Ok(());
        }
        Err(refuse(Code::Forbidden, format!("no rule permits listening on {listen} for {}", member.name)))
    }
}

/// A service that is there but not for this member is not told apart from one that is not there, if it was asked for
/// by name: names say what a member runs.
fn not_exposed(request: &OpenStream, is_there: bool) -> Refusal {
    match (&request.service, request.port, &request.target) {
        (Some(name), ..) => refuse(Code::NoSuchService, format!("no service {name} is exposed to you")),
        (None, Some(port), _) => refuse(Code::NoSuchService, format!("no port {port} is exposed to you")),
        (None, None, Some(target)) if is_there => refuse(Code::Forbidden, format!("{target} is not exposed to you")),
        (None, None, target) => {
            let target = target.as_ref().map_or_else(String::new, ToString::to_string);
            refuse(Code::Forbidden, format!("{target} is not exposed"))
        }
    }
}
