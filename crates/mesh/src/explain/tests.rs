//! The words of `explain`, from values alone.

use meshline_protocol::NodeId;

use super::words::{link_kept, more, ms, percent, rate, span};
use super::{Facts, advice, why};
use crate::report::{AttemptRow, LinkEnds, LinkView, PeerRow, RouteRow};

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn name(id: &NodeId) -> String {
    ["zero", "one", "two", "three", "four"].get(usize::from(id.as_bytes()[0])).map_or("?", |name| *name).to_owned()
}

fn view(loss: f64, weight: u16, cost: u64) -> LinkView {
    LinkView { rtt_us: 1_000, jitter_us: 0, loss, goodput_bps: 80_000_000, weight, cost }
}

fn link(from: u8, to: u8, loss: f64, cost: u64) -> LinkEnds {
    LinkEnds {
        from: id(from),
        from_name: name(&id(from)),
        to: id(to),
        to_name: name(&id(to)),
        cost: Some(cost),
        there: Some(view(loss, 100, cost)),
        back: Some(view(loss, 100, cost)),
    }
}

fn way(rank: usize, path: &[u8], cost: u64) -> RouteRow {
    let path: Vec<NodeId> = path.iter().map(|hop| id(*hop)).collect();
    RouteRow { peer: id(2), name: "two".to_owned(), rank, hops: path.len(), path, cost, costs: vec![], share: 0 }
}

fn peer() -> PeerRow {
    PeerRow {
        id: id(2),
        name: "two".to_owned(),
        roles: vec!["node"],
        reachable: true,
        direct: false,
        via: None,
        path: vec![],
        hops: 0,
        cost: None,
        goodput_bps: 0,
        goodput_by: None,
        goodput_in_bps: 0,
        goodput_in_by: None,
        addresses: vec!["10.0.0.2:6001".parse().unwrap()],
        left: false,
    }
}

fn facts<'a>(peer: &'a PeerRow, ways: &'a [RouteRow], links: &'a [LinkEnds]) -> Facts<'a> {
    Facts {
        peer,
        through: None,
        relayed: false,
        listens: true,
        views: (false, false),
        advertises: true,
        ways,
        links,
        direct: None,
        damped: false,
        steered: None,
        clock: None,
        attempts: &[],
        proxy: None,
        name_of: &name,
    }
}

#[test]
fn the_way_in_use_stands_beside_the_next_best_with_both_costs() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 2_000), way(2, &[3, 2], 3_000)]);
    let links = [link(0, 1, 0.0, 500), link(1, 2, 0.0, 1_500)];
    assert_eq!(
        why(&facts(&peer, &ways, &links)),
        [
            "the way over one is used: 2.0 ms expected (zero to one 0.50 ms, one to two 1.5 ms)",
            "the next best, the way over three, would take 3.0 ms instead of 2.0 ms: 50 % more",
        ]
    );
    let alone = [way(1, &[2], 2_000)];
    let told = why(&facts(&peer, &alone, &[]));
    assert_eq!(told, ["the direct link is used: a message is expected to take 2.0 ms", "there is no other way"]);
}

#[test]
fn loss_on_the_direct_link_is_why_a_detour_is_taken() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 2_000), way(2, &[2], 9_000)]);
    let direct = link(0, 2, 0.12, 9_000);
    let facts = Facts { direct: Some(&direct), ..facts(&peer, &ways, &[]) };
    assert!(why(&facts).contains(&"the direct link to two would take 9.0 ms, because it loses 12 %".to_owned()));
    assert_eq!(advice(&facts), ["loss of 12 % on the link to two makes the way over one faster",]);
}

#[test]
fn what_is_avoided_by_configuration_is_said_to_be() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 2_000), way(2, &[2], 9_000)]);
    let mut direct = link(0, 2, 0.0, 9_000);
    direct.there = Some(view(0.0, 1_000, 9_000));
    let facts = Facts { direct: Some(&direct), ..facts(&peer, &ways, &[]) };
    let told = why(&facts);
    assert!(
        told.iter().any(|line| line.ends_with("because it is to be avoided: that makes 9.0 ms of 0.90 ms")),
        "{told:?}"
    );
    assert_eq!(advice(&facts), ["the link between zero and two is avoided by the configuration of zero"]);
}

#[test]
fn a_link_that_only_one_end_claims_does_not_count() {
    let peer = peer();
    let mut direct = link(0, 2, 0.0, 0);
    (direct.cost, direct.back) = (None, None);
    let told = why(&Facts { direct: Some(&direct), ..facts(&peer, &[], &[]) });
    assert_eq!(
        told,
        [
            "no chain of links that both of their ends claim leads to two",
            "only zero claims the direct link and two does not: it does not count"
        ]
    );
}

#[test]
fn a_way_that_the_configuration_wants_is_told_and_missed() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 5_000), way(2, &[2], 1_000)]);
    let told = why(&Facts { steered: Some(id(1)), ..facts(&peer, &ways, &[]) });
    assert!(told.contains(&"the configuration wants it reached through one (routing.via)".to_owned()), "{told:?}");
    assert!(told.contains(&"the direct link would take 1.0 ms instead of 5.0 ms, and is the spare one".to_owned()));
    let told = why(&Facts { steered: Some(id(3)), ..facts(&peer, &ways, &[]) });
    assert!(told.iter().any(|line| line.ends_with("but there is no way over three now")), "{told:?}");
}

#[test]
fn a_damped_link_is_told_with_what_to_do() {
    let peer = peer();
    let facts = Facts { damped: true, ..facts(&peer, &[], &[]) };
    assert!(why(&facts).iter().any(|line| line.starts_with("the direct link to two came and went too often")));
    assert_eq!(advice(&facts), ["the link to two breaks again and again: look at the line, or at its log"]);
}

#[test]
fn who_cannot_be_dialled_is_told_what_it_takes() {
    let silent = PeerRow { addresses: vec![], ..peer() };
    let of = |listens, views| advice(&Facts { listens, views, ..facts(&silent, &[], &[]) }).concat();
    assert!(
        of(true, (false, false))
            .starts_with("two has no address others can reach: give it a listen address or a proxy")
    );
    assert!(of(false, (false, false)).starts_with("neither this node nor two listens"));
    assert!(of(false, (true, true)).contains("are both views: neither listens"));
    let linked = PeerRow { direct: true, ..silent.clone() };
    assert!(advice(&facts(&linked, &[], &[])).is_empty());
}

fn attempt(transport: &'static str, outcome: &'static str) -> AttemptRow {
    AttemptRow {
        ago_ms: 1,
        transport,
        address: "10.0.0.2:6001".to_owned(),
        outcome,
        detail: String::new(),
        lasted_ms: None,
        via: None,
    }
}

/// A link that ended two minutes ago.
fn end(transport: &'static str, outcome: &'static str) -> AttemptRow {
    AttemptRow { ago_ms: 130_000, lasted_ms: Some(660_000), ..attempt(transport, outcome) }
}

#[test]
fn whoever_was_linked_is_said_to_have_been_and_needs_no_address() {
    let silent = PeerRow { addresses: vec![], ..peer() };
    let attempts = [attempt("inbound", "up"), end("inbound", "connection_lost")];
    let told = advice(&Facts { attempts: &attempts, ..facts(&silent, &[], &[]) });
    assert_eq!(told, ["two was linked until 2 min ago (connection_lost): see whether it runs"]);
    let linked = PeerRow { direct: true, ..silent.clone() };
    assert!(advice(&Facts { attempts: &attempts, ..facts(&linked, &[], &[]) }).is_empty());
    let attempts = [end("inbound", "not_needed")];
    assert!(advice(&Facts { attempts: &attempts, ..facts(&silent, &[], &[]) }).is_empty(), "somebody wanted that");
    // The end of a link is no attempt that came to nothing.
    let attempts = [end("tcp", "link_timeout")];
    let told = advice(&Facts { attempts: &attempts, ..facts(&peer(), &[], &[]) });
    assert_eq!(told, ["two was linked until 2 min ago (link_timeout): see whether it runs"]);
}

#[test]
fn the_proxy_of_a_link_that_ended_is_named() {
    let (peer, attempts) = (peer(), [end("relay", "connection_lost")]);
    let of = |linked| {
        let proxy = Some(("three".to_owned(), linked));
        advice(&Facts { attempts: &attempts, proxy, ..facts(&peer, &[], &[]) })
    };
    let start = "the link with two through three ended 2 min ago (connection_lost), and three is";
    assert_eq!(of(false), [format!("{start} not linked either: see whether it runs")]);
    assert_eq!(of(true), [format!("{start} linked: see whether two runs and reaches it")]);
}

#[test]
fn a_relayed_link_that_one_end_claims_is_not_called_direct() {
    let (peer, attempts) = (peer(), [end("relay", "connection_lost")]);
    let mut direct = link(0, 2, 0.0, 0);
    (direct.cost, direct.there) = (None, None);
    let relayed = Facts { direct: Some(&direct), attempts: &attempts, ..facts(&peer, &[], &[]) };
    let words = "only two claims the link through a proxy and zero does not: it does not count";
    assert!(why(&relayed).contains(&words.to_owned()), "{:?}", why(&relayed));
}

#[test]
fn where_this_host_has_no_route_no_firewall_is_looked_for() {
    let peer = peer();
    for detail in ["Network is unreachable (os error 101)", "an unreachable network (os error 10051)"] {
        let attempts = [AttemptRow { detail: detail.to_owned(), ..attempt("tcp", "unreachable") }];
        let told = advice(&Facts { attempts: &attempts, ..facts(&peer, &[], &[]) }).concat();
        assert!(told.starts_with("this host has no route to 10.0.0.2:6001: "), "{told}");
        assert!(!told.contains("firewall"), "{told}");
    }
}

#[test]
fn the_last_direct_attempt_says_what_to_look_at() {
    let peer = peer();
    for (outcome, word) in [
        ("unreachable", "firewall"),
        ("identity_mismatch", "another key"),
        ("not_member", "config-tool invite"),
        ("wrong_network", "another network"),
        ("wrong_version", "another version"),
        ("tls_failed", "no member"),
        ("too_many_links", "max_links"),
        ("handshake_timeout", "busy"),
    ] {
        let attempts = [attempt("tcp", outcome), attempt("relay", "up")];
        let told = advice(&Facts { attempts: &attempts, ..facts(&peer, &[], &[]) }).concat();
        assert!(told.contains(word), "{outcome}: {told}");
    }
    let attempts = [attempt("tcp", "up")];
    assert!(advice(&Facts { attempts: &attempts, ..facts(&peer, &[], &[]) }).is_empty());
}

#[test]
fn clocks_that_differ_by_more_than_they_may_are_told_with_the_side() {
    let peer = peer();
    let of = |offset, error| advice(&Facts { clock: Some((offset, error)), ..facts(&peer, &[], &[]) });
    assert!(of(4_000_000, 0).is_empty() && of(-6_000_000, 2_000_000).is_empty());
    assert_eq!(
        of(31_536_000_000_000, 500),
        ["the clock of two is 365 days ahead of this one's: set whichever is wrong"]
    );
    assert_eq!(of(-300_000_000, 500), ["the clock of two is 5 min behind this one's: set whichever is wrong"]);
}

#[test]
fn one_member_that_all_ways_pass_is_named() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 2_000), way(2, &[3, 1, 2], 3_000)]);
    let told = advice(&facts(&peer, &ways, &[])).concat();
    assert!(told.starts_with("all ways to two pass one (2.0 ms at best)"), "{told}");
    let ways = [way(1, &[1, 2], 2_000), way(2, &[3, 2], 3_000)];
    assert!(advice(&facts(&peer, &ways, &[])).is_empty());
}

#[test]
fn a_link_that_was_never_measured_is_named_with_what_it_counts_as() {
    let (peer, ways) = (peer(), [way(1, &[1, 2], 2_000), way(2, &[3, 2], 3_000)]);
    let mut links = [link(0, 1, 0.0, 500), link(1, 2, 0.0, 1_500)];
    assert!(advice(&facts(&peer, &ways, &links)).is_empty());
    links[1].there.as_mut().unwrap().goodput_bps = 0;
    let told = advice(&facts(&peer, &ways, &links));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("what the link from one to two carries was never measured: it counts as 50.0 Mbit/s"));
    links[1].there.as_mut().unwrap().goodput_bps = 1;
    links[1].back.as_mut().unwrap().goodput_bps = 0;
    assert!(advice(&facts(&peer, &ways, &links)).is_empty(), "only the way there counts");
}

#[test]
fn figures_are_short() {
    assert_eq!([ms(30), ms(1_250), ms(250_400)], ["0.03 ms", "1.2 ms", "250 ms"]);
    assert_eq!([percent(0.004), percent(0.3)], ["0.4 %", "30 %"]);
    assert_eq!(
        [rate(0), rate(64_000), rate(9_540_000), rate(940_000_000), rate(149_796_500_000)],
        ["a rate not measured yet", "64 kbit/s", "9.5 Mbit/s", "940 Mbit/s", "150 Gbit/s"]
    );
    assert_eq!([more(100, 150), more(100, 350), more(0, 0)], ["50 % more", "3 times as much", "0 % more"]);
    assert_eq!([span(30_000_000), span(10_800_000_000)], ["30 s", "3 h"]);
}

#[test]
fn a_link_of_a_bounded_set_says_what_both_ends_keep_it_for() {
    assert_eq!(
        link_kept("two", &["ring", "far"], &[]),
        "this node keeps the link for ring, far, two for nothing of its own"
    );
}
