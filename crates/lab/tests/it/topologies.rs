//! Networks of hosts that have nothing but cables: which ways are taken, and what becomes of them when a cable or a
//! member goes, hears nothing, loses, comes and goes, or lies.

use std::time::Duration;

use meshline_lab::{
    Cable, Carried, Direction, Insider, Lab, LaidCable, Member, Process, Ring, Site, TlsStranger, program, until,
    within,
};
use serde_json::{Value, json};

use crate::clock::shift;
use crate::routes::{wait_for_way, way};

/// A silent break shows within 21.5 s where there is no traffic, a link that is told again within 10 s is better, and
/// whoever is redialled waits: the sum, and a busy machine.
const HEALED: Duration = Duration::from_secs(60);

/// Nodes on hosts of their own, and the cables between them.
struct Web {
    nodes: Vec<Member>,
    cables: Vec<LaidCable>,
    sites: Vec<Site>,
    _ring: Ring,
}

/// Lays the cables and starts nobody. Members are counted from 0: bobby, donald, eddy, peer-4, peer-5.
fn web(count: usize, cables: &[(usize, usize, Cable)]) -> Option<Web> {
    let lab = Lab::with_cables()?;
    let sites: Vec<Site> = (0..count).map(|_| lab.site_apart()).collect();
    let cables = cables.iter().map(|(from, to, cable)| lab.cable(&sites[*from], &sites[*to], *cable)).collect();
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let nodes = (1..=count).filter_map(|number| u16::try_from(number).ok()).map(|number| ring.node(number)).collect();
    Some(Web { nodes, cables, sites, _ring: ring })
}

/// As [`web`], and all members run.
fn running(count: usize, cables: &[(usize, usize, Cable)]) -> Option<Web> {
    let mut web = web(count, cables)?;
    web.nodes.iter_mut().for_each(Member::start);
    Some(web)
}

const NEAR: Cable = Cable::new().delay_ms(1);
const FAR: Cable = Cable::new().delay_ms(20);

/// Echoes from one member to another, one after the other: a link that carries something is missed much sooner than an
/// idle one.
fn echoes(web: &Web, from: usize, to: &str) -> Process {
    again_and_again(web, from, &["trace", to])
}

/// A command of a node, over and over.
fn again_and_again(web: &Web, from: usize, words: &[&str]) -> Process {
    let mut command = web.sites[from].bound_command("sh");
    command.args(["-c", "while :; do \"$0\" \"$@\" || :; done"]);
    command.arg(program("node")).args(words).arg("--config").arg(web.nodes[from].config());
    Process::start(words[0], command)
}

/// Waits for a way while echoes go to its end.
#[track_caller]
fn wait_in_traffic(web: &Web, from: usize, path: &[&str]) {
    let to = path.last().copied().unwrap_or_default();
    let _echoes = echoes(web, from, to);
    let from = &web.nodes[from];
    within(HEALED, &format!("{} reaches {to} over {path:?}", from.name()), || {
        let found = way(from, to)?;
        if found == path { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Whether a member has a link to another.
fn is_linked(node: &Member, to: &str) -> bool {
    node.linked().iter().any(|name| name == to)
}

#[test]
fn a_square_is_crossed_on_its_cheap_side_and_on_the_other_when_that_is_cut() {
    let sides = [(0, 1, NEAR), (1, 2, NEAR), (2, 3, FAR), (3, 0, FAR)];
    let Some(mut web) = running(4, &sides) else { return };
    wait_for_way(&web.nodes[0], &["donald", "eddy"]);
    wait_for_way(&web.nodes[2], &["donald", "bobby"]);
    web.cables[0].cut(Direction::Both);
    wait_in_traffic(&web, 0, &["peer-4", "eddy"]);
    wait_in_traffic(&web, 1, &["eddy", "peer-4", "bobby"]);
    assert_eq!(web.nodes[0].ask(&["trace", "donald"]).code, Some(0), "the long way round");
    web.cables[0].mend(Direction::Both);
    wait_in_traffic(&web, 0, &["donald", "eddy"]);
}

#[test]
fn two_islands_are_apart_while_their_bridge_is_dead() {
    let edges = [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)].map(|(from, to)| (from, to, NEAR));
    let Some(mut web) = running(5, &edges) else { return };
    let pairs = [(0, "peer-4"), (1, "peer-5"), (3, "bobby"), (4, "donald")];
    let across = |web: &Web| {
        for (from, to) in pairs {
            until("the other island is reached over the bridge", || {
                let path = way(&web.nodes[from], to)?;
                if path.iter().any(|hop| hop == "eddy") { Ok(()) } else { Err(format!("{path:?}")) }
            });
        }
    };
    across(&web);
    web.nodes[2].process_mut().kill();
    for (from, to) in pairs {
        until("nobody is reached across", || match web.nodes[from].peer(to) {
            Some(row) if row["reachable"] == false => Ok(()),
            row => Err(format!("{row:?}")),
        });
        assert_eq!(web.nodes[from].ask(&["trace", to]).code, Some(4));
    }
    for (from, to) in [(0, "donald"), (3, "peer-5")] {
        assert_eq!(web.nodes[from].ask(&["trace", to]).code, Some(0), "within an island");
    }
    let why = web.nodes[0].json(&["explain", "peer-4"])["why"].to_string();
    assert!(why.contains("no chain of links that both of their ends claim leads to peer-4"), "{why}");
    web.nodes[2].start();
    across(&web);
    assert_eq!(web.nodes[0].ask(&["trace", "peer-5"]).code, Some(0));
}

#[test]
fn a_cable_that_carries_one_way_only_is_no_link() {
    let Some(mut web) = running(3, &[(0, 1, NEAR), (1, 2, FAR), (0, 2, FAR)]) else { return };
    wait_for_way(&web.nodes[0], &["donald"]);
    wait_for_way(&web.nodes[1], &["bobby"]);
    web.cables[0].cut(Direction::Back);
    wait_in_traffic(&web, 0, &["eddy", "donald"]);
    wait_in_traffic(&web, 1, &["eddy", "bobby"]);
    assert!(!is_linked(&web.nodes[0], "donald") && !is_linked(&web.nodes[1], "bobby"));
    let [_, back] = web.cables[0].carried();
    assert!(back.swallowed > 0, "{back:?}");
    web.cables[0].mend(Direction::Back);
    wait_in_traffic(&web, 0, &["donald"]);
}

/// How often the best way to anybody changed at a member.
fn changes(node: &Member) -> u64 {
    node.status()["routing"]["changes"].as_u64().expect("a number")
}

/// Cuts the cable between bobby and donald until bobby has missed it, and mends it until bobby has it back.
fn flap(web: &mut Web) {
    for is_up in [false, true] {
        web.cables[0].change(Direction::Both, |cable| cable.cut(!is_up));
        within(HEALED, "the link comes and goes", || {
            if is_linked(&web.nodes[0], "donald") == is_up { Ok(()) } else { Err(format!("not {is_up}")) }
        });
    }
}

/// Ends of a link until it is damped, if they come fast enough: three, and one more for each time the penalty halves.
const FLAPS: usize = 8;

#[test]
fn a_link_that_flaps_is_left_out_and_moves_no_ways_any_more() {
    let Some(mut web) = running(3, &[(0, 1, NEAR), (1, 2, FAR), (0, 2, FAR)]) else { return };
    wait_for_way(&web.nodes[0], &["donald"]);
    let echoes = echoes(&web, 0, "donald");
    let is_damped = |web: &Web| web.nodes[0].status()["routing"]["damped"] == 1;
    let flaps = (1..=FLAPS).find(|_| {
        flap(&mut web);
        is_damped(&web)
    });
    flaps.expect("it is damped before that");
    drop(echoes);
    for (from, path) in [(0, ["eddy", "donald"]), (1, ["eddy", "bobby"])] {
        wait_for_way(&web.nodes[from], &path);
    }
    let before: Vec<u64> = web.nodes.iter().map(changes).collect();
    // No ways lead over the link any more, and with nothing on it a cut is noticed when the penalty may be over.
    let chatter = again_and_again(&web, 0, &["chat", "send", "is it there?"]);
    flap(&mut web);
    drop(chatter);
    assert!(is_damped(&web), "one more end holds it out longer");
    assert_eq!(web.nodes.iter().map(changes).collect::<Vec<_>>(), before, "nobody's ways changed");
}

#[test]
fn an_idle_link_measures_its_cable() {
    let delays = [1, 20, 100];
    let cables: Vec<_> = delays.iter().enumerate().map(|(n, ms)| (0, n + 1, Cable::new().delay_ms(*ms))).collect();
    let Some(web) = running(4, &cables) else { return };
    for (delay_ms, name) in delays.into_iter().zip(["donald", "eddy", "peer-4"]) {
        let round_us = 2 * delay_ms * 1000;
        let off_by = (round_us / 10).max(500);
        until(&format!("the least round trip to {name} is {round_us} µs, give or take {off_by}"), || {
            let least = link(&web.nodes[0], name)?["min_rtt_us"].as_u64().ok_or("not measured")?;
            assert!(least >= round_us, "{least} µs is less than the cable takes");
            if least <= round_us + off_by { Ok(()) } else { Err(format!("{least} µs")) }
        });
    }
}

/// The row of `status` of a link.
fn link(node: &Member, name: &str) -> Result<Value, String> {
    let status = node.try_json(&["status"])?;
    let links = status["links"].as_array().cloned().unwrap_or_default();
    links.into_iter().find(|link| link["name"] == name).ok_or_else(|| "no link".to_owned())
}

#[test]
fn a_member_that_starts_with_a_clock_a_year_off_carries_for_others() {
    for by in ["-1y", "+1y"] {
        let Some(mut web) = web(4, &[(0, 1, NEAR), (1, 2, NEAR), (2, 3, FAR), (3, 0, FAR)]) else { return };
        if !shift(&mut web.nodes[1], by) {
            return;
        }
        for right in [0, 2, 3] {
            web.nodes[right].start();
        }
        wait_for_way(&web.nodes[0], &["peer-4", "eddy"]);
        web.nodes[1].start();
        wait_for_way(&web.nodes[0], &["donald", "eddy"]);
        wait_for_way(&web.nodes[2], &["donald", "bobby"]);
        let offset = link(&web.nodes[0], "donald").expect("linked")["clock_offset_us"].as_i64().expect("a number");
        assert!(offset.abs() > 30_000_000_000_000, "{by}: {offset} µs");
        // What the wrong clock signs after a restart is newer than what it signed before.
        web.nodes[1].process_mut().kill();
        wait_for_way(&web.nodes[0], &["peer-4", "eddy"]);
        web.nodes[1].start();
        wait_for_way(&web.nodes[0], &["donald", "eddy"]);
        assert_eq!(web.nodes[0].ask(&["trace", "eddy"]).code, Some(0), "{by}");
    }
}

/// Frames after which a share of lost ones is compared: there are some three hundred among them.
const FRAMES: u64 = 1000;

/// What was lost of what was sent since an earlier look, and how much that was.
fn lost(cable: &mut LaidCable, before: Carried) -> (f64, u64) {
    let [now, _] = cable.carried();
    let lost = now.lost - before.lost;
    let all = now.frames - before.frames + lost;
    let share = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    (share(lost) / share(all.max(1)), all)
}

#[test]
fn a_link_that_loses_says_how_much_and_is_avoided() {
    let (near, clean) = (Cable::new().delay_us(500), Cable::new().delay_ms(2));
    let Some(mut web) = running(3, &[(0, 1, near.seed(7)), (1, 2, clean), (0, 2, clean)]) else { return };
    wait_for_way(&web.nodes[0], &["donald"]);
    let [before, _] = web.cables[0].carried();
    web.cables[0].change(Direction::Forth, |is| is.loss_percent(30.0));
    let text = "x".repeat(16_000);
    let mut count = 0;
    within(HEALED, "the loss is told within two points", || {
        count += 1;
        // Every linked member gets it, over a link that loses too.
        let _ = web.nodes[0].ask(&["chat", "send", &format!("{count} {text}")]);
        let (lost, frames) = lost(&mut web.cables[0], before);
        let told = link(&web.nodes[0], "donald")?["loss"].as_f64().ok_or("no number")?;
        let is_close = frames >= FRAMES && (told - lost).abs() <= 0.02;
        if is_close { Ok(()) } else { Err(format!("{told} is told, {lost} of {frames} frames were lost (seed 7)")) }
    });
    wait_for_way(&web.nodes[0], &["eddy", "donald"]);
    let [_, back] = web.cables[0].carried();
    assert_eq!(back.lost, 0, "the other direction loses nothing");
}

#[test]
fn a_member_that_advertises_nonsense_moves_no_honest_way() {
    if !TlsStranger::is_possible() {
        return;
    }
    let Some(mut web) = web(4, &[(0, 1, FAR), (1, 2, FAR), (0, 3, NEAR)]) else { return };
    web.nodes[..3].iter_mut().for_each(Member::start);
    let honest = |web: &Web| {
        wait_for_way(&web.nodes[0], &["donald", "eddy"]);
        wait_for_way(&web.nodes[2], &["donald", "bobby"]);
        assert_eq!(web.nodes[0].ask(&["trace", "eddy"]).code, Some(0));
    };
    honest(&web);
    let ids: Vec<String> = web.nodes[..3].iter().map(Member::id).collect();
    let before = changes(&web.nodes[0]);
    let mut liar = Insider::join(&web.sites[3], web.nodes[3].config(), &format!("{}:6001", web.sites[0].address()));
    // The link it has, and better ones that it has not: to eddy, to itself, to nobody. Whom it claims to be linked to is
    // not told what it says, so donald is left out.
    let free = |peer: &str| json!({"peer": peer, "rtt_us": 0, "goodput_kbps": u32::MAX, "weight": 1});
    let nobody = "a".repeat(52);
    liar.advertise(&json!([free(&ids[0]), free(&ids[2]), free(&liar.id()), free(&nobody)]));
    wait_for_way(&web.nodes[0], &["peer-4"]);
    wait_for_way(&web.nodes[1], &["bobby", "peer-4"]);
    honest(&web);
    // Sums of such costs would not fit.
    let dear = |peer: &str| {
        json!({"peer": peer, "rtt_us": u32::MAX, "jitter_us": u32::MAX, "loss_ppm": u32::MAX, "goodput_kbps": 1,
            "weight": u16::MAX})
    };
    liar.advertise(&json!([dear(&ids[0]), dear(&ids[0]), dear(&ids[2])]));
    honest(&web);
    liar.advertise(&json!([]));
    until("nobody believes a link that one end does not claim", || match way(&web.nodes[1], "peer-4") {
        Err(_) => Ok(()),
        Ok(path) => Err(format!("{path:?}")),
    });
    honest(&web);
    assert_eq!(changes(&web.nodes[0]) - before, 2, "a way to the liar came and went, no other");
}
