//! Routes and services.

use ratatui::style::Style;
use serde_json::Value;

use super::members::{name, names};
use super::table::{Cell, Column, Row, Table};
use crate::dashboard::Dashboard;
use crate::documents::Service;
use crate::text::clean;
use crate::theme::Theme;
use crate::words::{condition, distance, micros};

pub(super) fn routes(dashboard: &Dashboard) -> Table {
    let theme = dashboard.settings.theme;
    let names = names(dashboard);
    let columns = vec![
        Column::text("TO", 6, 20),
        Column::text("BY WAY OF", 8, 60),
        Column::figure("COST", 7),
        Column::figure("SHARE", 5).rank(1),
    ];
    let rows = dashboard.routes.iter().map(|route| {
        // The way in use stands out among those to the same member.
        let style = if route.rank == 1 { Style::new() } else { theme.dim() };
        let path: Vec<String> = route.path.iter().map(|hop| name(hop, &names)).collect();
        let way = if path.len() == 1 { "its link".to_owned() } else { path.join(" > ") };
        let share = if route.share == 0 { "spare".to_owned() } else { format!("{} %", route.share / 10) };
        let cells = vec![
            Cell::Text(clean(&route.name), style),
            Cell::Text(way, style),
            Cell::Text(micros(route.cost), style),
            Cell::Text(share, style),
        ];
        Row { key: format!("{} {}", route.peer, route.rank), cells }
    });
    Table { columns, rows: rows.collect() }
}

pub(super) fn services(dashboard: &Dashboard) -> Table {
    let columns = vec![
        Column::text("SERVICE", 7, 28),
        Column::text("KIND", 6, 18),
        Column::text("MEMBER", 6, 20),
        Column::figure("PORT", 5).rank(3),
        Column::text("HEALTH", 4, 14).rank(1),
        Column::figure("COST", 7).rank(2),
        Column::text("TEXT", 8, 60).rank(4),
    ];
    let theme = dashboard.settings.theme;
    Table { columns, rows: dashboard.services.iter().map(|service| service_row(service, theme)).collect() }
}

fn service_row(service: &Service, theme: Theme) -> Row {
    Row {
        key: format!("{} {} {}", service.kind, service.name, service.member),
        cells: vec![
            Cell::plain(clean(&service.name)),
            Cell::plain(clean(&service.kind)),
            Cell::plain(clean(&service.member_name)),
            Cell::plain(if service.port == 0 { "-".to_owned() } else { service.port.to_string() }),
            Cell::Text(clean(&condition(&service.health, service.damped)), health_style(&service.health, theme)),
            Cell::plain(distance(service.cost)),
            Cell::Text(clean(&note(&service.text)), theme.dim()),
        ],
    }
}

fn health_style(health: &str, theme: Theme) -> Style {
    match health {
        "up" | "ok" | "healthy" | "passing" => theme.good(),
        "down" | "failing" | "unhealthy" | "critical" => theme.bad(),
        _ => Style::new(),
    }
}

/// What is said of a service: a text, or names with their values.
pub(super) fn note(text: &Value) -> String {
    match text {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let word = |(key, value): (&String, &Value)| match value.as_str() {
                Some("") => key.clone(),
                Some(value) => format!("{key}={value}"),
                None => format!("{key}={value}"),
            };
            map.iter().map(word).collect::<Vec<_>>().join(" ")
        }
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
