//! What every program of meshline shares: configuration, logs, files, output and exit codes.

pub mod api;
mod chunks;
pub mod cli;
pub mod config;
pub mod database;
pub mod exit;
mod feed;
pub mod files;
pub mod gateway;
#[cfg(feature = "lan")]
mod lan;
#[cfg(not(feature = "lan"))]
#[path = "absent/lan.rs"]
mod lan;
#[cfg(feature = "ledger")]
pub mod ledger;
#[cfg(not(feature = "ledger"))]
#[path = "absent/ledger.rs"]
mod ledger;
pub mod log;
pub mod member;
pub mod output;
mod topics;
pub mod words;
