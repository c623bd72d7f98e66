//! The evidence, as it is told: in rows, and in words.

use std::net::SocketAddr;

use meshline_protocol::message::NatTransport;
use meshline_protocol::{Address, NodeId};

use super::answers::written;
use super::calls::{Filtering, Outcome, Purpose};
use super::picture::{Sighting, Witness};
use super::{Mapping, Nat};
use crate::now::{Mono, Now};
use crate::report::{MappedPortRow, NatEvidence, NatReport, ReachedRow};

impl Mapping {
    /// The word in status, events and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Independent => "independent",
            Self::Dependent { .. } => "dependent",
        }
    }

    fn step(self) -> Option<i32> {
        match self {
            Self::Dependent { step } => step,
            Self::Unknown | Self::Independent => None,
        }
    }
}

impl Filtering {
    /// The word in status, events and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Independent => "independent",
            Self::Address => "address",
            Self::Port => "port",
        }
    }
}

impl Nat {
    /// What is known, with who said it.
    pub(crate) fn report(&self, observed: &[Address], now: Now, name_of: &dyn Fn(&NodeId) -> String) -> NatReport {
        let sighted = self.picture.iter().rev().map(|sighting| sighting_row(sighting, now, name_of));
        let silent = self.questions.silent().map(|(to, at)| silent_row(*to, now.mono.since(*at).as_millis()));
        let called = self.calls.outcomes().iter().rev().map(|outcome| outcome_row(outcome, now.mono, name_of));
        NatReport {
            observed: observed.to_vec(),
            host: addresses(&self.candidates.host),
            udp: addresses(&self.candidates.reflexive),
            mapping: self.candidates.mapping.name(),
            step: self.candidates.mapping.step(),
            filtering: self.calls.filtering().name(),
            hairpin: self.hairpin.result().map(|(_, works)| works),
            mapped: self.mapped_rows(),
            reached: self.reached_rows(now.mono, name_of),
            evidence: sighted.chain(called).chain(silent).collect(),
            summary: self.words(),
        }
    }

    fn mapped_rows(&self) -> Vec<MappedPortRow> {
        let row = |mapped: &crate::input::PortMapping| {
            Some(MappedPortRow {
                transport: transport_name(mapped.transport),
                address: written(mapped.external)?,
                by: mapped.by,
                verified: self.calls.is_verified(mapped.transport, mapped.external),
            })
        };
        self.mapped.iter().filter_map(row).collect()
    }

    fn reached_rows(&self, now: Mono, name_of: &dyn Fn(&NodeId) -> String) -> Vec<ReachedRow> {
        let verified = self.calls.outcomes().iter().filter(|outcome| outcome.purpose == Purpose::Verify);
        let row = |outcome: &Outcome| {
            Some(ReachedRow {
                transport: transport_name(outcome.transport),
                address: written(outcome.address)?,
                reached: outcome.reached,
                by: outcome.by.map_or_else(|| outcome.address.to_string(), |by| name_of(&by)),
                ago_ms: now.micros_since(outcome.at) / 1_000,
            })
        };
        verified.filter_map(row).collect()
    }

    /// What it means, a sentence each.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let seen = self.candidates.reflexive.first();
        match (seen, self.picture.voices()) {
            (Some(seen), voices) => words.push(format!("{voices} others see this node's datagrams come from {seen}")),
            (None, 0) if self.questions.silent().next().is_some() => {
                words.push("nobody answered datagrams of this node: UDP may be blocked on the way".to_owned());
            }
            (None, 0) => {}
            (None, voices) => {
                words.push(format!("{voices} others see this node at its own address: nothing translates it"))
            }
        }
        words.extend(self.mapping_words().map(str::to_owned));
        words.extend(filtering_words(self.calls.filtering()).map(str::to_owned));
        if let Some((to, works)) = self.hairpin.result() {
            let verb = if works { "reaches" } else { "does not reach" };
            words.push(format!("this node {verb} itself at {to}"));
        }
        words
    }

    fn mapping_words(&self) -> Option<&'static str> {
        match self.candidates.mapping {
            Mapping::Unknown => None,
            Mapping::Independent => Some("it is the same port for all destinations"),
            Mapping::Dependent { step: None } => Some("each destination gets another port, chosen at random"),
            Mapping::Dependent { step: Some(_) } => Some("each destination gets another port, counted from the last"),
        }
    }
}

fn filtering_words(filtering: Filtering) -> Option<&'static str> {
    match filtering {
        Filtering::Unknown => None,
        Filtering::Independent => Some("datagrams of strangers get in"),
        Filtering::Address => Some("datagrams get in from hosts that were sent something"),
        Filtering::Port => Some("datagrams get in from ports only that were sent something"),
    }
}

fn sighting_row(sighting: &Sighting, now: Now, name_of: &dyn Fn(&NodeId) -> String) -> NatEvidence {
    let by = match sighting.by {
        Witness::Member(id) => name_of(&id),
        Witness::Server(_) => format!("stun {}", sighting.asked),
    };
    let clock = sighting.clock.map(|clock| clock.offset(now));
    NatEvidence {
        by,
        what: "seen",
        address: written(sighting.seen),
        ago_ms: now.mono.micros_since(sighting.at) / 1_000,
        clock_offset_us: clock.map(|(offset, _)| offset),
        clock_error_us: clock.map(|(_, error)| error),
    }
}

fn outcome_row(outcome: &Outcome, now: Mono, name_of: &dyn Fn(&NodeId) -> String) -> NatEvidence {
    let what = match (outcome.purpose, outcome.reached) {
        (Purpose::Stranger, true) => "a stranger got in",
        (Purpose::Stranger, false) => "a stranger did not get in",
        (Purpose::AnotherPort, true) => "another port got in",
        (Purpose::AnotherPort, false) => "another port did not get in",
        (Purpose::Verify, true) => "reached",
        (Purpose::Verify, false) => "not reached",
    };
    NatEvidence {
        by: outcome.by.map_or_else(|| outcome.address.to_string(), |by| name_of(&by)),
        what,
        address: written(outcome.address),
        ago_ms: now.micros_since(outcome.at) / 1_000,
        clock_offset_us: None,
        clock_error_us: None,
    }
}

fn silent_row(to: SocketAddr, ago_ms: u128) -> NatEvidence {
    NatEvidence {
        by: to.to_string(),
        what: "no answer",
        address: None,
        ago_ms: u64::try_from(ago_ms).unwrap_or(u64::MAX),
        clock_offset_us: None,
        clock_error_us: None,
    }
}

fn transport_name(transport: NatTransport) -> &'static str {
    match transport {
        NatTransport::Udp => "udp",
        NatTransport::Tcp => "tcp",
        NatTransport::Other => "other",
    }
}

fn addresses(found: &[SocketAddr]) -> Vec<Address> {
    found.iter().filter_map(|address| written(*address)).collect()
}
