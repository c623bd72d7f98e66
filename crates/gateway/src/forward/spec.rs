//! What a forward is: the fields of the command, of the configuration and of what is kept.

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Code, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connector::{Connector, Via};
use crate::refusal::{Refusal, refuse};

/// The fields of `node forward add`, and of an entry of `forwards`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// Where to listen: tcp://host:port, udp://host:port or unix:/path. With reverse, at the peer.
    pub listen: Target,
    /// A member (full id, or a name of a closed network), "auto", or the name of a service: without a target it is one.
    pub peer: String,
    /// What connections are connected to: tcp://host:port, udp://host:port, unix:/path or serial:/device,baud. A
    /// service needs none. With reverse, from this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Listen at the peer and connect from here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
}

/// Where a forward comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From the file; stays until the file changes.
    Configured,
    /// Added while running; kept, and removable.
    Added,
}

/// The file in which added forwards are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredForwards {
    /// `meshline/stored-forwards/1`.
    pub schema: String,
    /// The forwards that were added, each peer as a full id.
    pub forwards: Vec<ForwardConfig>,
}

impl StoredForwards {
    /// The value of `schema`.
    pub const SCHEMA: &'static str = "meshline/stored-forwards/1";
}

/// A forward that can be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(crate) config: ForwardConfig,
    pub(crate) origin: Origin,
}

impl ForwardConfig {
    /// What is wrong with it, whoever the peer is.
    ///
    /// # Errors
    /// A sentence with [`Code::InvalidMessage`].
    pub fn check(&self) -> Result<(), Refusal> {
        let wrong = |detail: &str| Err(refuse(Code::InvalidMessage, detail));
        let is_udp = self.listen.is_udp();
        match (&self.listen, &self.target) {
            (Target::Serial(..), _) => wrong("a forward cannot listen on a serial device"),
            (_, Some(target)) if target.is_udp() != is_udp => wrong("either both sides are udp or none is"),
            (Target::Tcp(_), _) | (Target::Udp(_) | Target::Unix(_), _) if !self.reverse => Ok(()),
            (_, None) => wrong("a reverse forward needs a target here"),
            (_, Some(_)) if self.peer != "auto" => Ok(()),
            (_, Some(_)) => wrong("a reverse forward needs one member to listen at"),
        }
    }

    /// Whom to ask for what, at this moment.
    pub(crate) fn wish(&self, connector: &Connector) -> Result<(Via, OpenStream), Refusal> {
        let via = connector.resolve_kept(&self.peer, self.target.is_some())?;
        if self.target.is_none() && !matches!(via, Via::Service(_)) {
            return Err(refuse(Code::InvalidMessage, "a target is needed unless the peer is a service"));
        }
        Ok((via, OpenStream { target: self.target.clone(), ..OpenStream::default() }))
    }
}
