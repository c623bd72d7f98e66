//! From pressing "Send" in one browser to the message being seen in another.
//!
//! Both browsers run on this machine: the clock of each page is compared with that of the system before and after each
//! round. Rounds of the mesh and of the bare server alternate in the same two windows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::driver::Driver;
use crate::support::wait::until;

const CLOCK: &str = include_str!("js/clock.js");
const WATCH: &str = include_str!("js/watch.js");
const SEND: &str = include_str!("js/send.js");

/// Messages before each round: connections are made, code is compiled.
const WARM_UP: u64 = 10;

/// What is talked over, and how much.
pub(crate) struct Talk<'a> {
    /// The page that sends, and the one that sees.
    pub(crate) pages: [&'a str; 2],
    pub(crate) bare: &'a str,
    pub(crate) rounds: u64,
    pub(crate) count: u64,
    /// Between two messages, on average.
    pub(crate) pace_ms: u64,
}

impl Talk<'_> {
    pub(crate) fn run(&self) -> Result<Value, String> {
        let windows = Windows { from: Driver::start(&[])?, to: Driver::start(&[])?, pace_ms: self.pace_ms };
        let mut rounds = Vec::new();
        for round in 1..=self.rounds {
            let mesh = windows.round(self.pages, &format!("mesh {round}."), self.count);
            let bare = windows.round([self.bare; 2], &format!("bare {round}."), self.count);
            rounds.push(json!({ "mesh": mesh.figures(), "bare": bare.figures() }));
            println!("round {round}: mesh {} | bare {}", mesh.told(), bare.told());
        }
        Ok(json!({ "rounds": rounds }))
    }
}

struct Windows {
    from: Driver,
    to: Driver,
    pace_ms: u64,
}

impl Windows {
    fn round(&self, [from, to]: [&str; 2], prefix: &str, count: u64) -> Latencies {
        for (window, url) in [(&self.to, to), (&self.from, from)] {
            window.post("/url", &json!({ "url": url }));
            wait_connected(window);
        }
        self.exchange(&format!("{prefix}warm."), WARM_UP);
        self.exchange(prefix, count)
    }

    fn exchange(&self, prefix: &str, count: u64) -> Latencies {
        let before = [&self.from, &self.to].map(clock);
        run(&self.to, WATCH, &json!([prefix]));
        run(&self.from, SEND, &json!([prefix, count, self.pace_ms * 2 / 3, self.pace_ms * 4 / 3]));
        std::thread::sleep(Duration::from_millis(count * self.pace_ms));
        let seen = until("all messages are seen", || {
            let seen = run(&self.to, "return window.seen", &json!([]));
            let painted = seen.as_object().map_or(0, |all| all.values().filter(|it| it["painted"].is_number()).count());
            if painted as u64 == count { Ok(seen) } else { Err(format!("{painted} of {count}")) }
        });
        let sent = run(&self.from, "return window.sent", &json!([]));
        let after = [&self.from, &self.to].map(clock);
        // How far the page that sees is behind the page that sends.
        let apart = |offsets: [f64; 2]| offsets[1] - offsets[0];
        let offset = f64::midpoint(apart(before), apart(after));
        let mut latencies = Latencies { drift: (apart(before) - apart(after)).abs(), ..Latencies::default() };
        for (number, sent) in sent.as_array().expect("times").iter().enumerate() {
            let times = &seen[format!("{prefix}{number}")];
            let took = |name: &str| times[name].as_f64().expect("a time") - sent.as_f64().expect("a time") + offset;
            latencies.dom.push(took("dom"));
            latencies.painted.push(took("painted"));
        }
        latencies
    }
}

fn wait_connected(window: &Driver) {
    let script = "return document.querySelector('#state')?.dataset.state ?? 'none'";
    until("the page is connected", || {
        let state = run(window, script, &json!([]));
        if state == "connected" { Ok(()) } else { Err(state.to_string()) }
    });
}

fn clock(window: &Driver) -> f64 {
    run(window, CLOCK, &json!([])).as_f64().expect("a number")
}

fn run(window: &Driver, script: &str, arguments: &Value) -> Value {
    window.post("/execute/sync", &json!({ "script": script, "args": arguments }))
}

/// Milliseconds of one round.
#[derive(Default)]
struct Latencies {
    dom: Vec<f64>,
    painted: Vec<f64>,
    /// How much the clocks of both pages moved against each other.
    drift: f64,
}

impl Latencies {
    fn figures(&self) -> Value {
        json!({
            "p50": share(&self.painted, 0.5),
            "p99": share(&self.painted, 0.99),
            "dom_p50": share(&self.dom, 0.5),
            "dom_p99": share(&self.dom, 0.99),
            "drift": self.drift,
        })
    }

    fn told(&self) -> String {
        let pair = |values: &[f64]| format!("{:.1} / {:.1}", share(values, 0.5), share(values, 0.99));
        format!("painted {} ms, there {} ms (p50 / p99)", pair(&self.painted), pair(&self.dom))
    }
}

/// The value that this share of all is not above.
fn share(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.saturating_sub(1).min(sorted.len() - 1)]
}
