//! Faults that strike many members at once: ten real nodes with four links at most, so that a mesh is more than each
//! member's own links, and no signal server once they know each other.

mod churn;
mod clocks;
mod deaths;
mod halves;
mod slackers;
mod sybils;

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::time::Instant;

use meshline_lab::{Member, Process, Ring, Site, until};
use serde_json::json;

const NODES: usize = 10;

/// Links of a node: fewer than half of what it takes to link all.
const LINKS: usize = 4;

/// Two that part may stand above that.
const PARTING: usize = 2;

/// Members of one network, and what was said among them.
struct Crowd {
    nodes: Vec<Member>,
    /// Links of a node.
    links: usize,
    said: Vec<String>,
}

/// A network in which each node keeps a few links of its own choice and knows nobody but by the signal server.
fn network(count: usize, sites: &[Site]) -> Ring {
    let ring = match sites.first() {
        Some(first) => Ring::write_on(sites, first, ""),
        None => Ring::write(&format!("--nodes {count}")),
    };
    for number in numbers(count) {
        ring.configure(number, &json!({"max_links": LINKS, "peers": [], "next": null}));
    }
    ring
}

/// Nodes are counted from 1 in their files.
fn numbers(count: usize) -> RangeInclusive<u16> {
    1..=u16::try_from(count).expect("few")
}

#[track_caller]
fn wait_until_it_answers(node: &Member) {
    until("it answers", || node.try_json(&["status"]));
}

/// Runs a test with nodes that are one mesh, on these hosts or all on this one.
fn with_crowd(sites: &[Site], test: impl FnOnce(&mut Crowd)) {
    let ring = network(NODES, sites);
    let mut crowd = Crowd { nodes: ring.start(*numbers(NODES).end()), links: LINKS, said: Vec::new() };
    crowd.meet(&ring);
    test(&mut crowd);
}

impl Crowd {
    /// All of them.
    fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// All but some.
    fn but(&self, gone: &Range<usize>) -> Vec<usize> {
        self.all().into_iter().filter(|at| !gone.contains(at)).collect()
    }

    /// Waits until all who were started are one mesh; what they met by is gone then.
    #[track_caller]
    fn meet(&mut self, ring: &Ring) {
        let signal = ring.start_signal();
        self.wait_for_one_mesh(&self.all());
        drop(signal);
        self.say(0, "we have met");
        self.wait_until_read(&self.all());
    }

    /// Sends a signal to the processes of these at one instant.
    #[track_caller]
    fn strike(&self, struck: &[usize], signal: &str) {
        let processes: Vec<&Process> = struck.iter().map(|at| self.nodes[*at].process()).collect();
        Process::signal_all(&processes, signal);
    }

    /// Says something. How many have it at once is not known while others go.
    #[track_caller]
    fn say(&mut self, from: usize, text: &str) -> String {
        self.nodes[from].ask(&["chat", "send", text]).done();
        self.said.push(text.to_owned());
        text.to_owned()
    }

    /// Waits until each of these lists a way to all others of them, and to nobody else of the crowd.
    #[track_caller]
    fn wait_for_one_mesh(&self, alive: &[usize]) {
        let begin = Instant::now();
        for at in alive {
            let others = alive.iter().filter(|other| *other != at);
            let mut others: Vec<&str> = others.map(|other| self.nodes[*other].name()).collect();
            others.sort_unstable();
            let node = &self.nodes[*at];
            until(&format!("{} has a way to just {others:?}", node.name()), || {
                let reached = self.reached(node)?;
                if reached == others { Ok(()) } else { Err(format!("{reached:?}")) }
            });
        }
        eprintln!("one mesh of {} after {:?}", alive.len(), begin.elapsed());
    }

    /// Those of the crowd a member has a way to, sorted. It has a few links of its own choice.
    fn reached(&self, node: &Member) -> Result<Vec<String>, String> {
        let links = node.try_json(&["status"])?["links"].as_array().map_or(0, Vec::len);
        assert!(links <= self.links + PARTING, "{} has {links} links", node.name());
        let peers = node.try_json(&["peers"])?;
        let rows = peers["peers"].as_array().into_iter().flatten().filter(|row| row["reachable"] == true);
        let names = rows.filter_map(|row| row["name"].as_str().map(str::to_owned));
        let mut names: Vec<String> = names.filter(|name| self.nodes.iter().any(|one| one.name() == name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Waits until each of these has read all that was said.
    #[track_caller]
    fn wait_until_read(&self, readers: &[usize]) {
        self.wait_until_just_read(readers, &self.said);
    }

    /// Waits until each of these has read these texts, each once, and all in the same order.
    #[track_caller]
    fn wait_until_just_read(&self, readers: &[usize], said: &[String]) {
        let begin = Instant::now();
        let mut wanted = said.to_vec();
        wanted.sort_unstable();
        let mut orders = BTreeSet::new();
        for node in readers.iter().map(|at| &self.nodes[*at]) {
            orders.insert(until(&format!("{} has read all of it once", node.name()), || {
                let read = texts(node)?;
                let mut sorted = read.clone();
                sorted.sort_unstable();
                if sorted == wanted { Ok(read) } else { Err(format!("{sorted:?} instead of {wanted:?}")) }
            }));
            shown_once(node, said);
        }
        assert_eq!(orders.len(), 1, "all show it in the same order: {orders:?}");
        eprintln!("{} have read {} messages after {:?}", readers.len(), said.len(), begin.elapsed());
    }
}

/// What a member has read, in the order it shows.
fn texts(node: &Member) -> Result<Vec<String>, String> {
    let history = node.try_json(&["chat", "history"])?;
    let rows = history["messages"].as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row["text"].as_str().map(str::to_owned)).collect())
}

/// Nothing was shown twice on a member's terminal in this run.
#[track_caller]
fn shown_once(node: &Member, said: &[String]) {
    let lines = node.process().since(0);
    for text in said {
        let end = format!(": {text}");
        let count = lines.iter().filter(|line| line.starts_with("   ") && line.ends_with(&end)).count();
        assert!(count <= 1, "{} showed {text:?} {count} times", node.name());
    }
}
