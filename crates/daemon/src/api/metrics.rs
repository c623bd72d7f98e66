//! Counters in the text form of Prometheus.

mod gateway;
#[cfg(feature = "ledger")]
mod ledger;
mod udp;

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use meshline_mesh::{
    LinkSetReport, NatReport, PeerRow, PunchReport, RebuildReport, RelayMemberRow, RelayReport, RoutingReport,
    SpreadReport, Status, TimeReport,
};
use meshline_net::BytesByPath;
use meshline_services::chat::Report;
use meshline_services::discovery;

use super::Api;
use super::chat::report;
use super::problem::Problem;
use super::reads::{read_status, rows};
use super::services;
use crate::topics::TopicRow;

pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let (status, chat, rows) = tokio::join!(read_status(&api), report(&api), rows(&api));
    let (status, chat, rows) = (status?, chat?, rows?);
    let directory = directory(&services::report(&api).await?);
    let text =
        [text(&status), chat_text(&chat), peers(&status, &rows), nat(&status.nat), routing(&status.routing)].concat();
    let text = text + &status.relay.as_ref().map(relay).unwrap_or_default();
    let text = text
        + &punch(&status.punch)
        + &network_time(&status.time)
        + &spread(&status.spread)
        + &rebuild(&status.rebuild);
    let text = text + &gateway::text(&api.gateway.report()) + &gateway::tunnels(&api.mesh.tunnels().reports());
    let text = text + &topics(&api.gateway.topics()) + &directory + &udp::text(&api.mesh.udp(), &api.mesh.companions());
    let text = text + &by_path(&api.mesh.bytes_by_path());
    #[cfg(feature = "ledger")]
    let text = text + &ledger::text(&api.ledger).await;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// What a sample says of itself, and its lines.
fn family(kind: &str, name: &str, help: &str, lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("meshline_{name}{line}\n")).collect();
    format!("# HELP meshline_{name} {help}\n# TYPE meshline_{name} {kind}\n{lines}")
}

/// Other members by the way they are reached.
fn peers(status: &Status, rows: &[PeerRow]) -> String {
    let relayed = |row: &PeerRow| status.links.iter().any(|link| link.peer == row.id && link.transport == "relay");
    ways(&rows.iter().map(|row| way(row.direct, row.reachable, relayed(row))).collect::<Vec<_>>())
}

/// How a member is reached.
fn way(direct: bool, reachable: bool, relayed: bool) -> &'static str {
    match (direct, reachable) {
        (true, _) => "direct",
        (false, true) if relayed => "relay",
        (false, true) => "multihop",
        (false, false) => "none",
    }
}

fn ways(words: &[&str]) -> String {
    let count = |word: &str| words.iter().filter(|other| **other == word).count();
    let lines = ["direct", "relay", "multihop", "none"].map(|word| format!("{{path=\"{word}\"}} {}", count(word)));
    family("gauge", "peers", "other members by the way they are reached", &lines)
}

/// What went over links that are relayed, and what over all others.
fn by_path(bytes: &BytesByPath) -> String {
    let row =
        |path: &str, direction: &str, count: u64| format!("{{path=\"{path}\",direction=\"{direction}\"}} {count}");
    let lines = [("direct", bytes.direct), ("relay", bytes.relay)]
        .map(|(path, bytes)| [row(path, "sent", bytes.sent), row(path, "received", bytes.received)]);
    family("counter", "path_bytes_total", "bytes of frames by the way that links go", lines.as_flattened())
}

/// What a proxy relays, by member.
fn relay(report: &RelayReport) -> String {
    let gauge = |name: &str, help: &str, value: usize| family("gauge", name, help, &[format!(" {value}")]);
    let by_member = |of: fn(&RelayMemberRow) -> u64| -> Vec<String> {
        report.members.iter().map(|row| format!("{{member=\"{}\"}} {}", row.member, of(row))).collect()
    };
    let pairs = by_member(|row| u64::try_from(row.pairs).unwrap_or(u64::MAX));
    let refusals =
        report.members.iter().flat_map(|row| row.refused.iter().map(move |(code, count)| (row, code, count)));
    let refused: Vec<String> =
        refusals.map(|(row, code, count)| format!("{{member=\"{}\",code=\"{code}\"}} {count}", row.member)).collect();
    [
        gauge("relay_pairs", "links relayed", report.pairs),
        gauge("relay_waiting", "links asked for that are not there yet", report.waiting),
        family("gauge", "relay_member_pairs", "links relayed, by member", &pairs),
        family("counter", "relay_bytes_total", "bytes relayed, both ways, by member", &by_member(|row| row.bytes)),
        family("counter", "relay_refused_total", "refused requests, by member and name", &refused),
    ]
    .concat()
}

/// Network time against the clock of this member.
fn network_time(time: &TimeReport) -> String {
    let sign = if time.offset_us < 0 { "-" } else { "" };
    let offset = [format!(" {sign}{}", seconds(time.offset_us.unsigned_abs()))];
    let error = [format!(" {}", seconds(time.error_us))];
    [
        family("gauge", "network_time_offset_seconds", "network time less the clock of this member", &offset),
        family("gauge", "network_time_error_seconds", "bound on the error of that", &error),
        family("gauge", "network_time_members", "members whose clocks are in it", &[format!(" {}", time.members)]),
    ]
    .concat()
}

fn punch(report: &PunchReport) -> String {
    let by = |label: &str, counts: &std::collections::BTreeMap<&'static str, u64>| -> Vec<String> {
        counts.iter().map(|(word, count)| format!("{{{label}=\"{word}\"}} {count}")).collect()
    };
    let probes = [format!(" {}", report.probes_sent)];
    [
        family("counter", "punch_probes_total", "packets sent to open direct ways", &probes),
        family(
            "counter",
            "punch_attempts_total",
            "attempts at direct ways by how they ended",
            &by("outcome", &report.attempts),
        ),
        family(
            "counter",
            "punch_refused_total",
            "packets and records of attempts refused",
            &by("reason", &report.refused),
        ),
    ]
    .concat()
}

/// The directory of services.
fn directory(report: &discovery::Report) -> String {
    let gauge = |name: &str, help: &str, value: usize| family("gauge", name, help, &[format!(" {value}")]);
    let refused: Vec<String> =
        report.refused.iter().map(|(code, count)| format!("{{code=\"{code}\"}} {count}")).collect();
    [
        gauge("services", "services in the directory", report.services),
        gauge("services_owners", "members that offer any", report.owners),
        gauge("services_own", "services that this member offers", report.own),
        gauge("services_damped", "services that come and go too often to tell", report.damped),
        gauge("services_bytes", "bytes of signed lists kept", report.bytes),
        family("counter", "services_published_total", "lists sent", &[format!(" {}", report.published)]),
        family("counter", "services_refused_total", "lists refused by name", &refused),
    ]
    .concat()
}

/// Readings that this member publishes.
fn topics(rows: &[TopicRow]) -> String {
    let by = |of: fn(&TopicRow) -> u64| -> Vec<String> {
        rows.iter().map(|row| format!("{{topic=\"{}\"}} {}", row.name, of(row))).collect()
    };
    [
        family("counter", "topic_readings_total", "readings of a topic", &by(|row| row.readings)),
        family("counter", "topic_refused_total", "readings that were too long", &by(|row| row.refused)),
        family("counter", "topic_missed_total", "readings that slow readers missed", &by(|row| row.missed)),
        family("gauge", "topic_readers", "readers of a topic", &by(|row| row.readers)),
    ]
    .concat()
}

/// Messages to all.
fn spread(report: &SpreadReport) -> String {
    let one = |value: u64| [format!(" {value}")];
    let gauge = |value: usize| one(u64::try_from(value).unwrap_or(u64::MAX));
    let both = |sent: u64, received: u64| {
        [format!("{{direction=\"sent\"}} {sent}"), format!("{{direction=\"received\"}} {received}")]
    };
    let announced = both(report.announcements_sent, report.announcements_received);
    let grafts = both(report.grafts_sent, report.grafts_received);
    let prunes = both(report.prunes_sent, report.prunes_received);
    [
        family(
            "gauge",
            "spread_eager_links",
            "links on which messages to all are handed over",
            &gauge(report.eager_links),
        ),
        family("gauge", "spread_missing", "messages that were announced and are not here yet", &gauge(report.missing)),
        family(
            "counter",
            "spread_copies_total",
            "copies of messages to all",
            &both(report.copies_sent, report.copies_received),
        ),
        family("counter", "spread_copies_again_total", "copies of what was here already", &one(report.copies_again)),
        family("counter", "spread_announced_total", "names of messages announced", &announced),
        family("counter", "spread_grafts_total", "links taken into the tree", &grafts),
        family("counter", "spread_prunes_total", "links taken out of the tree", &prunes),
    ]
    .concat()
}

/// Links chosen anew by all.
fn rebuild(report: &RebuildReport) -> String {
    let state = [format!("{{state=\"{}\"}} 1", report.state)];
    let orders =
        [format!("{{outcome=\"done\"}} {}", report.done), format!("{{outcome=\"skipped\"}} {}", report.skipped)];
    let one = |value: usize| [format!(" {value}")];
    let shape = [format!("{{shape=\"{}\"}} 1", report.shape)];
    [
        family("gauge", "rebuild", "the order to choose all links anew that stands, or the last one", &state),
        family("counter", "rebuilds_total", "such orders by what became of them here", &orders),
        family("gauge", "rebuild_known_by", "members that have it", &one(report.known_by)),
        family("gauge", "rebuild_proposals", "members that propose one", &one(report.proposals)),
        family("gauge", "mesh_shape", "the shape of the mesh as this member finds it", &shape),
        family("gauge", "mesh_longest_way", "links on the longest of the best ways", &one(report.longest_way)),
    ]
    .concat()
}

/// Address translation: the words as labels, the rest in numbers.
fn nat(report: &NatReport) -> String {
    let words = [format!("{{mapping=\"{}\",filtering=\"{}\"}} 1", report.mapping, report.filtering)];
    let seen = [format!(" {}", report.udp.len())];
    let of = |verified: bool| report.mapped.iter().filter(|row| row.verified == verified).count();
    let mapped = [true, false].map(|verified| format!("{{verified=\"{verified}\"}} {}", of(verified)));
    [
        family(
            "gauge",
            "nat",
            "how ports outside follow from the destination, and from where datagrams get in",
            &words,
        ),
        family("gauge", "nat_addresses", "addresses at which others see datagrams of this member", &seen),
        family("gauge", "nat_mapped_ports", "ports that routers say they forward here", &mapped),
    ]
    .concat()
}

fn routing(report: &RoutingReport) -> String {
    let one = |value: u64| [format!(" {value}")];
    let count = |value: usize| one(u64::try_from(value).unwrap_or(u64::MAX));
    let dropped: Vec<String> =
        report.dropped.iter().map(|(reason, count)| format!("{{reason=\"{reason}\"}} {count}")).collect();
    [
        family("gauge", "routes", "ways to all members together", &count(report.routes)),
        family("gauge", "advertisements", "members whose links are known", &count(report.advertisements)),
        family("gauge", "advertised_links", "links that both ends claim", &count(report.links)),
        family("gauge", "damped_links", "own links that come and go too often", &count(report.damped)),
        family("counter", "route_changes_total", "best ways that became other ones", &one(report.changes)),
        family("counter", "datagrams_forwarded_total", "datagrams of others passed on", &one(report.forwarded)),
        family("counter", "datagrams_dropped_total", "datagrams that went no further here, by reason", &dropped),
        round_trips(report),
    ]
    .concat()
}

/// A histogram counts in each bucket all that the ones before it count, in seconds.
fn round_trips(report: &RoutingReport) -> String {
    let trips = &report.round_trips;
    let mut below = 0;
    let buckets = trips.buckets.iter().map(|bucket| {
        below += bucket.count;
        format!("_bucket{{le=\"{}\"}} {below}", seconds(bucket.up_to_us))
    });
    let mut lines: Vec<String> = buckets.collect();
    lines.push(format!("_bucket{{le=\"+Inf\"}} {}", trips.count));
    lines.push(format!("_sum {}", seconds(trips.sum_us)));
    lines.push(format!("_count {}", trips.count));
    family("histogram", "link_rtt_seconds", "round trips measured on links", &lines)
}

/// The links of a bounded set. A link kept for several things counts for each.
fn kept_for(set: &LinkSetReport) -> String {
    let rows = [
        ("ring", set.ring),
        ("near", set.near),
        ("far", set.far),
        ("others", set.others),
        ("shortcuts", set.shortcuts),
        ("guests", set.guests),
    ];
    rows.into_iter().fold(String::new(), |mut lines, (purpose, count)| {
        let _ = writeln!(lines, "meshline_links_kept{{for=\"{purpose}\"}} {count}");
        lines
    })
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// All states have a line, so that a chart of one has no gaps.
fn state(now: &str) -> String {
    ["idle", "punching", "connected"].into_iter().fold(String::new(), |mut lines, state| {
        let _ = writeln!(lines, "meshline_state{{state=\"{state}\"}} {}", u8::from(state == now));
        lines
    })
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut sample = |kind: &str, name: &str, help: &str, value: String| {
        // A String takes whatever is written into it.
        let _ = write!(out, "# HELP meshline_{name} {help}\n# TYPE meshline_{name} {kind}\n{value}");
    };
    let gauge = |name: &str, value: u64| format!("meshline_{name} {value}\n");
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    sample("gauge", "up_seconds", "time since start", gauge("up_seconds", status.uptime_ms / 1_000));
    sample("gauge", "state", "1 for the state of this member", state(status.state));
    sample("gauge", "links", "links up", gauge("links", count(status.limits.links)));
    sample(
        "gauge",
        "handshakes",
        "connections without an accepted hello",
        gauge("handshakes", count(status.limits.handshakes)),
    );
    sample("gauge", "members", "members known", gauge("members", count(status.limits.members)));
    let book = |set: &LinkSetReport| {
        let (tried, heard) = (set.tried, set.heard);
        format!("meshline_book{{is=\"tried\"}} {tried}\nmeshline_book{{is=\"heard\"}} {heard}\n")
    };
    sample("gauge", "book", "members in the book of addresses", book(&status.limits.link_set));
    sample("gauge", "links_kept", "links by what they are kept for", kept_for(&status.limits.link_set));
    let bytes = |name: &str, of: fn(&meshline_mesh::LinkRow) -> u64| {
        status.links.iter().fold(String::new(), |mut lines, link| {
            let _ = writeln!(lines, "meshline_{name}{{peer=\"{}\"}} {}", link.peer, of(link));
            lines
        })
    };
    sample("counter", "sent_bytes_total", "bytes of frames sent", bytes("sent_bytes_total", |link| link.sent_bytes));
    sample(
        "counter",
        "received_bytes_total",
        "bytes of frames received",
        bytes("received_bytes_total", |link| link.received_bytes),
    );
    let refused = status.refused.iter().fold(String::new(), |mut lines, (code, count)| {
        let _ = writeln!(lines, "meshline_refused_total{{code=\"{code}\"}} {count}");
        lines
    });
    sample("counter", "refused_total", "refusals by name", refused);
    out
}

fn chat_text(chat: &Report) -> String {
    [
        ("messages", "messages kept", chat.messages),
        ("bytes", "bytes of signed texts kept", chat.bytes),
        ("durable", "1 if the last write to disk went well", usize::from(chat.durable)),
    ]
    .into_iter()
    .fold(String::new(), |mut out, (name, help, value)| {
        let name = format!("meshline_chat_{name}");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        out
    })
}

#[cfg(test)]
mod tests {
    use meshline_mesh::{
        PunchReport, RelayMemberRow, RelayReport, RoundTripBucket, RoundTrips, RoutingReport, SpreadReport,
    };
    use meshline_net::{BytesByPath, PathBytes};
    use meshline_protocol::NodeId;

    use super::{by_path, punch, relay, routing, spread, state, way, ways};

    #[test]
    fn members_are_counted_by_the_way_they_are_reached() {
        let words = [
            way(true, true, false),
            way(false, true, true),
            way(false, true, true),
            way(false, true, false),
            way(false, false, false),
        ];
        let text = ways(&words);
        let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("meshline_peers")).collect();
        let wanted = ["{path=\"direct\"} 1", "{path=\"relay\"} 2", "{path=\"multihop\"} 1", "{path=\"none\"} 1"];
        assert_eq!(found, wanted);
    }

    #[test]
    fn one_of_the_three_states_is_the_one() {
        let wanted = "meshline_state{state=\"idle\"} 0\nmeshline_state{state=\"punching\"} 1\n\
                      meshline_state{state=\"connected\"} 0\n";
        assert_eq!(state("punching"), wanted);
    }

    #[test]
    fn packets_and_attempts_at_direct_ways_and_bytes_over_proxies_are_counted() {
        let report = PunchReport {
            enabled: true,
            under_way: 1,
            probes_sent: 12,
            attempts: [("told", 2), ("no_way", 1)].into(),
            refused: [("rate_limited", 3)].into(),
        };
        let relay = PathBytes { sent: 5, received: 6 };
        let text = punch(&report) + &by_path(&BytesByPath { direct: PathBytes { sent: 7, received: 8 }, relay });
        for line in [
            "meshline_punch_probes_total 12",
            "meshline_punch_attempts_total{outcome=\"told\"} 2",
            "meshline_punch_attempts_total{outcome=\"no_way\"} 1",
            "meshline_punch_refused_total{reason=\"rate_limited\"} 3",
            "meshline_path_bytes_total{path=\"relay\",direction=\"sent\"} 5",
            "meshline_path_bytes_total{path=\"relay\",direction=\"received\"} 6",
            "meshline_path_bytes_total{path=\"direct\",direction=\"sent\"} 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_proxy_tells_what_it_relays_and_refuses_by_member() {
        let member = NodeId::from_bytes([1; 32]);
        let row = RelayMemberRow {
            member,
            name: "bobby".to_owned(),
            pairs: 2,
            bytes: 7,
            refused: [("rate_limited", 3)].into(),
        };
        let text = relay(&RelayReport { pairs: 1, waiting: 0, members: vec![row] });
        for line in [
            "meshline_relay_pairs 1".to_owned(),
            format!("meshline_relay_member_pairs{{member=\"{member}\"}} 2"),
            format!("meshline_relay_bytes_total{{member=\"{member}\"}} 7"),
            format!("meshline_relay_refused_total{{member=\"{member}\",code=\"rate_limited\"}} 3"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn messages_to_all_are_counted_both_ways() {
        let text =
            spread(&SpreadReport { copies_sent: 3, copies_received: 2, copies_again: 1, ..SpreadReport::default() });
        for line in [
            "meshline_spread_copies_total{direction=\"sent\"} 3",
            "meshline_spread_copies_total{direction=\"received\"} 2",
            "meshline_spread_copies_again_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn buckets_add_up_and_reasons_have_a_line_each() {
        let bucket = |up_to_us, count| RoundTripBucket { up_to_us, count };
        let report = RoutingReport {
            carries: true,
            advertisements: 3,
            radius: None,
            links: 6,
            routes: 4,
            damped: 0,
            changes: 7,
            forwarded: 5,
            dropped: [("no_route", 2), ("ttl_exceeded", 1)].into(),
            round_trips: RoundTrips {
                buckets: vec![bucket(100, 2), bucket(1_000_000, 3)],
                count: 6,
                sum_us: 2_500_000,
            },
        };
        let text = routing(&report);
        for line in [
            "meshline_routes 4",
            "meshline_advertisements 3",
            "meshline_route_changes_total 7",
            "meshline_datagrams_forwarded_total 5",
            "meshline_datagrams_dropped_total{reason=\"no_route\"} 2",
            "meshline_link_rtt_seconds_bucket{le=\"0.000100\"} 2",
            "meshline_link_rtt_seconds_bucket{le=\"1.000000\"} 5",
            "meshline_link_rtt_seconds_bucket{le=\"+Inf\"} 6",
            "meshline_link_rtt_seconds_sum 2.500000",
            "meshline_link_rtt_seconds_count 6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
