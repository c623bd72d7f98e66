//! Boxes over the panels: the keys, and what is known of one row.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear};

use super::lists::note;
use super::members::{name, names, reached};
use super::{links, write};
use crate::dashboard::{Dashboard, Panel, Series};
use crate::documents::{Bearer, Link, Peer, Route, Service};
use crate::text::{pad, wrap};
use crate::theme::Theme;
use crate::words::{condition, distance, micros, millis, percent, rate};

const HELP: [(&str, &str); 17] = [
    ("Tab, Shift-Tab, ←, →", "next, previous panel"),
    ("1 … 6", "members, links, routes, chat, services, events"),
    ("↑ ↓, j k, PgUp PgDn", "move through rows"),
    ("Home End, g G", "first, last row"),
    ("Enter", "all that is known of the row; in the chat: write"),
    ("/", "only rows with a text; Esc shows all again"),
    ("m", "write to all members; Enter sends, Esc keeps it"),
    ("z", "the panel alone, or all that fit"),
    ("r", "ask the member now"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "back to the shell until `fg`"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("bars", "the last two minutes at most, newest at the right"),
    ("GOODPUT", "what gets there; faint if only a probe tells"),
    ("COST", "expected delivery time"),
    ("… old", "the member has not answered for so long"),
];

pub(super) fn help(dashboard: &Dashboard, frame: &mut Frame<'_>, body: Rect) {
    let rows: Vec<(String, String)> = HELP.iter().map(|(key, does)| ((*key).to_owned(), (*does).to_owned())).collect();
    show(dashboard.settings.theme, frame, body, " Keys ", &rows);
}

pub(super) fn detail(dashboard: &mut Dashboard, frame: &mut Frame<'_>, body: Rect) {
    let panel = dashboard.focus;
    let chosen = dashboard.cursor(panel).chosen().unwrap_or_default().to_owned();
    let rows = match panel {
        Panel::Links => {
            dashboard.status.links.iter().find(|link| link.peer == chosen).map(|link| of_link(dashboard, link))
        }
        Panel::Members => of_member(dashboard, &chosen),
        Panel::Routes => {
            let route = dashboard.routes.iter().find(|route| format!("{} {}", route.peer, route.rank) == chosen);
            route.map(|route| of_route(dashboard, route))
        }
        Panel::Services => {
            let key = |service: &Service| format!("{} {} {}", service.kind, service.name, service.member);
            dashboard.services.iter().find(|service| key(service) == chosen).map(of_service)
        }
        Panel::Chat | Panel::Events => None,
    };
    let gone = || vec![(String::new(), "it is gone".to_owned())];
    show(dashboard.settings.theme, frame, body, " Details ", &rows.unwrap_or_else(gone));
}

type Rows = Vec<(String, String)>;

fn fact(label: &str, value: impl Into<String>) -> (String, String) {
    (label.to_owned(), value.into())
}

fn of_link(dashboard: &Dashboard, link: &Link) -> Rows {
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), micros);
    let bearers = link.bearers.iter().map(|Bearer { transport, address, works }| {
        format!("{transport} {address}{}", if *works { "" } else { " (does not pass)" })
    });
    let by = link.goodput_by.as_ref().filter(|_| link.goodput_bps > 0);
    let by = by.map_or_else(String::new, |by| format!(" (by {by})"));
    let clock = link.clock_offset_us.map(|off| format!("{off:+} µs ± {}", shown(link.clock_error_us)));
    let bearers = Some(bearers.collect::<Vec<_>>().join(", ")).filter(|bearers| !bearers.is_empty());
    let mut rows = vec![
        fact("member", &link.name),
        fact("id", &link.peer),
        fact("link", format!("{} {}, up {}", link.transport, link.direction, millis(link.up_ms))),
        fact(
            "address",
            link.via_name.as_ref().map_or_else(|| link.address.clone(), |via| format!("{} via {via}", link.address)),
        ),
        fact("kept for", link.purposes.join(", ")),
        fact(
            "round trip",
            format!("{}, jitter {}, least {}", shown(link.rtt_us), shown(link.jitter_us), shown(link.min_rtt_us)),
        ),
        fact("loss", percent(link.loss)),
        fact("goodput", format!("{}{by}; to here {}", rate(link.goodput_bps), rate(link.goodput_in_bps))),
        fact("bytes", format!("{} sent, {} received", link.sent_bytes, link.received_bytes)),
        fact("its clock", clock.unwrap_or_else(|| "-".to_owned())),
        fact("beside it", bearers.unwrap_or_else(|| "-".to_owned())),
    ];
    if let Some(series) = dashboard.series.get(&link.peer) {
        rows.extend(bars(series));
    }
    rows
}

/// What the link measured of late, as wide as the box.
fn bars(series: &Series) -> Rows {
    let last = series.last();
    let bar = |values: Vec<Option<f64>>| Theme::bars(&values, 48, 1e-9);
    vec![
        fact("", ""),
        fact("round trip", bar(series.values(links::rtt))),
        fact("loss", bar(series.values(links::loss))),
        fact("goodput", bar(series.values(links::goodput))),
        fact("sending", format!("{} {}", bar(series.values(links::sent)), links::traffic(last.sent_bps))),
        fact("receiving", format!("{} {}", bar(series.values(links::received)), links::traffic(last.received_bps))),
    ]
}

fn of_member(dashboard: &Dashboard, id: &str) -> Option<Rows> {
    let status = &dashboard.status;
    if status.id == id {
        let network = fact("network", &status.network);
        return Some(vec![
            fact("this member", &status.name),
            fact("id", id),
            fact("roles", status.roles.join(", ")),
            network,
            fact("topology", &status.topology),
        ]);
    }
    dashboard.peers.iter().find(|peer| peer.id == id).map(|peer| of_peer(dashboard, peer))
}

fn of_peer(dashboard: &Dashboard, peer: &Peer) -> Rows {
    let names = names(dashboard);
    let (reached, _) = reached(peer, &names, dashboard.settings.theme);
    let path: Vec<String> = peer.path.iter().map(|hop| name(hop, &names)).collect();
    vec![
        fact("member", &peer.name),
        fact("id", &peer.id),
        fact("roles", peer.roles.join(", ")),
        fact("reached", reached),
        fact("way", path.join(" > ")),
        fact("cost", peer.cost.map_or_else(|| "-".to_owned(), micros)),
        fact("listens at", peer.addresses.join(", ")),
        fact("", ""),
        fact("why so", format!("explain {}", crate::words::short(&peer.id))),
    ]
}

fn of_route(dashboard: &Dashboard, route: &Route) -> Rows {
    let names = names(dashboard);
    let path: Vec<String> = route.path.iter().map(|hop| name(hop, &names)).collect();
    vec![
        fact("to", &route.name),
        fact("id", &route.peer),
        fact("way", path.join(" > ")),
        fact("rank", route.rank.to_string()),
        fact("cost", micros(route.cost)),
        fact("share", format!("{} ‰", route.share)),
    ]
}

fn of_service(service: &Service) -> Rows {
    vec![
        fact("service", &service.name),
        fact("kind", &service.kind),
        fact("member", format!("{} {}", service.member_name, service.member)),
        fact("port", service.port.to_string()),
        fact("health", condition(&service.health, service.damped)),
        fact("text", note(&service.text)),
        fact("cost", distance(service.cost)),
        fact("expires in", service.expires_ms.map_or_else(|| "-".to_owned(), millis)),
    ]
}

/// A box in the middle with labels and values, both as others may have written them.
fn show(theme: Theme, frame: &mut Frame<'_>, body: Rect, title: &'static str, rows: &[(String, String)]) {
    let area = Rect { width: body.width.min(78), ..body };
    let label = rows.iter().map(|(label, _)| crate::text::width(label)).max().unwrap_or(0);
    let room = usize::from(area.width).saturating_sub(label + 6).max(1);
    let lines: Vec<(String, String)> = rows.iter().flat_map(|(label, value)| lines(label, value, room)).collect();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(body.height);
    let place =
        Rect { x: body.x + (body.width - area.width) / 2, y: body.y + (body.height - height) / 2, height, ..area };
    let block = Block::bordered().border_style(theme.border(true)).title(title);
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    for (line, (key, value)) in (0..).zip(&lines) {
        let key = pad(key, label, false);
        write(frame, inner, line, &format!(" {key}  {value}"), ratatui::style::Style::new());
        let keys = Rect { width: u16::try_from(label + 1).unwrap_or(0).min(inner.width), ..inner };
        write(frame, keys, line, &format!(" {key}"), theme.accent());
    }
}

/// The label stands at the first line of its value. Bars are one word, so they stay whole.
fn lines(label: &str, value: &str, room: usize) -> Vec<(String, String)> {
    let values = wrap(&crate::text::clean(value), room);
    let labels = std::iter::once(label.to_owned()).chain(std::iter::repeat(String::new()));
    labels.zip(values).collect()
}
