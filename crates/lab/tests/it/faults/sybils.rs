//! Members of one attacker, nearly three times as many as honest ones, who are at each honest door before anybody else, knock
//! again whenever they are sent away, and pass nothing on.

use std::path::PathBuf;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use meshline_lab::{Insider, Lab, Ring, Site, TlsStranger, until};
use serde_json::json;

use super::{Crowd, network, numbers, wait_until_it_answers};

/// Honest members, each with an address prefix of its own.
const HONEST: usize = 6;

/// Links of each: with four two would be neighbours that the attacker makes up, which stay, and the rest is no mesh.
const LINKS: usize = 6;

/// The attacker's, in two prefixes.
const SYBILS: usize = 16;

/// Honest members that each of the attacker's knocks at: together more than there are places.
const DOORS: usize = 3;

/// Between two looks of an attacker at its links.
const LOOKS: Duration = Duration::from_secs(3);

/// One of the attacker's members.
struct Sybil {
    site: Site,
    config: PathBuf,
    /// Where it says that it is.
    own: String,
    /// Whom it wants to be linked to.
    doors: Vec<String>,
}

impl Sybil {
    /// Knocks at each door again whenever it has no link there, and claims to be next to whoever lets it in.
    fn knock(&self, stop: &AtomicBool) {
        let call = |door: &String| (Insider::call(&self.site, &self.config, door, from_ref(&self.own)), false);
        let mut calls: Vec<_> = self.doors.iter().map(call).collect();
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOKS); // paced: between two looks at other processes
            for ((insider, has_claimed), door) in calls.iter_mut().zip(&self.doors) {
                if insider.is_over() {
                    (*insider, *has_claimed) = call(door);
                } else if !*has_claimed && insider.is_in() {
                    insider.claim(&["ring", "far"]);
                    *has_claimed = true;
                }
            }
        }
    }
}

/// All of the attacker's members at work, until dropped.
struct Siege {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Siege {
    fn begin(ring: &Ring, sites: &[Site]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sybils = numbers(HONEST + SYBILS).zip(sites).skip(HONEST).enumerate();
        let threads = sybils.map(|(at, (number, site))| {
            let doors = (0..DOORS).map(|door| (at * DOORS + door) % HONEST);
            let doors =
                numbers(HONEST).zip(sites).enumerate().filter(|(honest, _)| doors.clone().any(|door| door == *honest));
            let doors = doors.map(|(_, (number, site))| format!("{}:{}", site.address(), ring.port(number))).collect();
            let own = format!("{}:{}", site.address(), ring.port(number));
            let sybil = Sybil { site: site.clone(), config: ring.node(number).config().to_owned(), own, doors };
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || sybil.knock(&stop))
        });
        Self { threads: threads.collect(), stop }
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // If one failed it has said why.
            let _ = thread.join();
        }
    }
}

/// Honest hosts in prefixes of their own, and after them the attacker's in two.
fn sites(lab: &Lab) -> Vec<Site> {
    let attackers = ["20.200.0.1", "20.201.0.1"].map(|address| lab.site_at(address));
    let honest = numbers(HONEST).map(|number| lab.site_at(&format!("20.{number}.0.1")));
    honest.chain(attackers.iter().cycle().take(SYBILS).cloned()).collect()
}

#[test]
fn six_whose_places_an_attacker_has_taken_are_one_mesh_and_whoever_restarts_finds_it_again() {
    if !TlsStranger::is_possible() {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let sites = sites(&lab);
    let ring = network(HONEST + SYBILS, &sites);
    numbers(HONEST).for_each(|number| ring.configure(number, &json!({ "max_links": LINKS })));
    let mut crowd = Crowd { nodes: ring.start(*numbers(HONEST).end()), links: LINKS, said: Vec::new() };
    crowd.nodes.iter().for_each(wait_until_it_answers);
    let siege = Siege::begin(&ring, &sites);
    for node in &crowd.nodes {
        until("all its places are the attacker's", || match node.try_json(&["status"])?["links"].as_array() {
            Some(links) if links.len() >= LINKS => Ok(()),
            links => Err(format!("{links:?}")),
        });
    }
    crowd.meet(&ring);
    for from in 0..HONEST {
        crowd.say(from, &format!("from {from}"));
    }
    crowd.wait_until_read(&crowd.all());
    // Nobody tells it of anybody now but those who knock, and what it wrote down.
    crowd.nodes[2].process_mut().kill();
    crowd.nodes[2].start();
    crowd.wait_for_one_mesh(&crowd.all());
    crowd.say(2, "back again");
    crowd.wait_until_read(&crowd.all());
    drop(siege);
}
