//! Links that are tried out, by honest members and by others.

use meshline_mesh::{Event, LinkRow};
use meshline_protocol::message::{Echo, Probe, ProbeNumber, ProbeReport, ProbeSize};
use meshline_protocol::{Code, Frame, Message};
use meshline_sim::{MS, Pair, Puppet, SECOND, World, seed, seeds};

/// What a link may bring in ten minutes, and one filler.
const MOST: u32 = 576 * 1024;
const FILLER: u32 = 8 * 1024;

fn pair(seed: u64, probes: [bool; 2]) -> Pair {
    let mut pair = Pair::start(World::new(seed), |node, config| config.routing.probe = probes[node]);
    assert!(pair.is_linked_within(SECOND));
    pair
}

fn row(world: &mut World, node: usize) -> LinkRow {
    world.status(node).links[0].clone()
}

#[test]
fn a_link_without_traffic_is_tried_out_by_both_ends_once_in_eleven_minutes() {
    for seed in seeds(5) {
        let mut pair = pair(seed, [true, true]);
        pair.run_for(4 * SECOND);
        assert_eq!(pair.sent(0, "probe.ask") + pair.sent(1, "probe.ask"), 0, "not while it settles");
        for times in 1..=2 {
            pair.run_for(100 * SECOND);
            for node in [0, 1] {
                let row = row(&mut pair, node);
                assert_eq!((row.goodput_by, row.goodput_in_by), (Some("probe"), Some("probe")));
                assert!(row.goodput_bps > 0 && row.goodput_in_bps > 0, "{row:?}");
                // This network has no rate: what came fast is tried with more.
                assert_eq!(pair.sent(node, "probe.filler"), times * u64::from(MOST / FILLER));
                assert_eq!(pair.sent(node, "probe.report"), times * 2);
            }
            pair.run_for(540 * SECOND);
            assert_eq!(pair.sent(0, "probe.ask"), times * 2);
        }
    }
}

#[test]
fn who_must_not_probe_neither_asks_nor_agrees() {
    let mut pair = pair(seed(1), [true, false]);
    pair.run_for(500 * SECOND);
    assert_eq!((pair.sent(0, "probe.ask"), pair.sent(1, "probe.ask")), (1, 0));
    assert_eq!((pair.sent(1, "probe.decline"), pair.sent(0, "probe.filler")), (1, 0));
    let row = row(&mut pair, 0);
    assert_eq!((row.goodput_bps, row.goodput_by), (0, None));
}

/// A puppet that is linked with node 0, which probes.
fn linked_puppet() -> (Pair, Puppet) {
    let mut pair = pair(seed(1), [true, false]);
    // What node 0 asks node 1 is over by then.
    pair.run_for(20 * SECOND);
    let puppet = pair.puppet(0);
    let hello = pair.puppet_hello(&puppet.key);
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(100 * MS);
    pair.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
    pair.run_for(SECOND);
    (pair, puppet)
}

fn say(pair: &mut Pair, puppet: &Puppet, probe: Probe) {
    pair.puppet_send(puppet, Message::Probe(probe));
    pair.run_for(100 * MS);
}

fn fill(pair: &mut Pair, puppet: &Puppet, nonce: u32, bytes: u32) {
    let body = vec![0; usize::try_from(bytes).expect("short")];
    let message = Message::Probe(Probe::Filler(ProbeNumber { nonce }));
    pair.puppet_send(puppet, Frame { message, body: Some(body.into()) });
    pair.run_for(10 * MS);
}

/// What a puppet was told of probes.
fn told(pair: &Pair, puppet: &Puppet) -> Vec<Probe> {
    let probe = |message: &&Message| match message {
        Message::Probe(probe) => Some(probe.clone()),
        _ => None,
    };
    pair.puppet_got(puppet).iter().filter_map(probe).collect()
}

fn misbehaved(world: &World) -> Vec<Code> {
    let code = |event: &Event| match event {
        Event::Misbehaved { code, .. } => Some(*code),
        _ => None,
    };
    world.mesh_events(0).filter_map(code).collect()
}

#[test]
fn no_link_brings_more_filler_than_was_agreed_to() {
    let (mut pair, puppet) = linked_puppet();
    fill(&mut pair, &puppet, 7, FILLER);
    assert_eq!(misbehaved(&pair), [Code::UnexpectedMessage], "nobody agreed");
    say(&mut pair, &puppet, Probe::Ask(ProbeSize { nonce: 8, bytes: u32::MAX }));
    assert_eq!(told(&pair, &puppet), [Probe::Agree(ProbeSize { nonce: 8, bytes: MOST })]);
    say(&mut pair, &puppet, Probe::Ask(ProbeSize { nonce: 9, bytes: FILLER }));
    assert_eq!(told(&pair, &puppet).last(), Some(&Probe::Decline(ProbeNumber { nonce: 9 })), "one at a time");
    fill(&mut pair, &puppet, 8, 0);
    fill(&mut pair, &puppet, 9, FILLER);
    assert_eq!(misbehaved(&pair).len(), 3, "empty, and of another probe");
    for _ in 0..MOST / FILLER {
        fill(&mut pair, &puppet, 8, FILLER);
    }
    pair.run_for(100 * MS);
    let report = told(&pair, &puppet).pop();
    assert!(
        matches!(report, Some(Probe::Report(ProbeReport { nonce: 8, bytes, .. })) if bytes == MOST / 2),
        "{report:?}"
    );
    fill(&mut pair, &puppet, 8, FILLER);
    assert_eq!(misbehaved(&pair).len(), 4, "it is over");
    say(&mut pair, &puppet, Probe::Ask(ProbeSize { nonce: 10, bytes: FILLER }));
    assert_eq!(told(&pair, &puppet).last(), Some(&Probe::Decline(ProbeNumber { nonce: 10 })), "it had its share");
}

#[test]
fn a_lying_report_and_an_agreement_to_more_than_was_asked_for_are_refused() {
    let (mut pair, puppet) = linked_puppet();
    for _ in 0..20 {
        // It answers nobody for the time, so it has to be heard.
        pair.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
        pair.run_for(SECOND);
        if !told(&pair, &puppet).is_empty() {
            break;
        }
    }
    let Some(Probe::Ask(ProbeSize { nonce, bytes })) = told(&pair, &puppet).pop() else { panic!("no ask") };
    let before = misbehaved(&pair).len();
    let report = |bytes, micros| Probe::Report(ProbeReport { nonce, bytes, micros });
    say(&mut pair, &puppet, report(1, 1));
    say(&mut pair, &puppet, Probe::Agree(ProbeSize { nonce, bytes: bytes + 1 }));
    say(&mut pair, &puppet, Probe::Agree(ProbeSize { nonce, bytes: FILLER - 1 }));
    assert_eq!(pair.sent(0, "probe.filler"), 0);
    say(&mut pair, &puppet, Probe::Agree(ProbeSize { nonce, bytes: FILLER + 1 }));
    assert_eq!(pair.sent(0, "probe.filler"), 2, "a whole one and the rest");
    say(&mut pair, &puppet, Probe::Agree(ProbeSize { nonce, bytes: FILLER }));
    for (bytes, micros) in [(0, 1), (FILLER + 2, 1), (FILLER, 0), (FILLER, u32::MAX)] {
        say(&mut pair, &puppet, report(bytes, micros));
    }
    let unexpected = [Code::UnexpectedMessage; 4].into_iter();
    let wanted: Vec<Code> = unexpected.chain([Code::InvalidMessage; 4]).collect();
    assert_eq!(misbehaved(&pair)[before..], wanted);
    say(&mut pair, &puppet, report(FILLER, 65_536));
    let rows = pair.status(0).links;
    let row = rows.iter().find(|row| row.peer == puppet.key.id()).expect("linked still");
    assert_eq!((row.goodput_bps, row.goodput_by), (1_000_000, Some("probe")));
}
