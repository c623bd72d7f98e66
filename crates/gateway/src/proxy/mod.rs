//! The local proxy: SOCKS5 and HTTP on one port, told apart by the first byte.

mod body;
mod credentials;
mod http;
mod place;
mod reply;
mod slot;
mod socks5;
mod socks5_udp;
#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use slot::{ProxyReport, ProxyState};

pub(crate) use slot::ProxySlot;

use std::sync::Arc;

use meshline_protocol::{Address, Code};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::counters::{Counters, Place};
use crate::forward::Door;
use crate::gateway::Shared;
use crate::limits::{GREETING_LIMIT, MAX_USERS};
use crate::refusal::{Refusal, refuse};

/// The first byte of a SOCKS5 client.
const SOCKS5: u8 = 5;

/// The key `socks5` of a member's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Address (host:port) on which SOCKS5 and HTTP are spoken. Beyond loopback only with users.
    pub listen: Address,
    /// Through whom connections leave: a member, or "auto" for the nearest exit that reaches the target.
    #[serde(default = "auto")]
    pub exit: String,
    /// Who may use it. Nobody named: whoever reaches the address.
    #[serde(default)]
    pub users: Vec<Credentials>,
}

fn auto() -> String {
    "auto".to_owned()
}

impl ProxyConfig {
    /// What is wrong with it.
    ///
    /// # Errors
    /// A sentence with [`Code::Forbidden`] or [`Code::InvalidMessage`].
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.listen.is_loopback() && self.users.is_empty() {
            return Err(refuse(Code::Forbidden, "a proxy beyond loopback needs users, or everybody near could use it"));
        }
        if self.users.len() > MAX_USERS {
            return Err(refuse(Code::InvalidMessage, format!("more than {MAX_USERS} users")));
        }
        self.users.iter().try_for_each(Credentials::check)
    }
}

/// What the connections of one proxy share.
pub(crate) struct Proxy {
    config: ProxyConfig,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
}

async fn run(listener: TcpListener, proxy: Arc<Proxy>) {
    loop {
        let (stream, _) = Door::accept_tcp(&listener).await;
        let Ok(place) = proxy.counters.enter(proxy.shared.patience.max_connections) else { continue };
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move { one(stream, place, &proxy).await });
    }
}

async fn one(mut stream: TcpStream, place: Place, proxy: &Arc<Proxy>) {
    let outcome = match timeout(GREETING_LIMIT, stream.read_u8()).await {
        Ok(Ok(SOCKS5)) => socks5::serve(stream, &place, proxy).await,
        Ok(Ok(first)) => http::serve(stream, first, &place, proxy).await,
        // Whoever connects and says nothing is not owed an answer.
        Ok(Err(_)) | Err(_) => return,
    };
    if let Err(refusal) = outcome {
        let refusal = proxy.counters.refused(refusal);
        tracing::debug!(code = refusal.code.name(), "the proxy refuses: {}", refusal.detail);
    }
}
