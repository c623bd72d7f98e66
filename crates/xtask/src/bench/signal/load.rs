//! The load, by `wrk`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Bodies;
use super::servers::Contender;
use crate::bench::output;

/// Connections at once.
const CONNECTIONS: &str = "64";

/// Sends one body after the other, or none at all.
const SCRIPT: &str = r#"
local bodies, at, path = {}, 0, os.getenv("BENCH_PATH")
local again, single = os.getenv("BENCH_AGAIN") == "1", os.getenv("BENCH_SINGLE") == "1"
local headers = {}
if single then headers["Connection"] = "close" end
if os.getenv("BENCH_BODIES") then
  headers["Content-Type"] = "application/json"
  for line in io.lines(os.getenv("BENCH_BODIES")) do bodies[#bodies + 1] = line end
end
request = function()
  if #bodies == 0 then return wrk.format("GET", path, headers) end
  if at == #bodies and not again then return wrk.format("GET", "/healthz", headers) end
  at = at % #bodies + 1
  return wrk.format("POST", path, headers, bodies[at])
end
"#;

/// What is asked, and how.
pub(super) struct Load {
    path: String,
    bodies: Option<Bodies>,
    /// Bodies are sent more than once.
    again: bool,
    /// Each request has a connection of its own.
    single: bool,
}

/// What was seen of it.
pub(super) struct Seen {
    /// Answers a second.
    pub(super) rate: f64,
    /// Processor time of the server for one, in microseconds.
    pub(super) cpu_us: f64,
    pub(super) p99_ms: f64,
}

const LIST: &str = "/v1/nodes?limit=50";

impl Load {
    pub(super) fn kept(bodies: &Path) -> Self {
        Self { path: LIST.to_owned(), bodies: Some(bodies.to_owned()), again: true, single: false }
    }

    pub(super) fn single(bodies: &Path) -> Self {
        Self { single: true, ..Self::kept(bodies) }
    }

    pub(super) fn once(bodies: &Path) -> Self {
        Self { again: false, ..Self::kept(bodies) }
    }

    /// What somebody else is asked.
    pub(super) fn kept_as(other: &Contender) -> Self {
        Self { path: other.path.clone(), bodies: other.bodies.clone(), again: true, single: false }
    }

    pub(super) fn single_as(other: &Contender) -> Self {
        Self { single: true, ..Self::kept_as(other) }
    }

    /// Asks for so many seconds.
    pub(super) fn run(&self, who: &Contender, seconds: usize) -> Result<Seen, String> {
        let script = who.folder.join("load.lua");
        fs::write(&script, SCRIPT).map_err(|error| format!("{}: {error}", script.display()))?;
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", "1", "wrk", "-t1", "-c", CONNECTIONS, "--latency", "-d", &format!("{seconds}s"), "-s"]);
        wrk.arg(&script).arg(format!("http://127.0.0.1:{}", who.port)).env("BENCH_PATH", &self.path);
        wrk.env("BENCH_AGAIN", if self.again { "1" } else { "0" })
            .env("BENCH_SINGLE", if self.single { "1" } else { "0" });
        if let Some(bodies) = &self.bodies {
            wrk.env("BENCH_BODIES", bodies);
        }
        let before = who.cpu_s();
        let text = output(&mut wrk)?;
        read(&text, who.cpu_s() - before).map_err(|what| format!("{}: {what}: {text}", who.name))
    }
}

fn read(text: &str, cpu_s: f64) -> Result<Seen, &'static str> {
    let after = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    if after("Non-2xx or 3xx responses:").is_some() {
        return Err("refused some requests");
    }
    let rate: f64 = after("Requests/sec:").and_then(|rate| rate.parse().ok()).ok_or("wrk tells no rate")?;
    let line = text.lines().find(|line| line.contains(" requests in ")).ok_or("wrk tells no count")?;
    let count: f64 = line.split_whitespace().next().and_then(|count| count.parse().ok()).ok_or("wrk tells no count")?;
    let p99_ms = after("99%").and_then(millis).ok_or("wrk tells no p99")?;
    Ok(Seen { rate, cpu_us: cpu_s * 1e6 / count.max(1.0), p99_ms })
}

fn millis(text: &str) -> Option<f64> {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// Both are needed: one pins, the other asks.
pub(super) fn check() -> Result<(), String> {
    output(Command::new("taskset").arg("--version")).map_err(|why| format!("{why}: install util-linux"))?;
    // It ends with 1 when it prints its version.
    Command::new("wrk").arg("-v").output().map(|_| ()).map_err(|error| format!("wrk: {error}: install it"))
}

/// The lines of a file in so many files beside it.
pub(super) fn parts(file: &Path, count: usize) -> Result<Vec<Bodies>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines: Vec<&str> = text.lines().collect();
    let part = |(number, lines): (usize, &[&str])| {
        let path = file.with_extension(number.to_string());
        fs::write(&path, lines.join("\n")).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    };
    lines.chunks(lines.len().div_ceil(count.max(1)).max(1)).enumerate().map(part).collect()
}
