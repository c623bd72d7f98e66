//! Faults that strike many members at once: ten real nodes with four links at most, so that a mesh is more than each
//! member's own links, and no signal server once they know each other.

mod clocks;
mod deaths;
mod halves;
mod slackers;

use std::ops::Range;

use meshline_lab::{Member, Ring, Site, until};
use serde_json::json;

const NODES: usize = 10;

/// Links of a node: fewer than half of what it takes to link all.
const LINKS: u64 = 4;

/// Two that part may stand above that.
const PARTING: u64 = 2;

/// Members of one network, and what was said among them.
struct Crowd {
    nodes: Vec<Member>,
    said: Vec<String>,
    ring: Ring,
}

/// A network in which each node keeps a few links of its own choice.
fn network(count: usize, sites: &[Site]) -> Ring {
    let ring = match sites.first() {
        Some(first) => Ring::write_on(sites, first, ""),
        None => Ring::write(&format!("--nodes {count}")),
    };
    for number in 1..=count {
        ring.configure(number_of(number), &json!({"max_links": LINKS, "peers": [], "next": null}));
    }
    ring
}

fn number_of(number: usize) -> u16 {
    u16::try_from(number).expect("few")
}

impl Crowd {
    /// Nodes that are one mesh and have said something, on these hosts or all on this one.
    #[track_caller]
    fn start(count: usize, sites: &[Site]) -> Self {
        let ring = network(count, sites);
        let nodes = (1..=count).map(|number| ring.node(number_of(number))).collect();
        let mut crowd = Self { nodes, said: Vec::new(), ring };
        crowd.meet();
        crowd
    }

    /// Starts all and waits until they are one mesh; whom they met by is gone then.
    #[track_caller]
    fn meet(&mut self) {
        let signal = self.ring.start_signal();
        self.nodes.iter_mut().for_each(Member::start);
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.wait_for_one_mesh(&all);
        drop(signal);
        self.say(0, "we have met");
        self.wait_until_read(&all);
    }

    /// Sends a signal to the processes of these at one instant.
    #[track_caller]
    fn strike(&self, struck: &[usize], signal: &str) {
        let processes: Vec<_> = struck.iter().map(|at| self.nodes[*at].process()).collect();
        meshline_lab::Process::signal_all(&processes, signal);
    }

    /// Says something. Those linked with it answer for it; how many these are is not known while others go.
    #[track_caller]
    fn say(&mut self, from: usize, text: &str) {
        let node = &self.nodes[from];
        let said = node.ask(&["chat", "send", text]).done();
        assert!(said.starts_with("delivered to "), "{}: {text:?}: {said}", node.name());
        self.said.push(text.to_owned());
    }

    /// Waits until each of these lists a way to all others of them, and to nobody else.
    #[track_caller]
    fn wait_for_one_mesh(&self, alive: &[usize]) {
        for at in alive {
            let mut others: Vec<&str> =
                alive.iter().filter(|other| *other != at).map(|other| self.nodes[*other].name()).collect();
            others.sort_unstable();
            let node = &self.nodes[*at];
            until(&format!("{} has a way to just {others:?}", node.name()), || {
                let reached = reached(node)?;
                if reached == others { Ok(()) } else { Err(format!("{reached:?}")) }
            });
        }
    }

    /// Waits until each of these has read all that was said, each text once, and all in the same order.
    #[track_caller]
    fn wait_until_read(&self, readers: &[usize]) {
        let mut said = self.said.clone();
        said.sort_unstable();
        for at in readers {
            let node = &self.nodes[*at];
            until(&format!("{} has read all of it once", node.name()), || {
                let mut read = texts(node)?;
                read.sort_unstable();
                if read == said { Ok(()) } else { Err(format!("{read:?} instead of {said:?}")) }
            });
        }
        let first = texts(&self.nodes[readers[0]]).expect("it runs");
        for at in readers {
            assert_eq!(texts(&self.nodes[*at]).expect("it runs"), first, "the order of {}", self.nodes[*at].name());
        }
    }
}

/// The names of those a member has a way to, sorted. It has a few links of its own choice.
fn reached(node: &Member) -> Result<Vec<String>, String> {
    let status = node.try_json(&["status"])?;
    let links = status["links"].as_array().map_or(0, Vec::len) as u64;
    assert!(links <= LINKS + PARTING, "{} has {links} links", node.name());
    let peers = node.try_json(&["peers"])?;
    let rows = peers["peers"].as_array().into_iter().flatten().filter(|row| row["reachable"] == true);
    let mut names: Vec<String> = rows.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
    names.sort_unstable();
    Ok(names)
}

/// What a member has read, in the order it shows.
fn texts(node: &Member) -> Result<Vec<String>, String> {
    let history = node.try_json(&["chat", "history"])?;
    let rows = history["messages"].as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row["text"].as_str().map(str::to_owned)).collect())
}

/// All but some.
fn but(count: usize, gone: &Range<usize>) -> Vec<usize> {
    (0..count).filter(|at| !gone.contains(at)).collect()
}
