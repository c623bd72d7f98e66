//! All members choose their links anew at one instant: nothing is lost by it, whoever was away learns of it, and nobody who
//! may not have it done.

use std::collections::{BTreeMap, BTreeSet};

use meshline_identity::sign;
use meshline_mesh::{Config, Event, RebuildReport, RebuildStep};
use meshline_protocol::message::{
    Announcement, Hello, Rebuild, RebuildCause, RebuildInstant, RebuildKnown, RebuildOrder, RebuildProposal,
    RecordText, Role,
};
use meshline_protocol::{Bounded, Code, Message, NodeId, SignedRecord};
use meshline_services::Event as Told;
use meshline_sim::{MS, SECOND, WallClock, World, address, invariants, seed};

use crate::support::seconds;

const LINKS: usize = 8;

/// Links above the limit while links are chosen anew, of eight.
const EXTRA: usize = 2;

const NODES: usize = 24;

const MINUTE: i64 = 60_000_000;

/// A second as the records count it.
const S: i64 = 1_000_000;

/// Members with few links each, all started and linked.
fn mesh(count: usize, seed: u64, clock: impl Fn(&mut World) -> i64) -> World {
    let mut world = World::closed(seed).verified_once().latency(5 * MS, 20 * MS);
    for node in 0..count {
        world.add(|config| {
            config.max_links = LINKS;
            config.peers = (node > 0).then(|| address(0)).into_iter().collect();
            if node == 1 {
                config.roles.push(Role::Rebuild);
            }
        });
        let offset_us = clock(&mut world);
        world.set_clock(node, WallClock { offset_us, drift_ppm: 0 });
    }
    world.start_all();
    let is_whole = |world: &mut World| {
        let nodes = world.running();
        world.pieces(&nodes).len() == 1 && nodes.iter().all(|node| world.links(*node) >= LINKS / 2)
    };
    assert!(world.run_until(120 * SECOND, SECOND, is_whole).is_some(), "they become one mesh");
    world.run_for(15 * SECOND);
    world
}

fn reports(world: &mut World) -> BTreeMap<usize, RebuildReport> {
    world.running().into_iter().map(|node| (node, world.status(node).rebuild)).collect()
}

/// When each node told a step, in its runs.
fn times(world: &World, step: impl Fn(&RebuildStep) -> bool) -> BTreeMap<usize, Vec<u64>> {
    let mut times: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for node in 0..world.len() {
        for logged in world.log(node) {
            if let Told::Mesh(Event::Rebuild { step: told, .. }) = &logged.event
                && step(told)
            {
                times.entry(node).or_default().push(logged.at);
            }
        }
    }
    times
}

fn is_started(step: &RebuildStep) -> bool {
    matches!(step, RebuildStep::Started { .. })
}

/// How far apart nodes began, each once.
fn apart(world: &World, nodes: usize) -> u64 {
    let times = times(world, is_started);
    assert_eq!(times.len(), nodes, "all begin");
    assert!(times.values().all(|times| times.len() == 1), "each once: {times:?}");
    let at = || times.values().flatten().copied();
    at().max().expect("some") - at().min().expect("some")
}

fn pairs(world: &World) -> BTreeSet<(usize, usize)> {
    let nodes = world.running();
    let pairs = nodes.iter().flat_map(|one| nodes.iter().map(move |other| (*one, *other)));
    pairs.filter(|(one, other)| one < other && world.is_linked(*one, *other)).collect()
}

/// Has everybody say something in turn while the time passes, and looks at each moment whether they are one mesh and have no
/// more links than they may.
fn talk(world: &mut World, rounds: usize) -> Vec<(usize, String)> {
    let mut said = Vec::new();
    for round in 0..rounds {
        let (node, text) = (round * 7 % world.len(), format!("message {round}"));
        world.say(node, &text);
        said.push((node, text));
        world.run_for(250 * MS);
        let nodes = world.running();
        assert_eq!(world.pieces(&nodes).len(), 1, "after {round} messages: parts");
        for node in nodes {
            let links = world.links(node);
            assert!(links <= LINKS + EXTRA && links > 2, "node {node} has {links} links");
        }
    }
    said
}

#[test]
fn all_choose_their_links_anew_at_one_instant_and_no_message_is_lost_or_doubled() {
    let mut world = mesh(NODES, seed(1), |_| 0);
    let before = pairs(&world);
    let record = world.rebuild(6 * S, |order| order.reason = Some("a test".to_owned())).expect("a closed network");
    assert!(world.apply(3, record.clone()).is_ok());
    world.run_for(4 * SECOND);
    for (node, report) in reports(&mut world) {
        assert_eq!((report.state, report.known_by, report.of), ("planned", NODES, NODES), "node {node}");
        assert_eq!(report.reason.as_deref(), Some("a test"));
        assert_eq!(report.by, world.network_id().key());
    }
    let copies: u64 = (0..NODES).map(|node| world.sent(node, "rebuild.record")).sum();
    assert!(copies < 3 * NODES as u64, "{copies} copies among {NODES}");
    let said = talk(&mut world, 100);
    world.run_for(10 * SECOND);
    for (author, text) in said {
        invariants::heard_once(&world, author, &text, &world.running()).expect("nothing is lost or doubled");
    }
    let apart = apart(&world, NODES);
    let reports = reports(&mut world);
    let error = reports.values().filter_map(|report| report.error_us).max().expect("done");
    assert!(apart <= 2 * error.max(MS), "{apart} µs apart, ± {error}");
    for (node, report) in &reports {
        assert_eq!((report.state, report.done, report.skipped), ("done", 1, 0), "node {node}: {report:?}");
        assert!(report.most_links <= LINKS + EXTRA, "{report:?}");
    }
    let after = pairs(&world);
    let stayed = before.intersection(&after).count();
    println!(
        "{} links, {} after, {stayed} of them from before; {apart} µs apart, ± {error}",
        before.len(),
        after.len()
    );
    assert!(after.len() - stayed >= NODES / 4, "long links lead elsewhere now");
    assert_eq!(world.apply(5, record), Ok("the record was known already".to_owned()));
}

#[test]
fn datagrams_between_two_members_all_arrive_while_their_ways_change() {
    let mut world = mesh(NODES, seed(2), |_| 0);
    let (from, to) = (2, 9);
    let record = world.rebuild(4 * S, |_| ()).expect("a closed network");
    assert!(world.apply(0, record).is_ok());
    let mut sent = 0_u32;
    let mut got = 0;
    for _ in 0..1_250 {
        // Each with a flow of its own: the world looks that none goes round in circles.
        world.send_datagram(from, to, sent, &sent.to_be_bytes()).expect("there is a way");
        sent += 1;
        world.run_for(20 * MS);
        got += world.take_datagrams(to).len();
    }
    world.run_for(2 * SECOND);
    got += world.take_datagrams(to).len();
    assert_eq!(apart(&world, NODES) / SECOND, 0);
    assert_eq!(u32::try_from(got).expect("few"), sent, "none is lost, though links end under them");
}

#[test]
fn members_whose_clocks_are_off_by_up_to_a_minute_do_it_at_the_same_instant() {
    let count = 16;
    let mut world =
        mesh(count, seed(3), |world| i64::try_from(world.rng().below(120 * SECOND)).expect("small") - MINUTE);
    // The clock of the one who signs is right.
    let record = world.rebuild(60 * S, |_| ()).expect("a closed network");
    assert!(world.apply(2, record).is_ok());
    world.run_for(130 * SECOND);
    let apart = apart(&world, count);
    let error = reports(&mut world).values().filter_map(|report| report.error_us).max().expect("done");
    println!("{apart} µs apart, ± {error}");
    assert!(apart <= 2 * error, "{apart} µs apart, ± {error}");
    assert!(apart < 300 * MS, "{apart} µs apart");
}

#[test]
fn whoever_was_away_learns_of_it_and_does_it_once() {
    let mut world = mesh(12, seed(4), |_| 0);
    world.kill(4);
    world.kill(5);
    let record = world.rebuild(20 * S, |order| order.expires = order.at.offset(130 * S)).expect("a closed network");
    assert!(world.apply(0, record).is_ok());
    world.run_for(3 * SECOND);
    // One comes back before the instant and hears of it from its peers; one that had it is away at the instant.
    world.start(4);
    world.kill(6);
    assert_eq!(world.saved(6).rebuild.records.len(), 1, "it is on disk");
    world.run_for(12 * SECOND);
    assert_eq!(world.status(4).rebuild.state, "planned");
    world.run_for(45 * SECOND);
    assert_eq!(world.status(4).rebuild.done, 1);
    world.start(5);
    world.start(6);
    world.run_for(40 * SECOND);
    for node in [4, 5, 6] {
        let report = world.status(node).rebuild;
        assert_eq!((report.state, report.done), ("done", 1), "node {node}: {report:?}");
    }
    let late = world.status(5).rebuild.late_us.expect("done");
    assert!(late > 30 * S, "{late} µs late");
    // What was done is not done again after a restart, and what has expired not at all.
    world.restart(0);
    world.run_for(20 * SECOND);
    assert_eq!(world.status(0).rebuild.done, 0);
    world.kill(7);
    world.edit(7, |_, saved| saved.rebuild = meshline_mesh::SavedRebuild::default());
    world.run_for(140 * SECOND);
    world.start(7);
    world.run_for(30 * SECOND);
    let report = world.status(7).rebuild;
    assert_eq!((report.state, report.done), ("none", 0), "{report:?}");
    assert!(world.saved(0).rebuild.records.is_empty(), "it is forgotten");
}

#[test]
fn one_that_is_ended_before_its_time_is_done_by_nobody_and_a_trial_changes_nothing() {
    let mut world = mesh(12, seed(5), |_| 0);
    // After a start links are chosen and given up for half a minute, with or without a trial.
    world.run_for(40 * SECOND);
    let order = world.rebuild(20 * S, |_| ()).expect("a closed network");
    assert!(world.apply(0, order.clone()).is_ok());
    world.run_for(5 * SECOND);
    let abort = world.rebuild_abort(&order).expect("a closed network");
    assert!(world.apply(7, abort).is_ok());
    world.run_for(2 * SECOND);
    assert!(reports(&mut world).values().all(|report| report.state == "aborted"));
    let trial = world.rebuild(10 * S, |order| order.dry_run = true).expect("a closed network");
    assert!(world.apply(3, trial).is_ok(), "the other one is off");
    // Some links come and go at any time: hardly more do after the trial than before it.
    let earlier = pairs(&world);
    world.run_for(9 * SECOND);
    let before = pairs(&world);
    let came_and_went = earlier.difference(&before).count();
    // What it names is what is linked at that moment.
    let is_tried = |world: &mut World| reports(world).values().all(|report| report.state == "tried");
    assert!(world.run_until(20 * SECOND, 10 * MS, is_tried).is_some(), "all try it");
    for (node, report) in reports(&mut world) {
        assert_eq!((report.state, report.done, report.dry_run), ("tried", 0, true), "node {node}: {report:?}");
        let linked: BTreeSet<NodeId> = world.status(node).links.iter().map(|link| link.peer).collect();
        assert!(report.let_go.iter().all(|peer| linked.contains(peer)), "{report:?}");
    }
    assert!(reports(&mut world).values().any(|report| !report.link.is_empty() || !report.let_go.is_empty()));
    world.run_for(8 * SECOND);
    let lost = before.difference(&pairs(&world)).count();
    println!("{lost} of {} links went after it, {came_and_went} before", before.len());
    assert!(lost <= came_and_went + 3, "{lost} of {} links went, {came_and_went} before", before.len());
    world.run_for(20 * SECOND);
    assert_eq!(times(&world, is_started), BTreeMap::new());
}

#[test]
fn of_two_that_are_made_at_once_all_do_the_same_one() {
    let mut world = mesh(12, seed(6), |_| 0);
    let first = world.rebuild(20 * S, |_| ()).expect("a closed network");
    world.run_for(1);
    let second = world.rebuild_by(1, 10 * S).expect("a closed network");
    // Neither node has heard of the other's.
    assert!(world.apply(8, second).is_ok());
    assert!(world.apply(3, first.clone()).is_ok());
    world.run_for(5 * SECOND);
    let at = serde_json::from_str::<RebuildOrder>(&first.signed).expect("an order").at;
    for (node, report) in reports(&mut world) {
        assert_eq!((report.state, report.at, report.known_by), ("planned", Some(at), 12), "node {node}: {report:?}");
    }
    let third = world.rebuild(30 * S, |_| ()).expect("a closed network");
    assert_eq!(world.apply(2, third), Err(Code::RecordOutdated), "there is one");
    world.run_for(40 * SECOND);
    apart(&world, 12);
    // Less than a minute after the last one there is none.
    let soon = world.rebuild(10 * S, |_| ()).expect("a closed network");
    assert_eq!(world.apply(2, soon), Err(Code::RecordOutdated));
    world.run_for(30 * SECOND);
    let later = world.rebuild(10 * S, |_| ()).expect("a closed network");
    assert!(world.apply(2, later).is_ok());
    world.run_for(50 * SECOND);
    assert!(reports(&mut world).values().all(|report| (report.state, report.done) == ("done", 2)));
}

#[test]
fn whoever_may_not_have_it_done_is_refused_and_nothing_happens() {
    let mut world = mesh(6, seed(7), |_| 0);
    let mut other = World::closed(99);
    let good = world.rebuild(20 * S, |_| ()).expect("a closed network");
    let forged = SignedRecord { signed: good.signed.replace("\"at\":1", "\"at\":2"), ..good.clone() };
    let refused = [
        ("forged", forged, Code::BadSignature),
        ("by a mere member", world.rebuild_by(2, 20 * S).expect("signed"), Code::RecordForeign),
        ("of another network", other.rebuild(20 * S, |_| ()).expect("signed"), Code::RecordForeign),
        ("past", world.rebuild(-S, |order| order.seq = order.seq.offset(-2 * S)).expect("signed"), Code::RecordExpired),
        ("too near", world.rebuild(S, |_| ()).expect("signed"), Code::RecordExpired),
        ("too far", world.rebuild(86_401 * S, |_| ()).expect("signed"), Code::InvalidMessage),
        (
            "not signed yet",
            world.rebuild(500 * S, |order| order.seq = order.at.offset(-1)).expect("signed"),
            Code::RecordEarly,
        ),
        (
            "ended",
            world.rebuild(20 * S, |order| order.expires = order.seq.offset(1)).expect("signed"),
            Code::RecordExpired,
        ),
    ];
    world.run_for(1);
    for (what, record, code) in refused {
        assert_eq!(world.apply(0, record), Err(code), "{what}");
    }
    world.run_for(2 * SECOND);
    assert!(reports(&mut world).values().all(|report| report.state == "none"));
    let by_role = world.rebuild_by(1, 20 * S).expect("signed");
    assert!(world.apply(0, by_role).is_ok(), "one with the role may");
}

#[test]
fn a_peer_that_sends_too_much_of_it_or_invents_members_or_instants_changes_nothing() {
    let mut world = mesh(6, seed(8), |_| 0);
    let record = world.rebuild(20 * S, |_| ()).expect("a closed network");
    let seq = serde_json::from_str::<RebuildOrder>(&record.signed).expect("an order").seq;
    let by = record.by;
    assert!(world.apply(0, record.clone()).is_ok());
    world.run_for(3 * SECOND);
    let key = meshline_identity::KeyPair::from_secret([42; 32]);
    let puppet = world.puppet_with(0, key.clone());
    let config = Config::new(world.network_id(), "puppet".parse().expect("a name"));
    let membership = world.membership(key.id(), &config);
    let text = Announcement { membership, ..world.announcement_text() };
    let hello = Hello { announcement: world.puppet_announcement(&key, &text), ..world.puppet_hello(&key) };
    world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    world.run_for(200 * MS);
    assert_eq!(world.puppet_refusal(&puppet), None);
    let forged = SignedRecord { signed: record.signed.replace("\"at\":1", "\"at\":2"), ..record.clone() };
    world.puppet_send(&puppet, Message::Rebuild(Rebuild::Record(forged)));
    world.run_for(200 * MS);
    assert_eq!(world.status(0).refused.get("bad_signature"), Some(&1));
    // It proposes again and again, and repeats what is known: that is passed on once at the most.
    let before = world.sent(0, "rebuild.record");
    for n in 0..40 {
        let seq = world.wall().offset(n);
        let proposal = RebuildProposal {
            kind: RebuildProposal::TYPE.to_owned(),
            network: world.network_id(),
            seq,
            expires: seq.offset(10 * MINUTE),
            cause: RebuildCause::LongWays,
            membership: text.membership.clone(),
        };
        let record = if n % 2 == 0 { sign(&proposal, &key).expect("signed") } else { record.clone() };
        world.puppet_send(&puppet, Message::Rebuild(Rebuild::Record(record)));
    }
    world.run_for(SECOND);
    assert!(reports(&mut world).values().all(|report| report.proposals == 1));
    let passed_on = world.sent(0, "rebuild.record") - before;
    assert!(passed_on <= 6, "{passed_on} copies");
    for n in 0..200_u32 {
        let tokens = Bounded::from_first((0..200).map(|m| n * 1_000 + m));
        world.puppet_send(&puppet, Message::Rebuild(Rebuild::Known(RebuildKnown { by, seq, tokens })));
        let told = RebuildInstant { by, seq, in_us: 100 * MINUTE };
        world.puppet_send(&puppet, Message::Rebuild(Rebuild::Instant(told)));
    }
    world.run_for(SECOND);
    let status = world.status(0);
    assert!(status.refused.get("rate_limited").is_some_and(|count| *count > 100), "{:?}", status.refused);
    assert!(status.rebuild.known_by <= 7, "{:?}", status.rebuild);
    world.run_for(40 * SECOND);
    assert!(reports(&mut world).values().all(|report| report.done == 1));
    println!("{:.3} s apart", seconds(apart(&world, 6)));
}

#[test]
fn members_of_a_badly_shaped_mesh_propose_it_and_one_that_may_has_it_done() {
    const COUNT: usize = 10;
    let mut world = World::closed(seed(9)).verified_once().latency(5 * MS, 20 * MS);
    for node in 0..COUNT {
        world.add(|config| {
            config.max_links = LINKS;
            config.peers = (node > 0).then(|| address(node - 1)).into_iter().collect();
            // All would, one may.
            config.rebuild_auto = true;
            config.roles.extend((node == 1).then_some(Role::Rebuild));
        });
    }
    // A line: from one end to the other it is nine links, where two would do.
    world.lay_cables(&(1..COUNT).map(|node| (node - 1, node)).collect::<Vec<_>>());
    world.start_all();
    let is_proposed = |world: &mut World| world.status(1).rebuild.proposals >= 5;
    assert!(world.run_until(720 * SECOND, SECOND, is_proposed).is_some(), "{:?}", world.status(1).rebuild);
    // The shape is looked at now and then; the next look may be under way.
    let is_seen = |world: &mut World| world.status(0).rebuild.shape == "long_ways";
    assert!(world.run_until(60 * SECOND, SECOND, is_seen).is_some(), "{:?}", world.status(0).rebuild);
    let report = world.status(0).rebuild;
    assert_eq!(report.done, 0, "{report:?}");
    assert_eq!(report.causes.get("long_ways"), Some(&report.proposals));
    let is_done = |world: &mut World| reports(world).values().all(|report| report.done == 1);
    assert!(world.run_until(180 * SECOND, SECOND, is_done).is_some(), "{:?}", world.status(0).rebuild);
    let signer = world.id(1);
    assert!(reports(&mut world).values().all(|report| report.by == Some(signer)));
    println!("{:?} after {:.0} s", report.causes, seconds(world.now()));
}
