//! The lab: the programs as they are built, run as real processes, on this machine or on hosts made of network
//! namespaces, with their console, their logs, their kills and their cables.
//!
//! A test writes a network with [`Ring`], starts its [`Member`]s, waits for what should happen and asks with the real
//! command line. Two lines add a host of its own to a test:
//!
//! ```no_run
//! # use meshline_lab::{Lab, Member};
//! # let mut member = Member::new("node", "ring/host-1/node-1.json");
//! let Some(lab) = Lab::new() else { return }; // says `skipped: …` where the system allows no namespaces
//! member.move_to(&lab.site()); // 10.77.0.1, the next one 10.77.0.2, …
//! # drop(lab);
//! ```
//!
//! Hosts that have nothing but cables, each as good or as bad as the test wants, take two lines more:
//!
//! ```no_run
//! use meshline_lab::{Cable, Direction, Lab};
//! let Some(lab) = Lab::with_cables() else { return };
//! let (first, second) = (lab.site_apart(), lab.site_apart());
//! let mut cable = lab.cable(&first, &second, Cable::new().rate_mbit(10).delay_ms(20));
//! cable.change(Direction::Back, |is| is.loss_percent(30.0));
//! ```
//!
//! Homes behind real NATs take two lines too; [`Nat`] says which there are, and a [`Probe`] is plain sockets at one:
//!
//! ```no_run
//! use meshline_lab::{Lab, Nat};
//! let Some(lab) = Lab::with_nats() else { return };
//! let (home, public) = (lab.behind(Nat::Port).delay_ms(20).loss(2.0), lab.behind(Nat::None));
//! home.edge().flush(); // its router starts anew
//! ```
//!
//! The programs are taken from the folder of this build's profile, or from `MESHLINE_BIN_DIR`. Nothing outlives a test:
//! processes end with the thread that started them, namespaces have no names and end with the last process in them,
//! files are in temporary folders. `MESHLINE_SOAK=1` runs the same tests at larger sizes.

#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]

mod cable;
mod insider;
mod lab;
mod load;
mod log;
mod member;
mod nat;
mod ports;
mod probe;
mod process;
mod programs;
mod ring;
mod stranger;
mod wait;

pub use cable::{Cable, Carried, Direction, LaidCable, run_cable};
pub use insider::Insider;
pub use lab::{Lab, Parted, Site};
pub use load::run_load;
pub use member::{Answer, Member};
pub use nat::{Between, By, Carrier, Cell, Edge, Home, Meeting, Nat, PortDaemon, Ports, Soft};
pub use probe::{Dialled, Probe, Socket, run_probe};
pub use process::{Process, signal_pids};
pub use programs::{bin_dir, has_tool, program, tool};
pub use ring::Ring;
pub use stranger::{Ending, Stranger, TlsStranger};
pub use wait::{PATIENCE, until, within};

/// Whether the larger sizes were asked for.
#[must_use]
pub fn soak() -> bool {
    std::env::var_os("MESHLINE_SOAK").is_some_and(|value| value == "1")
}

/// Says, past the harness that would hide it, that a test did not run.
pub fn skipped(why: &str) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Without a terminal nobody reads it.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
