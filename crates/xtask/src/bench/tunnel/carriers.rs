//! Who carries TCP from A to C over B, or from A to B: this mesh by its forwards, the kernel, one TLS connection end to
//! end through a process that copies, ssh, and three virtual networks. Each in hosts of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rivals;
use crate::bench::process::Running;
use crate::bench::routing::arrivals::Heard;
use crate::bench::routing::hosts::{CABLES, Host, NAMES, Square, card};
use crate::bench::routing::rivals::tinc;
use crate::bench::scratch::Scratch;
use crate::bench::{Bench, output};

/// Ports of what runs at the far end: iperf3, an echo, and a taker of records.
pub(super) const IPERF: u16 = 5201;
pub(super) const ECHO: u16 = 5202;
pub(super) const TAKE: u16 = 5203;
const PORTS: [u16; 3] = [IPERF, ECHO, TAKE];

/// Where the proxy of A listens.
pub(super) const PROXY: &str = "127.0.0.1:1080";

/// What the mesh calls hosts A to D.
const MEMBERS: [&str; 4] = ["bobby", "donald", "eddy", "peer-4"];

/// Longer than any of them takes to begin.
const PATIENCE: Duration = Duration::from_secs(40);

/// Who carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Mesh,
    Kernel,
    Tls,
    Ssh,
    Tinc,
    Nebula,
    Yggdrasil,
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mesh => "meshline",
            Self::Kernel => "kernel",
            Self::Tls => "TLS end to end, plain relay",
            Self::Ssh => "ssh",
            Self::Tinc => "tinc",
            Self::Nebula => "nebula",
            Self::Yggdrasil => "yggdrasil",
        }
    }

    pub(super) fn program(self) -> Option<&'static str> {
        match self {
            Self::Mesh | Self::Kernel | Self::Tls => None,
            Self::Ssh => Some("sshd"),
            Self::Tinc => Some("tincd"),
            Self::Nebula => Some("nebula"),
            Self::Yggdrasil => Some("yggdrasil"),
        }
    }
}

/// The hosts with the far end's servers and whoever carries to it.
pub(super) struct Carrying {
    pub(super) square: Square,
    /// What A connects to.
    pub(super) host: String,
    /// Stamped records as they arrive.
    pub(super) taken: Heard,
    /// The processes of the mesh, by their hosts.
    pub(super) members: Vec<Option<Running>>,
    _others: Vec<Running>,
    pub(super) files: Scratch,
}

/// The hosts that take part, from the near end to the far one, and more of the mesh that may help.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) path: &'static [usize],
    pub(super) helpers: &'static [usize],
    pub(super) rates: [Option<&'static str>; CABLES.len()],
}

pub(super) const THROUGH: Plan = Plan { path: &[0, 1, 2], helpers: &[], rates: [None; CABLES.len()] };
pub(super) const DIRECT: Plan = Plan { path: &[0, 1], helpers: &[], rates: [None; CABLES.len()] };

impl Plan {
    pub(super) fn far(&self) -> usize {
        self.path.last().copied().unwrap_or_default()
    }
}

impl Carrying {
    /// Starts everything, and returns once an echo has come back.
    pub(super) fn start(bench: &Bench, who: Who, plan: Plan) -> Result<Self, String> {
        let square = Square::with_rates(plan.rates)?;
        neighbours(&square)?;
        let files = Scratch::new("tunnel")?;
        let far = square.host(plan.far())?;
        let mut others = vec![Running::start(far.command("iperf3").arg("-s"))?];
        others.push(Running::from(ends(bench, far, &["tcp-echo", "--at", &format!("[::]:{ECHO}")])?));
        let at = format!("[::]:{TAKE}");
        let taken = ends(bench, far, &["tcp-take", "--at", &at, "--body", "1200"])?;
        let begun = Begun { bench, square: &square, files: files.path(), plan };
        let mut members = Vec::new();
        let host = match who {
            Who::Mesh => {
                members = begun.mesh()?;
                "127.0.0.1".to_owned()
            }
            Who::Kernel => begun.kernel()?,
            Who::Tls => begun.tls(&mut others)?,
            Who::Ssh => begun.ssh(&mut others)?,
            Who::Tinc => {
                others.extend(tinc(&square, files.path())?.into_iter().flatten());
                format!("10.8.0.{}", plan.far() + 1)
            }
            Who::Nebula => rivals::nebula(&begun, &mut others)?,
            Who::Yggdrasil => rivals::yggdrasil(&begun, &mut others)?,
        };
        let carrying = Self { square, host, taken, members, _others: others, files };
        carrying.wait_for_echo(bench)?;
        Ok(carrying)
    }

    /// Where A finds a port of the far end.
    pub(super) fn to(&self, port: u16) -> String {
        if self.host.contains(':') { format!("[{}]:{port}", self.host) } else { format!("{}:{port}", self.host) }
    }

    fn wait_for_echo(&self, bench: &Bench) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match self.near_within("5", bench, &["tcp-ask", "--to", &self.to(ECHO), "--count", "3"]) {
                Ok(_) => return Ok(()),
                Err(why) if began.elapsed() > PATIENCE => return Err(format!("no echo: {why}")),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Runs a mode of the example at A to its end; given up after a while, because a connection may hang.
    pub(super) fn near(&self, bench: &Bench, words: &[&str]) -> Result<String, String> {
        self.near_within("60", bench, words)
    }

    fn near_within(&self, seconds: &str, bench: &Bench, words: &[&str]) -> Result<String, String> {
        let mut command = self.square.host(0)?.command("timeout");
        output(command.arg(seconds).arg(bench.bin.join("examples/bench")).args(words))
    }

    /// Mbit/s that arrived in so many seconds by so many streams at once.
    pub(super) fn throughput(&self, seconds: usize, streams: usize) -> Result<f64, String> {
        let began = Instant::now();
        loop {
            match self.iperf(seconds, streams) {
                // The server may still be at the end of the test before.
                Err(why) if why.contains("busy") && began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(500));
                }
                result => return result,
            }
        }
    }

    fn iperf(&self, seconds: usize, streams: usize) -> Result<f64, String> {
        let told = self.told_by_iperf(seconds, &["-P", &streams.to_string()])?;
        let rate = told.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
        rate.map(|rate| rate / 1e6).ok_or_else(|| format!("iperf3: {:?}", told.get("error")))
    }

    fn told_by_iperf(&self, seconds: usize, words: &[&str]) -> Result<Value, String> {
        let mut command = self.square.host(0)?.command("timeout");
        command.args(["60", "iperf3", "-J", "-c", &self.host, "-p", &IPERF.to_string()]);
        let text = output(command.args(["-t", &seconds.to_string()]).args(words))?;
        serde_json::from_str(&text).map_err(|error| format!("iperf3: {error}"))
    }

    /// Per cent of UDP payloads of 1,200 bytes that were lost when so many Mbit/s of them were sent.
    pub(super) fn udp_loss(&self, seconds: usize, mbit: usize) -> Result<f64, String> {
        let told = self.told_by_iperf(seconds, &["-u", "-l", "1200", "-b", &format!("{mbit}M")])?;
        let sent = told.pointer("/end/sum_sent/bits_per_second").and_then(Value::as_f64).unwrap_or(0.0) / 1e6;
        if sent < 0.95 * mbit as f64 {
            return Err(format!("no more than {sent:.0} Mbit/s could be sent"));
        }
        let lost = told.pointer("/end/sum/lost_percent").and_then(Value::as_f64);
        lost.ok_or_else(|| format!("iperf3: {:?}", told.get("error")))
    }

    /// How many ways A has to a member.
    pub(super) fn ways(&self, bench: &Bench, to: usize) -> usize {
        let name = MEMBERS.get(to).copied().unwrap_or_default();
        let count = || {
            let mut command = self.square.host(0).ok()?.command(&bench.bin.join("node").to_string_lossy());
            command.args(["routes", "--json", "--config"]).arg(config(self.files.path(), 0));
            let routes: Value = serde_json::from_str(&output(&mut command).ok()?).ok()?;
            let rows = routes.get("routes")?.as_array()?;
            Some(rows.iter().filter(|row| row.get("name").is_some_and(|found| found == name)).count())
        };
        count().unwrap_or(0)
    }
}

/// A mode of the example on a host, once it is ready.
pub(super) fn ends(bench: &Bench, host: &Host, words: &[&str]) -> Result<Heard, String> {
    let mut command = host.command(&bench.bin.join("examples/bench").to_string_lossy());
    let heard = Heard::start(command.args(words))?;
    let began = Instant::now();
    while heard.last("ready").is_none() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{words:?} is not ready"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(heard)
}

/// The address of a host that its neighbours reach.
pub(super) fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 1)
}

fn neighbours(square: &Square) -> Result<(), String> {
    for host in 0..NAMES.len() {
        square.host(host)?.run(&format!("ip addr add {}/32 dev lo", address(host)))?;
    }
    for (from, to) in CABLES.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let line = format!("ip route replace {}/32 dev {} src {}", address(to), card(to), address(from));
        square.host(from)?.run(&line)?;
    }
    Ok(())
}

/// What a carrier is started with.
pub(super) struct Begun<'a> {
    pub(super) bench: &'a Bench,
    pub(super) square: &'a Square,
    pub(super) files: &'a Path,
    pub(super) plan: Plan,
}

impl Begun<'_> {
    /// A network of the programs, with a forward at A for each port.
    fn mesh(&self) -> Result<Vec<Option<Running>>, String> {
        let hosts: Vec<String> = (0..NAMES.len()).map(address).collect();
        let mut tool = Command::new(self.bench.bin.join("config-tool"));
        tool.args(["ring", "--nodes", "4", "--no-signal", "--hosts", &hosts.join(","), "--dir"]);
        output(tool.arg(self.files.join("ring")))?;
        let far = MEMBERS.get(self.plan.far()).copied().unwrap_or_default();
        // iperf3 wants UDP at the port where it has its words over TCP.
        let udp = format!("udp://127.0.0.1:{IPERF}");
        let targets = || PORTS.iter().map(|port| format!("tcp://127.0.0.1:{port}")).chain([udp.clone()]);
        let forward = |target: String| json!({"listen": target, "peer": far, "target": target});
        let forwards: Vec<Value> = targets().map(forward).collect();
        add(&config(self.files, 0), &json!({"forwards": forwards, "socks5": {"listen": PROXY}}))?;
        let expose = |(number, target)| json!({"name": format!("target-{number}"), "target": target, "allow": ["*"]});
        let expose: Vec<Value> = targets().enumerate().map(expose).collect();
        add(&config(self.files, self.plan.far()), &json!({ "expose": expose }))?;
        let runs = |host: &usize| self.plan.path.contains(host) || self.plan.helpers.contains(host);
        (0..NAMES.len()).map(|host| if runs(&host) { self.member(host).map(Some) } else { Ok(None) }).collect()
    }

    /// A process of the mesh on its host.
    fn member(&self, host: usize) -> Result<Running, String> {
        let mut command = self.square.host(host)?.command(&self.bench.bin.join("node").to_string_lossy());
        Running::start(command.args(["run", "--console", "never", "--config"]).arg(config(self.files, host)))
    }

    /// The kernels of the hosts between pass packets on.
    fn kernel(&self) -> Result<String, String> {
        let far = self.plan.far();
        for (before, middle) in self.plan.path.iter().zip(self.plan.path.iter().skip(1)).filter(|(_, to)| **to != far) {
            self.square.host(*middle)?.run("sysctl -q -w net.ipv4.ip_forward=1")?;
            let line = |to: usize, from: usize| {
                format!(
                    "ip route replace {}/32 via {} dev {} onlink src {}",
                    address(to),
                    address(*middle),
                    card(*middle),
                    address(from)
                )
            };
            self.square.host(*before)?.run(&line(far, *before))?;
            self.square.host(far)?.run(&line(*before, far))?;
        }
        Ok(address(far))
    }

    /// TLS from a process at A to one at the far end, copied by those between.
    fn tls(&self, others: &mut Vec<Running>) -> Result<String, String> {
        let (far, last) = (self.plan.far(), self.plan.path.len() - 1);
        for port in PORTS {
            for (place, host) in self.plan.path.iter().enumerate().rev() {
                let inner = port + 1000;
                let (at, to, tls) = match place {
                    0 => (format!("127.0.0.1:{port}"), self.next(place, inner), "enter"),
                    place if place == last => {
                        (format!("{}:{inner}", address(far)), format!("127.0.0.1:{port}"), "leave")
                    }
                    _ => (format!("{}:{inner}", address(*host)), self.next(place, inner), "none"),
                };
                let words = ["pipe", "--at", &at, "--to", &to, "--tls", tls];
                others.push(ends(self.bench, self.square.host(*host)?, &words)?.into());
            }
        }
        Ok("127.0.0.1".to_owned())
    }

    fn next(&self, place: usize, port: u16) -> String {
        format!("{}:{port}", address(self.plan.path.get(place + 1).copied().unwrap_or_default()))
    }

    /// One ssh connection to the far end, by those between as jump hosts.
    fn ssh(&self, others: &mut Vec<Running>) -> Result<String, String> {
        for name in ["key", "host"] {
            output(
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(self.files.join(name)),
            )?;
        }
        let folder = self.files.display();
        for host in self.plan.path.iter().skip(1) {
            let script = format!(
                "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec $(command -v sshd) -D -f /dev/null -o Port=22 \
                 -o HostKey={folder}/host -o AuthorizedKeysFile={folder}/key.pub -o StrictModes=no -o UsePAM=no \
                 -o PidFile=none -o PermitRootLogin=yes"
            );
            others.push(Running::start(self.square.host(*host)?.command("sh").args(["-c", &script]))?);
        }
        let config = self.files.join("ssh_config");
        let common = format!(
            "Host *\nUser root\nIdentityFile {folder}/key\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n\
             BatchMode yes\nExitOnForwardFailure yes\nConnectionAttempts 20\n"
        );
        write(&config, &common)?;
        let middle: Vec<String> =
            self.plan.path.iter().skip(1).filter(|host| **host != self.plan.far()).map(|host| address(*host)).collect();
        let mut command = self.square.host(0)?.command("ssh");
        command.arg("-F").arg(&config).args(["-N", "-D", PROXY]);
        for port in PORTS {
            command.args(["-L", &format!("127.0.0.1:{port}:127.0.0.1:{port}")]);
        }
        if let Some(middle) = middle.first() {
            // What -J does, but it ends with the one who wants it, however that ends.
            let jump = format!("setpriv --pdeathsig KILL ssh -F {} -W %h:%p {middle}", config.display());
            command.arg("-o").arg(format!("ProxyCommand={jump}"));
        }
        others.push(Running::start(command.arg(address(self.plan.far())))?);
        Ok("127.0.0.1".to_owned())
    }
}

fn config(files: &Path, host: usize) -> std::path::PathBuf {
    let number = host + 1;
    files.join(format!("ring/host-{number}/node-{number}.json"))
}

/// Adds keys to a configuration.
fn add(path: &Path, keys: &Value) -> Result<(), String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| named(&error))?;
    let mut config: Value = serde_json::from_str(&text).map_err(|error| named(&error))?;
    if let (Some(config), Some(keys)) = (config.as_object_mut(), keys.as_object()) {
        config.extend(keys.clone());
    }
    write(path, &config.to_string())
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
