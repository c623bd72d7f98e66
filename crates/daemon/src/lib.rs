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
mod lan;
pub mod ledger;
pub mod log;
pub mod member;
pub mod output;
mod topics;
