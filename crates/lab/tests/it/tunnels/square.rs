//! Bobby, donald, eddy and peer-4 on the corners of a square: bobby's programs want eddy's servers, and between them
//! stand donald and peer-4.

use meshline_lab::{Cable, Lab, LaidCable, Member, Ring, Site, until};
use serde_json::{Value, json};

pub(super) const BOBBY: usize = 0;
pub(super) const EDDY: usize = 2;

/// The cables, by those they join: over the first two to eddy by donald, over the others by peer-4.
const CABLES: [(usize, usize); 4] = [(0, 1), (1, 2), (0, 3), (3, 2)];

/// Those in the middle, with the number of their cable to bobby.
pub(super) const MIDDLES: [(usize, usize); 2] = [(1, 0), (3, 2)];

/// Where bobby's proxy listens.
pub(super) const PROXY: &str = "127.0.0.1:1080";

/// What eddy offers: name, target there, and the port at bobby that leads to it.
pub(super) const SERVICES: [(&str, &str, u16); 8] = [
    ("ssh", "tcp://127.0.0.1:22", 2201),
    ("web", "tcp://127.0.0.1:80", 2202),
    ("dns", "udp://127.0.0.1:53", 2203),
    ("redis", "tcp://127.0.0.1:6379", 2204),
    ("iperf", "tcp://127.0.0.1:5201", 2205),
    ("postgres", "tcp://127.0.0.1:5432", 2206),
    ("websocket", "tcp://127.0.0.1:8080", 2207),
    ("iperf-udp", "udp://127.0.0.1:5201", 2205),
];

/// A target of eddy's that is not exposed.
pub(super) const SECRET: (&str, u16) = ("tcp://127.0.0.1:9", 2299);

/// The hosts, cables and members.
pub(super) struct Square {
    pub(super) nodes: Vec<Member>,
    pub(super) cables: Vec<LaidCable>,
    pub(super) sites: Vec<Site>,
    pub(super) ring: Ring,
}

impl Square {
    /// All four run, eddy exposes [`SERVICES`], and bobby has a forward to each, a proxy, and both ways.
    #[track_caller]
    pub(super) fn new(cable: Cable) -> Option<Self> {
        let lab = Lab::with_cables()?;
        let sites: Vec<Site> = (0..4).map(|_| lab.site_apart()).collect();
        let cables = CABLES.iter().map(|(from, to)| lab.cable(&sites[*from], &sites[*to], cable)).collect();
        let ring = Ring::write_on(&sites, &sites[BOBBY], "--no-signal");
        ring.configure(1, &bobby());
        let expose: Vec<Value> = SERVICES.iter().map(|(name, target, _)| exposed(name, target)).collect();
        ring.configure(3, &json!({ "expose": expose }));
        let square = Self { nodes: ring.start(4), cables, sites, ring };
        square.wait_for_ways(2);
        Some(square)
    }

    /// Waits until bobby has so many ways to eddy, and eddy to bobby.
    #[track_caller]
    pub(super) fn wait_for_ways(&self, count: usize) {
        for (from, to) in [(BOBBY, "eddy"), (EDDY, "bobby")] {
            until(&format!("there are {count} ways to {to}"), || {
                let routes = self.nodes[from].try_json(&["routes"])?;
                let rows = routes["routes"].as_array().into_iter().flatten();
                let found = rows.filter(|row| row["name"] == to).count();
                if found == count { Ok(()) } else { Err(routes.to_string()) }
            });
        }
    }

    /// Bytes that left bobby for each of [`MIDDLES`] since the cables were laid.
    pub(super) fn sent(&mut self) -> [u64; 2] {
        MIDDLES.map(|(_, cable)| self.cables[cable].carried()[0].bytes)
    }

    /// Waits until bobby has sent so many bytes since an earlier [`Self::sent`], by one way or all.
    #[track_caller]
    pub(super) fn wait_until_sent(&mut self, before: [u64; 2], bytes: u64) -> [u64; 2] {
        until(&format!("{bytes} bytes are on their way"), || {
            let now = self.sent();
            let grown = [now[0] - before[0], now[1] - before[1]];
            if grown[0] + grown[1] >= bytes { Ok(grown) } else { Err(format!("{grown:?}")) }
        })
    }
}

fn exposed(name: &str, target: &str) -> Value {
    json!({"name": name, "target": target, "allow": ["bobby"]})
}

fn bobby() -> Value {
    let forward = |target: &str, port: u16| {
        let kind = if target.starts_with("udp") { "udp" } else { "tcp" };
        json!({"listen": format!("{kind}://127.0.0.1:{port}"), "peer": "eddy", "target": target})
    };
    let mut forwards: Vec<Value> = SERVICES.iter().map(|(_, target, port)| forward(target, *port)).collect();
    forwards.push(forward(SECRET.0, SECRET.1));
    json!({"forwards": forwards, "socks5": {"listen": PROXY}})
}
