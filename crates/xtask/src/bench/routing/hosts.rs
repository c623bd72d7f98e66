//! Four hosts in a square, made of network namespaces: A and C at the ends, B and D between them. Each cable runs over
//! a bridge of its own, so that one can be cut where neither end sees it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::bench::output;

/// What an undamaged cable carries, and five per cent of it, as tbf writes it.
const FULL: &str = "10mbit";
const DEGRADED: &str = "500kbit";

/// Long enough to tell the stream from what else goes over a card.
const MOMENT: Duration = Duration::from_millis(300);

/// The hosts, in the order of their numbers from 1.
pub(in crate::bench) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The cables, by the numbers of the hosts they join. The host with the lower place gets the address `.1` of the cable's network.
pub(in crate::bench) const CABLES: [(usize, usize); 4] = [(0, 1), (1, 2), (0, 3), (3, 2)];

/// A namespace, held by a process that ends with this one.
pub(in crate::bench) struct Host {
    holder: Child,
    _input: ChildStdin,
}

impl Host {
    /// A host without cables; what the system says if it allows none.
    pub(in crate::bench) fn new() -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", "ip link set lo up && echo ready && exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let (input, out) = (holder.stdin.take(), holder.stdout.take());
        let mut line = String::new();
        if let Some(out) = out {
            // Without the line there is no namespace.
            let _ = BufReader::new(out).read_line(&mut line);
        }
        match input {
            Some(input) if line.trim() == "ready" => Ok(Self { holder, _input: input }),
            _ => {
                let _ = (holder.kill(), holder.wait());
                Err("no network namespaces here".to_owned())
            }
        }
    }

    /// A command there; killed with the thread that starts it.
    pub(in crate::bench) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount", "--"]);
        command.args(["setpriv", "--pdeathsig", "KILL", "--", program]);
        command
    }

    /// Runs a line of words there.
    pub(in crate::bench) fn run(&self, line: &str) -> Result<String, String> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap_or_default());
        output(command.args(words)).map_err(|error| format!("{line}: {error}"))
    }

    /// Adds a cable to a bridge of the switch, which is made if it is not there yet.
    pub(in crate::bench) fn plug(&self, switch: &Self, bridge: &str, port: &str, card: &str) -> Result<(), String> {
        let held = self.holder.id();
        // It may be there.
        let _ = switch.run(&format!("ip link add {bridge} type bridge"));
        switch.run(&format!("ip link set {bridge} up"))?;
        switch.run(&format!("ip link add {port} type veth peer name {card} netns {held}"))?;
        switch.run(&format!("ip link set {port} master {bridge} up"))?;
        self.run(&format!("ip link set {card} up")).map(drop)
    }

    /// Bytes sent so far over a card.
    fn sent(&self, card: &str) -> u64 {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.holder.id())).unwrap_or_default();
        let line = table.lines().find_map(|line| line.trim().strip_prefix(card)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = (self.holder.kill(), self.holder.wait());
    }
}

/// The square.
pub(in crate::bench) struct Square {
    switch: Host,
    hosts: Vec<Host>,
}

impl Square {
    /// Lays all cables: the card to host `b` is called `to-b`, and carries 10 Mbit/s.
    pub(in crate::bench) fn new() -> Result<Self, String> {
        Self::with_rates([Some(FULL); CABLES.len()])
    }

    /// The same with a rate for each of [`CABLES`], as tbf writes it, or none.
    pub(in crate::bench) fn with_rates(rates: [Option<&str>; CABLES.len()]) -> Result<Self, String> {
        let hosts = NAMES.iter().map(|_| Host::new()).collect::<Result<Vec<_>, _>>()?;
        let square = Self { switch: Host::new()?, hosts };
        for (number, (one, other)) in CABLES.into_iter().enumerate() {
            for (place, (from, to)) in [(one, other), (other, one)].into_iter().enumerate() {
                let (host, card) = (square.host(from)?, card(to));
                host.plug(&square.switch, &format!("cable{number}"), &port(from, to), &card)?;
                host.run(&format!("ip addr add 10.{}.0.{}/24 dev {card}", number + 1, place + 1))?;
            }
            rates.get(number).copied().flatten().map_or(Ok(()), |rate| square.shape(one, other, rate))?;
        }
        Ok(square)
    }

    pub(in crate::bench) fn host(&self, number: usize) -> Result<&Host, String> {
        self.hosts.get(number).ok_or_else(|| format!("no host {number}"))
    }

    /// Everything between two hosts is lost from now on without a word.
    pub(in crate::bench) fn cut(&self, one: usize, other: usize) -> Result<(), String> {
        self.switch.run(&format!("ip link set {} nomaster", port(one, other))).map(drop)
    }

    /// Takes nineteen twentieths of what a cable carries, both ways.
    pub(in crate::bench) fn degrade(&self, one: usize, other: usize) -> Result<(), String> {
        self.shape(one, other, DEGRADED)
    }

    fn shape(&self, one: usize, other: usize, rate: &str) -> Result<(), String> {
        for (from, to) in [(one, other), (other, one)] {
            let card = card(to);
            self.host(from)?.run(&format!("tc qdisc replace dev {card} root tbf rate {rate} burst 16k limit 64k"))?;
        }
        Ok(())
    }

    /// Which of B and D gets what A sends, by its counters over a moment; `None` if both do: the way changed just then.
    pub(in crate::bench) fn in_use(&self) -> Result<Option<usize>, String> {
        let host = self.host(0)?;
        let sent = || [host.sent(&card(1)), host.sent(&card(3))];
        let before = sent();
        std::thread::sleep(MOMENT);
        let [b, d] = sent();
        let (b, d) = (b.saturating_sub(before[0]), d.saturating_sub(before[1]));
        Ok(if b > 5 * d { Some(1) } else { (d > 5 * b).then_some(3) })
    }
}

/// The card of a cable to a host.
pub(in crate::bench) fn card(to: usize) -> String {
    format!("to-{}", NAMES.get(to).copied().unwrap_or("?"))
}

/// The end of a cable at the switch.
fn port(from: usize, to: usize) -> String {
    format!("p{from}{to}")
}

/// The addresses of a host on its cables.
pub(in crate::bench) fn addresses(host: usize) -> impl Iterator<Item = String> {
    let of = move |(number, (one, other)): (usize, (usize, usize))| {
        let place = if one == host { Some(1) } else { (other == host).then_some(2) };
        place.map(|place| format!("10.{}.0.{place}", number + 1))
    };
    CABLES.into_iter().enumerate().filter_map(of)
}

/// The address of a host on its cable from another.
pub(in crate::bench) fn address_from(from: usize, to: usize) -> Option<String> {
    let found = CABLES
        .into_iter()
        .enumerate()
        .find(|(_, (one, other))| (*one, *other) == (from, to) || (*one, *other) == (to, from));
    found.map(|(number, (one, _))| format!("10.{}.0.{}", number + 1, if one == to { 1 } else { 2 }))
}
