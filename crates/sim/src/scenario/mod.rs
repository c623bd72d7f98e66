//! Scenarios: a network, what happens to it and what is expected of it, as a small JSON file.
//!
//! [`Scenario`] is the file, [`Play`] runs it in a [`crate::World`], [`Outcome`] is what came of it. Everything follows
//! from the file and the seed; a log that was written in one run proves the next one to be the same ([`Journal`]).

mod chart;
mod deeds;
mod journal;
mod outcome;
mod play;
mod read;
mod table;
mod types;
mod units;

pub use chart::{FIGURES, Figure, chart};
pub use journal::{Header, Journal};
pub use outcome::{Machine, MessageRow, Outcome, RecoveryRow, RestRow, StateRow};
pub use play::Play;
pub use read::{EXAMPLE, Fault as ReadFault, read};
pub use table::print;
pub use types::{
    Churn, Clocks, Deed, Expect, Fault, Kill, KillHow, Messages, Part, Paths, RebuildDeed, Rest, Scenario, SignalDeed,
    Spoil, SpoilHow, Start, StartBy, Sybils,
};
pub use units::{Count, Nodes, Percent, Seconds};
