//! The configuration of every program: one JSON file a process, each key also an environment variable and,
//! where the program has it, a flag. A flag wins over the environment, that over the file, that over the
//! default, and for every value it is known where it came from.
//!
//! A wrong file is answered with all its faults at once, each with `file:line:column`, the JSON pointer,
//! what was found and what was expected. Unknown keys are faults.
//!
//! [`load`] is what a program calls; [`evaluate`] is the same without the disk.

mod files_check;
mod finding;
mod gateway;
mod hint;
mod keys;
mod lan;
mod layers;
mod ledger;
mod member;
mod program;
mod review;
mod routing;
mod signal_server;
mod source;
mod topics;
mod typed;
mod values;
mod via;

pub use files_check::{EXPIRY_WARNING, Identity, read_identity};
pub use finding::{ConfigError, Finding, Place, Severity};
pub use keys::{Key, KeyKind, keys, schema};
pub use lan::{LanConfig, LanImport, LanOffer};
pub use layers::{Effective, Flags, Input, Origin, check_files, environment, evaluate, load, now, state_home};
pub use ledger::LedgerConfig;
pub use member::{MemberConfig, NodeConfig, ProxyConfig, ViewConfig};
pub use program::{Program, Settings};
pub use review::Review;
pub use routing::{MemberRef, RoutingConfig, ViewRoutingConfig};
pub use signal_server::SignalServerConfig;
pub use source::Document;
pub use topics::TopicConfig;
pub use values::{
    ConfigValueError, Console, LinkEncoding, LogConfig, LogFormat, LogLevel, PeerRef, RebuildMode, SignalUrl, Topology,
};
pub use via::{ViaConfig, ViaMember};

#[cfg(test)]
mod tests;
