//! Counters, and their text form for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::registry::Totals;

/// What happened since the start. All labels are words of this program, so that nobody outside can make more of them.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    announcements: BTreeMap<&'static str, u64>,
    departures: BTreeMap<&'static str, u64>,
    revocations: BTreeMap<&'static str, u64>,
    dial_backs: BTreeMap<&'static str, u64>,
    kept: BTreeMap<&'static str, u64>,
    requests: BTreeMap<(&'static str, u16), u64>,
    connections: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// An announcement or refresh, by outcome or the code of its refusal.
    pub(crate) fn announcement(&self, outcome: &'static str) {
        *self.lock().announcements.entry(outcome).or_default() += 1;
    }

    /// A departure.
    pub(crate) fn departure(&self, outcome: &'static str) {
        *self.lock().departures.entry(outcome).or_default() += 1;
    }

    /// A revocation.
    pub(crate) fn revocation(&self, outcome: &'static str) {
        *self.lock().revocations.entry(outcome).or_default() += 1;
    }

    /// A dial-back.
    pub(crate) fn dial_back(&self, outcome: &'static str) {
        *self.lock().dial_backs.entry(outcome).or_default() += 1;
    }

    /// Changes kept, or that could not be.
    pub(crate) fn kept(&self, outcome: &'static str, changes: usize) {
        *self.lock().kept.entry(outcome).or_default() += u64::try_from(changes).unwrap_or(0);
    }

    /// An answered request.
    pub(crate) fn request(&self, route: &'static str, status: u16) {
        *self.lock().requests.entry((route, status)).or_default() += 1;
    }

    /// A connection that was refused, or that did not end well.
    pub(crate) fn connection(&self, reason: &'static str) {
        *self.lock().connections.entry(reason).or_default() += 1;
    }

    /// Everything as Prometheus reads it.
    pub(crate) fn render(&self, totals: Totals, connections: usize) -> String {
        let mut text = String::with_capacity(2_048);
        gauge(&mut text, "entries", "Members listed.", totals.entries);
        gauge(&mut text, "networks", "Networks with a member or a revocation.", totals.networks);
        gauge(&mut text, "revocations", "Revocations kept.", totals.revocations);
        gauge(&mut text, "floors", "Sequences remembered of members that are gone.", totals.floors);
        gauge(&mut text, "connections", "Connections open.", connections);
        let counts = self.lock();
        counters(
            &mut text,
            "announcements",
            "Announcements and refreshes by outcome.",
            "outcome",
            &counts.announcements,
        );
        counters(&mut text, "departures", "Departures by outcome.", "outcome", &counts.departures);
        counters(&mut text, "revocation_posts", "Revocations received by outcome.", "outcome", &counts.revocations);
        counters(&mut text, "dial_backs", "Dial-backs by outcome.", "outcome", &counts.dial_backs);
        counters(&mut text, "changes", "Changes written to the store, by outcome.", "outcome", &counts.kept);
        let faults = "Connections refused or ended for a fault.";
        counters(&mut text, "connection_faults", faults, "reason", &counts.connections);
        head(&mut text, "requests_total", "Requests answered.", "counter");
        for ((route, status), count) in &counts.requests {
            line(&mut text, format_args!("requests_total{{route=\"{route}\",status=\"{status}\"}} {count}"));
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: usize) {
    head(text, name, help, "gauge");
    line(text, format_args!("{name} {value}"));
}

fn counters(text: &mut String, name: &str, help: &str, label: &str, counts: &BTreeMap<&'static str, u64>) {
    head(text, &format!("{name}_total"), help, "counter");
    for (value, count) in counts {
        line(text, format_args!("{name}_total{{{label}=\"{value}\"}} {count}"));
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP meshline_signal_{name} {help}\n# TYPE meshline_signal_{name} {kind}");
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "meshline_signal_{content}");
}
