//! The wallet against published vectors, random payments, damaged files, and a small ledger of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod address;
mod ask;
mod disk;
mod file;
mod history;
mod keys;
mod ledger;
mod payment;
mod phrase;
mod scenario;
mod secrecy;
mod select;
mod support;
mod verbs;
