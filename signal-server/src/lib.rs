//! The signal server: a passive list of who asked for it.
//!
//! A node posts its signed announcement and reads who else did; asking is being listed. The server introduces
//! and nothing more: a mesh that has met goes on without it, and what it says is proved again on every link.
//!
//! [`registry`] holds the list and every rule about it and does no I/O; [`Server`] is HTTP around it.

pub mod address;
mod api;
mod app;
mod checks;
mod connection;
pub mod dial_back;
mod log;
mod metrics;
pub mod registry;
mod server;
pub mod settings;
mod store;

pub use api::ProblemDocument;
pub use app::NoRandom;
pub use dial_back::{DialBack, NoDialBack};
pub use server::{Server, StartError};
pub use settings::Settings;
pub use store::{FileError, RedisError, StoreError, StoreSetting, write_store};
