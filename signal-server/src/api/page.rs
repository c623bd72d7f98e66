//! The page for people: what this is, who is here, how to join. No script; every text from outside is escaped.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use meshline_protocol::message::Role;

use crate::app::App;
use crate::registry::{OpenNetwork, Overview, Row};

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded but the style, and nothing may run, be sent or frame the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// `GET /`.
pub(crate) async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let mut html = String::with_capacity(8 * 1024);
    // Writing to a string cannot fail.
    let _ = write_page(&mut html, &app.overview(), app.ttl_s, &host_of(&headers));
    let mut response = ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// `GET /style.css`.
pub(crate) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// How the reader reached this server, to be shown in the example; nothing is decided by it.
fn host_of(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    host.map_or_else(|| "this-server:6000".to_owned(), |host| host.to_string())
}

fn write_page(html: &mut String, overview: &Overview, ttl_s: u32, host: &str) -> fmt::Result {
    html.push_str(HEAD);
    write_networks(html, overview)?;
    write!(
        html,
        "<section><h2>Point a node at this server</h2>\
         <p>In the configuration of a node, name this address:</p>\
         <pre><code>\"signal\": [\"http://{host}\"]</code></pre>\
         <p>or try who answers from a terminal:</p>\
         <pre><code>curl 'http://{host}/v1/nodes?network=NAME'</code></pre>\
         <p>An entry lives {ttl_s} seconds unless it is refreshed. An address is listed only if its member was seen \
         there, or answered there.</p></section>",
        host = Escaped(host),
    )?;
    html.push_str(FOOT);
    Ok(())
}

fn write_networks(html: &mut String, overview: &Overview) -> fmt::Result {
    html.push_str("<section><h2>Open networks</h2>");
    if overview.open.is_empty() {
        html.push_str("<p class=\"quiet\">Nobody is here at the moment.</p>");
    }
    for network in &overview.open {
        write_network(html, network)?;
    }
    if overview.more_open > 0 {
        write!(html, "<p class=\"quiet\">and {} more.</p>", Counted(overview.more_open, "open network"))?;
    }
    html.push_str("</section><section><h2>Closed networks</h2>");
    if overview.closed_networks == 0 {
        html.push_str("<p class=\"quiet\">None.</p>");
    } else {
        let networks = Counted(overview.closed_networks, "closed network");
        let members = Counted(overview.closed_members, "member");
        write!(html, "<p>{networks} with {members}. Who they are is for their members alone.</p>")?;
    }
    html.push_str("</section>");
    Ok(())
}

fn write_network(html: &mut String, network: &OpenNetwork) -> fmt::Result {
    let OpenNetwork { name, members, rows } = network;
    write!(html, "<h3>{} <small>{}</small></h3>", Escaped(name), Counted(*members, "member"))?;
    html.push_str("<table><thead><tr><th scope=\"col\">Name<th scope=\"col\">Roles<th scope=\"col\">Addresses<th scope=\"col\">Id</tr></thead><tbody>");
    for row in rows {
        write_row(html, row)?;
    }
    html.push_str("</tbody></table>");
    if *members > rows.len() {
        write!(html, "<p class=\"quiet\">and {} more.</p>", Counted(members - rows.len(), "member"))?;
    }
    Ok(())
}

/// Names in open networks are only claimed, so a piece of the id stands with each.
fn write_row(html: &mut String, row: &Row) -> fmt::Result {
    let id = row.id.to_string();
    let mark: String = id.chars().take(4).collect();
    write!(html, "<tr><td data-of=\"Name\"><b>{}</b><i>~{mark}</i>", Escaped(row.name.as_str()))?;
    let roles: Vec<&str> = row.roles.iter().copied().map(role_name).collect();
    write!(html, "<td data-of=\"Roles\">{}<td data-of=\"Addresses\">", roles.join(", "))?;
    if row.addresses.is_empty() {
        html.push_str("<span class=\"quiet\">none proved</span>");
    }
    for address in &row.addresses {
        write!(html, "<code>{}</code> ", Escaped(address.as_str()))?;
    }
    write!(html, "<td data-of=\"Id\"><code class=\"id\">{id}</code></tr>")
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Node => "node",
        Role::View => "view",
        Role::Proxy => "proxy",
        Role::Exit => "exit",
        Role::Rebuild => "rebuild",
        Role::Other => "other",
    }
}

/// A text from outside as text of the page, also between quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                c => formatter.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `1 member`, `2 members`.
struct Counted(usize, &'static str);

impl Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        write!(formatter, "{count} {what}{}", if *count == 1 { "" } else { "s" })
    }
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>meshline signal server</title>\
    <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/style.css\"></head><body><main>\
    <header><h1>meshline signal server</h1>\
    <p>Members of a mesh ask here for each other’s addresses, once; whoever asks is listed. What they say to each \
    other does not pass through this server, and a mesh that has met goes on without it.</p></header>";

const FOOT: &str = "<footer><a href=\"/openapi.json\">Interface</a> <a href=\"/metrics\">Metrics</a> \
    <a href=\"/healthz\">Health</a></footer></main></body></html>";

#[cfg(test)]
mod tests;
