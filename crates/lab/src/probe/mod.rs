//! Plain sockets on a host, in the hands of a test: what a NAT does to them, without meshline.
//!
//! [`Probe`] is the test's end of the program `lab-probe`. Each packet carries a word that is said once, so who received
//! what, and from where, is never in doubt.

mod program;

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab::Site;
use crate::process::Process;
use crate::programs::program;

pub use program::run_probe;

/// A time to live that reaches everybody.
const FAR: u32 = 64;

/// A UDP socket of a [`Probe`], by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    number: usize,
    /// Its port, as its own host knows it.
    pub port: u16,
}

/// What became of an attempt to open a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// It stands, and the other end saw it come from there.
    Connected(SocketAddrV4),
    /// Somebody said no.
    Refused,
    /// Nobody said anything, for as long as was waited.
    Silent,
}

/// The program on its host. It ends with this.
#[derive(Debug)]
pub struct Probe {
    process: Process,
    address: String,
    sockets: usize,
}

/// A word that no other packet of this process carries.
fn fresh_word() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("word-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Probe {
    /// Starts it on a host.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(site: &Site) -> Self {
        let process = Process::start("lab-probe", site.bound_command(program("lab-probe")));
        process.wait_for("ready");
        Self { process, address: site.address().to_owned(), sockets: 0 }
    }

    /// Opens a UDP socket; port 0 leaves the choice to the system.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    pub fn udp(&mut self, port: u16) -> Socket {
        let answer = self.order(&format!("udp {port}"), "udp ");
        let socket = Socket { number: self.sockets, port: answer.parse().expect("a port") };
        self.sockets += 1;
        socket
    }

    /// Where that socket is, as its own host knows it.
    ///
    /// # Panics
    /// If the host has no address of IPv4.
    #[must_use]
    pub fn local(&self, socket: Socket) -> SocketAddrV4 {
        SocketAddrV4::new(self.address.parse().expect("hosts of a lab have one"), socket.port)
    }

    /// Sends a packet; the word it carries.
    #[track_caller]
    pub fn send(&mut self, from: Socket, to: impl Into<SocketAddr>) -> String {
        self.send_far(from, to, FAR)
    }

    /// Sends a packet that so many routers pass on at most, less one; the word it carries.
    #[track_caller]
    pub fn send_far(&mut self, from: Socket, to: impl Into<SocketAddr>, ttl: u32) -> String {
        let word = fresh_word();
        self.order(&format!("send {} {} {ttl} {word}", from.number, to.into()), "sent");
        word
    }

    /// Waits for the packet with a word; which address it came from.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn hears(&self, word: &str) -> SocketAddrV4 {
        from_in(&self.process.wait_for(&format!(" {word} ")))
    }

    /// Whether the packet with a word has come by now, and from where.
    #[track_caller]
    pub fn has_heard(&mut self, word: &str) -> Option<SocketAddrV4> {
        // Whatever has come is told before the answer.
        self.order("tell", "told");
        let (lines, wanted) = (self.process.since(0), format!(" {word} "));
        lines.iter().find(|line| line.contains(&wanted)).map(|line| from_in(line))
    }

    /// All packets that have come by now, as text in which whatever is no plain character is written as an escape.
    #[track_caller]
    pub fn heard(&mut self) -> Vec<String> {
        self.order("tell", "told");
        let of = |line: &String| Some(line.strip_prefix("heard ")?.split_once(' ')?.1.rsplit_once(' ')?.0.to_owned());
        self.process.since(0).iter().filter_map(of).collect()
    }

    /// What has come since this was last asked over each connection that stands, in hexadecimal digits.
    #[track_caller]
    pub fn read(&mut self) -> Vec<String> {
        let mark = self.process.mark();
        self.order("read", "told");
        self.process.since(mark).iter().filter_map(|line| Some(line.strip_prefix("read ")?.to_owned())).collect()
    }

    /// Listens for TCP connections, which stay as they are; port 0 leaves the choice to the system.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    pub fn listen(&mut self, port: u16) -> u16 {
        self.order(&format!("listen {port}"), "listening ").parse().expect("a port")
    }

    /// Opens a TCP connection from a port of one's own, 0 for any, to somebody who [listens](Self::listen).
    ///
    /// # Panics
    /// If the system refuses to try.
    #[track_caller]
    pub fn dial(&mut self, port: u16, to: SocketAddrV4, patience_ms: u64) -> Dialled {
        let answer = self.order(&format!("dial {port} {to} {patience_ms}"), "dialled ");
        match answer.as_str() {
            "refused" => Dialled::Refused,
            "silent" => Dialled::Silent,
            seen => Dialled::Connected(seen.parse().unwrap_or_else(|_| panic!("dialling {to}: {seen}"))),
        }
    }

    /// Gives an order and waits for its answer; what follows in that.
    #[track_caller]
    fn order(&mut self, order: &str, answer: &str) -> String {
        let mark = self.process.mark();
        self.process.say(order);
        let (_, line) = self.process.wait_after(mark, answer);
        line.strip_prefix(answer).unwrap_or_else(|| panic!("{order}: {line}")).to_owned()
    }
}

/// Of `heard N WORD FROM`, the last.
fn from_in(line: &str) -> SocketAddrV4 {
    line.rsplit(' ').next().and_then(|from| from.parse().ok()).unwrap_or_else(|| panic!("no address: {line}"))
}

impl fmt::Display for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(from) => write!(f, "connected from {from}"),
            Self::Refused => f.write_str("refused"),
            Self::Silent => f.write_str("silent"),
        }
    }
}
