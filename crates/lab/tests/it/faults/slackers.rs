//! Two of ten members drop what they should pass on, or pass it on late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use meshline_lab::{Insider, Site, TlsStranger, signal_pids};

use super::{Crowd, NODES, network, numbers, wait_until_it_answers, with_crowd};

/// Members that drop, or are late.
const SLACKERS: usize = 2;

/// Honest ones.
const HONEST: usize = NODES - SLACKERS;

/// The honest ones that a member which drops is linked to: as many as it could have links.
const VICTIMS: [[usize; super::LINKS]; SLACKERS] = [[0, 1, 2, 3], [2, 3, 4, 5]];

#[test]
fn two_of_ten_that_pass_nothing_on_keep_nothing_from_anybody() {
    if !TlsStranger::is_possible() {
        return;
    }
    let ring = network(NODES, &[]);
    let mut crowd = Crowd { nodes: ring.start(*numbers(HONEST).end()), links: super::LINKS, said: Vec::new() };
    // The others know nobody yet, so these have places before anybody else.
    crowd.nodes.iter().for_each(wait_until_it_answers);
    let mut insiders = Vec::new();
    // The second is nearer to the root that both make up: whoever has both takes it.
    for ((number, victims), hops) in numbers(NODES).skip(HONEST).zip(VICTIMS).zip([2, 1]) {
        let config = ring.node(number).config().to_owned();
        for victim in numbers(HONEST).enumerate().filter(|(at, _)| victims.contains(at)).map(|(_, victim)| victim) {
            let insider = Insider::join(&Site::here(), &config, &format!("127.0.0.1:{}", ring.port(victim)));
            insider.lead(hops);
            insiders.push(insider);
        }
    }
    // These have hardly anybody else yet.
    for from in 0..SLACKERS {
        crowd.say(from, &format!("early from {from}"));
    }
    crowd.meet(&ring);
    for from in 0..HONEST {
        crowd.say(from, &format!("from {from}"));
    }
    crowd.wait_until_read(&crowd.all());
    let handed: usize = insiders.iter().map(|insider| insider.heard("\"broadcast\":{\"flood\":")).sum();
    println!("{handed} messages ended at those who pass nothing on");
    assert!(handed > 0, "nobody relied on them");
}

/// A member hangs so long, less than its links live without an answer, and then goes on for a moment.
const HANGS: Duration = Duration::from_secs(2);
const RUNS: Duration = Duration::from_millis(300);

/// Members that hang again and again, until dropped.
struct Stutter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stutter {
    fn begin(pids: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for (signal, pause) in [("STOP", HANGS), ("CONT", RUNS)] {
                    assert!(signal_pids(&pids, signal), "all of them are there for SIG{signal}");
                    std::thread::sleep(pause); // paced: how late they are is the fault itself
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Stutter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // If it failed, one of them is gone: whoever waits for what that one has read says so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn two_of_ten_that_pass_everything_on_late_keep_nothing_from_anybody() {
    with_crowd(&[], |crowd| {
        let late: Vec<u32> = crowd.nodes[HONEST..].iter().map(|node| node.process().pid()).collect();
        let stutter = Stutter::begin(late);
        for from in 0..HONEST {
            crowd.say(from, &format!("from {from}"));
        }
        crowd.wait_until_read(&crowd.but(&(HONEST..NODES)));
        crowd.wait_until_read(&crowd.all());
        drop(stutter);
        crowd.say(HONEST, "no hurry");
        crowd.wait_for_one_mesh(&crowd.all());
        crowd.wait_until_read(&crowd.all());
    });
}
