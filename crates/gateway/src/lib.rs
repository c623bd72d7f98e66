//! What people use tunnels with: exposed services, forwards, ways out, SOCKS5 and HTTP proxying.
//!
//! Every stream begins with a line that says what it is to be connected to ([`meshline_protocol::opening`]). Whoever
//! receives it judges by its own [`Rules`] and answers before any byte passes, so that a refusal has its reason at the
//! listener where the connection began. Start with [`Gateway::start`].

mod carrier;
mod connector;
mod copy;
mod counters;
mod directory;
mod exit;
mod forward;
mod gateway;
pub mod limits;
mod lines;
mod payloads;
mod proxy;
mod refusal;
mod rules;
mod service_word;
mod target;

pub use carrier::{Carrier, Flow, Stream, Task};
pub use connector::{Connected, Via};
pub use counters::Traffic;
pub use directory::{Directory, Member, Offer};
pub use forward::{ForwardConfig, ForwardRow, ForwardState, Origin, StoredForwards};
pub use gateway::{Gateway, GatewayReport, GatewaySettings, Patience};
pub use proxy::{Credentials, ProxyConfig, ProxyReport, ProxyState};
pub use refusal::Refusal;
pub use rules::{Allow, ExitRule, ExitRules, Expose, ListenRule, Network, OwnPorts, Ports, Rules, SocketPath};
pub use service_word::ServiceWord;
