//! Who is there, and how each is reached.

use std::collections::BTreeMap;

use ratatui::style::Style;

use super::table::{Cell, Column, Row, Table};
use crate::dashboard::Dashboard;
use crate::documents::Peer;
use crate::text::clean;
use crate::theme::Theme;
use crate::words::{micros, short};

pub(super) fn members(dashboard: &Dashboard) -> Table {
    let theme = dashboard.settings.theme;
    let names = names(dashboard);
    let columns = vec![
        Column::text("MEMBER", 8, 28),
        Column::text("ID", 8, 8).rank(2),
        Column::text("ROLES", 5, 12).rank(3),
        Column::text("REACHED", 8, 24),
        Column::figure("HOPS", 4).rank(1),
        Column::figure("COST", 7),
    ];
    let status = &dashboard.status;
    let own = (!status.id.is_empty()).then(|| Row {
        key: status.id.clone(),
        cells: vec![
            Cell::Text(clean(&status.name), theme.accent()),
            Cell::Text(clean(&short(&status.id)), theme.dim()),
            Cell::Text(clean(&status.roles.join(",")), theme.dim()),
            Cell::Text("this member".to_owned(), theme.accent()),
            Cell::plain(""),
            Cell::plain(""),
        ],
    });
    let others = dashboard.peers.iter().map(|peer| row(peer, &names, theme));
    Table { columns, rows: own.into_iter().chain(others).collect() }
}

fn row(peer: &Peer, names: &BTreeMap<&str, &str>, theme: Theme) -> Row {
    let (reached, style) = reached(peer, names, theme);
    let hops = if peer.reachable { peer.hops.to_string() } else { "-".to_owned() };
    let cost = peer.cost.filter(|_| peer.reachable).map_or_else(|| "-".to_owned(), micros);
    let name_style = if peer.reachable { Style::new() } else { theme.dim() };
    Row {
        key: peer.id.clone(),
        cells: vec![
            Cell::Text(clean(&peer.name), name_style),
            Cell::Text(clean(&short(&peer.id)), theme.dim()),
            Cell::Text(clean(&peer.roles.join(",")), theme.dim()),
            Cell::Text(reached, style),
            Cell::plain(hops),
            Cell::plain(cost),
        ],
    }
}

/// How a member is reached, in words.
pub(super) fn reached(peer: &Peer, names: &BTreeMap<&str, &str>, theme: Theme) -> (String, Style) {
    let via = peer.via.as_deref().map(|via| name(via, names));
    match (peer.reachable, peer.direct, via) {
        (true, true, None) => ("directly".to_owned(), theme.good()),
        (true, true, Some(via)) => (format!("faster via {via}"), theme.good()),
        (true, false, Some(via)) => (format!("via {via}"), Style::new()),
        (true, false, None) => ("yes".to_owned(), Style::new()),
        (false, _, _) if peer.left => ("has left".to_owned(), theme.dim()),
        (false, _, _) => ("no".to_owned(), theme.bad()),
    }
}

/// The names of all members by their ids.
pub(super) fn names(dashboard: &Dashboard) -> BTreeMap<&str, &str> {
    let others = dashboard.peers.iter().map(|peer| (peer.id.as_str(), peer.name.as_str()));
    others.chain([(dashboard.status.id.as_str(), dashboard.status.name.as_str())]).collect()
}

/// A member's name, or the beginning of its id.
pub(super) fn name(id: &str, names: &BTreeMap<&str, &str>) -> String {
    clean(&names.get(id).map_or_else(|| short(id), |name| (*name).to_owned()))
}
