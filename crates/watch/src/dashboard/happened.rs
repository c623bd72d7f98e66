//! What happened, as lines of words.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use crate::documents::Past;
use crate::text::clean;
use crate::words::micros;

/// Events kept to be read again: some minutes of a mesh in trouble.
pub const MAX_HAPPENED: usize = 500;

/// Cells of an event that is not known here; it is from the member, but what it is about may be from anybody.
const MAX_UNKNOWN: usize = 200;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Good,
    Plain,
    Bad,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) unix_ms: i64,
    pub(crate) weight: Weight,
    pub(crate) words: String,
}

/// The last ones, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllHappened {
    pub(crate) rows: VecDeque<Happened>,
}

impl AllHappened {
    /// Takes in what happened before this began; what was said stands in the chat.
    pub(crate) fn read(&mut self, past: &[Past]) {
        for Past { time, event, data } in past.iter().filter(|past| !is_said(&past.event)) {
            let unix_ms = time.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond);
            self.push(unix_ms, event, data);
        }
    }

    pub(crate) fn push(&mut self, unix_ms: i64, name: &str, what: &Value) {
        let (weight, words) = words(name, what);
        self.rows.push_back(Happened { unix_ms, weight, words: clean(&words) });
        if self.rows.len() > MAX_HAPPENED {
            self.rows.pop_front();
        }
    }
}

/// Events of the chat.
pub(crate) fn is_said(event: &str) -> bool {
    matches!(event, "chat" | "delivered")
}

fn text<'a>(what: &'a Value, key: &str) -> &'a str {
    what.get(key).and_then(Value::as_str).unwrap_or("?")
}

fn number(what: &Value, key: &str) -> u64 {
    what.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn words(name: &str, what: &Value) -> (Weight, String) {
    let who = text(what, "name");
    match name {
        "link_up" => (Weight::Good, format!("link to {who} is up ({})", text(what, "transport"))),
        "link_down" => (Weight::Bad, format!("link to {who} is gone: {}", text(what, "code"))),
        "member_joined" => (Weight::Good, format!("{who} joined")),
        "member_left" => (Weight::Bad, format!("{who} left")),
        "member_revoked" => (Weight::Bad, format!("{} is a member no more", crate::words::short(text(what, "peer")))),
        "ring_changed" => (Weight::Plain, "the ring has another order".to_owned()),
        "ring_closed" => (Weight::Good, format!("the ring is closed: {} members", number(what, "length"))),
        "route_changed" => (Weight::Plain, route(who, what)),
        "state_changed" => (Weight::Plain, format!("this member is {}", text(what, "state"))),
        "punch_started" => (Weight::Plain, format!("a direct way to {who} is tried")),
        "punch_succeeded" => (Weight::Good, format!("a direct way to {who}: {}", text(what, "kind"))),
        "punch_failed" => (Weight::Bad, format!("no direct way to {who}: {}", text(what, "reason"))),
        "proxy_failed" => {
            let (proxy, reason) = (text(what, "proxy_name"), text(what, "reason"));
            (Weight::Bad, format!("the link to {who} is moved from {proxy}: {reason}"))
        }
        "nat_changed" => (Weight::Plain, "this member is seen at other addresses".to_owned()),
        "service_added" => (Weight::Good, format!("{} is offered", service(who, what))),
        "service_changed" => (Weight::Plain, format!("{} is {}", service(who, what), text(what, "health"))),
        "service_removed" => (Weight::Bad, format!("{} is gone: {}", service(who, what), text(what, "cause"))),
        "rebuild" => (Weight::Plain, rebuild(what)),
        "rebuild_proposed" => {
            (Weight::Plain, format!("a rebuild is proposed: {}", text(what, "cause").replace('_', " ")))
        }
        "lagged" => (Weight::Bad, format!("{} events were missed", number(what, "missed"))),
        "reset" => (Weight::Plain, "the member was started anew, or too much happened meanwhile".to_owned()),
        other => (Weight::Plain, unknown(other, what)),
    }
}

fn service(name: &str, what: &Value) -> String {
    format!("{name} ({}) of {}", text(what, "kind"), text(what, "member_name"))
}

fn route(who: &str, what: &Value) -> String {
    let hops = what.get("path").and_then(Value::as_array).map_or(0, Vec::len);
    let way = match hops {
        0 => format!("no way to {who}"),
        1 => format!("the way to {who} is its link"),
        hops => format!("the way to {who} has {hops} hops"),
    };
    let cost = what.get("cost").and_then(Value::as_u64).map_or_else(String::new, |cost| format!(", {}", micros(cost)));
    format!("{way}{cost} ({})", text(what, "cause"))
}

fn rebuild(what: &Value) -> String {
    let (linked, let_go) = (number(what, "linked"), number(what, "let_go"));
    let what_for =
        if what.get("dry_run") == Some(&Value::Bool(true)) { "the trial of a rebuild" } else { "the rebuild" };
    match text(what, "step") {
        "planned" => format!("{what_for} is planned"),
        "started" => format!("{what_for} has begun: {linked} links to come, {let_go} may go"),
        "done" => format!("{what_for} is done: {linked} links came, {let_go} went"),
        "tried" => format!("{what_for} is over: {linked} links would come, {let_go} could go"),
        "skipped" => format!("{what_for} is skipped"),
        "aborted" => format!("{what_for} is aborted"),
        "superseded" => format!("another one stands in the place of {what_for}"),
        step => format!("{what_for}: {step}"),
    }
}

/// Its name and its plain members: a newer member tells things that are not known here.
fn unknown(name: &str, what: &Value) -> String {
    let mut words = name.replace('_', " ");
    for (key, value) in what.as_object().into_iter().flatten() {
        match value {
            Value::String(value) if value.len() < 60 => words.push_str(&format!(" {key}={value}")),
            Value::Number(value) => words.push_str(&format!(" {key}={value}")),
            Value::Bool(value) => words.push_str(&format!(" {key}={value}")),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }
    crate::text::clip(&words, MAX_UNKNOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{AllHappened, MAX_HAPPENED};
    use crate::documents::Past;

    fn told(name: &str, what: &serde_json::Value) -> String {
        let mut all = AllHappened::default();
        all.push(0, name, what);
        all.rows[0].words.clone()
    }

    #[test]
    fn events_are_told_in_words_and_names_cannot_steer_the_terminal() {
        assert_eq!(
            told("link_down", &json!({"name": "ed\u{7}dy", "code": "reset"})),
            "link to ed\\u{7}dy is gone: reset"
        );
        let route = json!({"name": "eddy", "path": ["a", "b"], "cost": 1200, "cause": "loss"});
        assert_eq!(told("route_changed", &route), "the way to eddy has 2 hops, 1200 µs (loss)");
        assert_eq!(told("route_changed", &json!({"name": "eddy"})), "no way to eddy (?)");
        let service =
            json!({"name": "web", "kind": "_http._tcp", "member_name": "bobby", "health": "down", "cause": "left"});
        assert_eq!(told("service_added", &service), "web (_http._tcp) of bobby is offered");
        assert_eq!(told("service_changed", &service), "web (_http._tcp) of bobby is down");
        assert_eq!(told("service_removed", &service), "web (_http._tcp) of bobby is gone: left");
        let rebuild = json!({"step": "done", "linked": 2, "let_go": 1, "dry_run": false, "seq": 1});
        assert_eq!(told("rebuild", &rebuild), "the rebuild is done: 2 links came, 1 went");
        assert_eq!(told("rebuild", &json!({"step": "aborted", "dry_run": true})), "the trial of a rebuild is aborted");
        assert_eq!(
            told("moon_rises", &json!({"kind": "_http._tcp", "port": 80, "x": []})),
            "moon rises kind=_http._tcp port=80"
        );
        assert_eq!(told("odd", &json!(null)), "odd");
    }

    #[test]
    fn what_happened_before_is_taken_in_with_its_time_and_the_chat_left_out() {
        let past = |time: &str, event: &str| Past {
            time: time.to_owned(),
            event: event.to_owned(),
            data: json!({"name": "eddy", "text": "x"}),
        };
        let mut all = AllHappened::default();
        all.read(&[past("1970-01-01T00:00:01.500000Z", "member_joined"), past("", "chat"), past("odd", "member_left")]);
        let rows: Vec<_> = all.rows.iter().map(|row| (row.unix_ms, row.words.as_str())).collect();
        assert_eq!(rows, [(1_500, "eddy joined"), (0, "eddy left")]);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut all = AllHappened::default();
        for number in 0..=MAX_HAPPENED {
            all.push(i64::try_from(number).unwrap(), "odd", &json!({}));
        }
        assert_eq!((all.rows.len(), all.rows[0].unix_ms), (MAX_HAPPENED, 1));
    }
}
