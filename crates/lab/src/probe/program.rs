//! The program: orders by standard input, a line each, and what its sockets hear.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Larger than any packet of a test.
const MAX_PACKET: usize = 2048;

/// What is read of a connection at once.
const MAX_READ: u64 = 1 << 16;

/// How long the other end of a connection, which stands, may take to say where it saw it come from.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// Does what it is told until its input ends. It says `ready` when it listens to orders.
///
/// # Errors
/// If it is told something it does not know, or the system refuses something.
pub fn run_probe() -> std::io::Result<()> {
    let mut orders = BufReader::new(File::from(std::io::stdin().as_fd().try_clone_to_owned()?));
    let mut probe = Sockets::default();
    say("ready")?;
    while let Some(ready) = probe.wait(&orders)? {
        // What came before an order is told before its answer.
        probe.hear()?;
        probe.accept()?;
        if ready && !probe.obey(&mut orders)? {
            return Ok(());
        }
    }
    Ok(())
}

#[derive(Default)]
struct Sockets {
    udp: Vec<UdpSocket>,
    listening: Vec<TcpListener>,
    /// Those that stand are kept as they are.
    connections: Vec<TcpStream>,
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

fn wrong(what: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidInput, what.to_string())
}

impl Sockets {
    /// Waits until something is to be done; whether there are orders.
    fn wait(&self, orders: &BufReader<File>) -> std::io::Result<Option<bool>> {
        let mut fds = vec![PollFd::new(orders.get_ref(), PollFlags::IN)];
        fds.extend(self.udp.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        fds.extend(self.listening.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => Ok(fds.first().map(|orders| !orders.revents().is_empty())),
            Err(Errno::INTR) => Ok(Some(false)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells what has come, socket by socket.
    fn hear(&self) -> std::io::Result<()> {
        let mut packet = [0; MAX_PACKET];
        for (number, socket) in self.udp.iter().enumerate() {
            // What is refused by ICMP shows as an error of the next call, and is nothing that was heard.
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                // On one line, whatever it is.
                let word = String::from_utf8_lossy(packet.get(..len).unwrap_or_default());
                say(&format!("heard {number} {} {from}", word.escape_debug()))?;
            }
        }
        Ok(())
    }

    /// Tells whoever connects where it was seen to come from.
    fn accept(&mut self) -> std::io::Result<()> {
        for socket in &self.listening {
            while let Ok((mut connection, from)) = socket.accept() {
                writeln!(connection, "{from}")?;
                self.connections.push(connection);
            }
        }
        Ok(())
    }

    /// Follows an order; whether there may be more.
    fn obey(&mut self, orders: &mut BufReader<File>) -> std::io::Result<bool> {
        let mut order = String::new();
        if orders.read_line(&mut order)? == 0 {
            return Ok(false);
        }
        let words: Vec<&str> = order.split_whitespace().collect();
        match words.as_slice() {
            ["udp", port] => self.open(port.parse().map_err(wrong)?)?,
            ["send", number, to, ttl, word] => {
                let socket = number.parse().ok().and_then(|number: usize| self.udp.get(number));
                socket.ok_or_else(|| wrong(&order))?.set_ttl(ttl.parse().map_err(wrong)?)?;
                let to: SocketAddr = to.parse().map_err(wrong)?;
                let sent = socket.ok_or_else(|| wrong(&order))?.send_to(word.as_bytes(), to);
                // A firewall on the way out says so here; the test sees that nothing comes.
                let _ = sent;
                say("sent")?;
            }
            ["tell"] => say("told")?,
            ["read"] => self.read()?,
            ["listen", port] => {
                let socket = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port.parse().map_err(wrong)?))?;
                socket.set_nonblocking(true)?;
                say(&format!("listening {}", socket.local_addr()?.port()))?;
                self.listening.push(socket);
            }
            ["dial", port, to, patience_ms] => {
                let patience = Duration::from_millis(patience_ms.parse().map_err(wrong)?);
                self.dial(port.parse().map_err(wrong)?, to.parse().map_err(wrong)?, patience)?;
            }
            _ => return Err(wrong(&order)),
        }
        Ok(true)
    }

    /// Tells what has come over each connection since it was last asked for.
    fn read(&self) -> std::io::Result<()> {
        for connection in &self.connections {
            connection.set_nonblocking(true)?;
            let (mut bytes, mut hex) = (Vec::new(), String::new());
            // That nothing more has come is an error too, after all that has.
            let _ = connection.take(MAX_READ).read_to_end(&mut bytes);
            bytes.iter().for_each(|byte| hex += &format!("{byte:02x}"));
            say(&format!("read {hex}"))?;
        }
        say("told")
    }

    fn open(&mut self, port: u16) -> std::io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        socket.set_nonblocking(true)?;
        say(&format!("udp {}", socket.local_addr()?.port()))?;
        self.udp.push(socket);
        Ok(())
    }

    fn dial(&mut self, port: u16, to: SocketAddrV4, patience: Duration) -> std::io::Result<()> {
        let answer = match connect(port, to, patience)? {
            Ok(connection) => {
                let seen = seen_from(connection.try_clone()?)?;
                self.connections.push(connection);
                seen
            }
            Err(Errno::CONNREFUSED | Errno::CONNRESET) => "refused".to_owned(),
            Err(Errno::TIMEDOUT) => "silent".to_owned(),
            Err(error) => error.to_string(),
        };
        say(&format!("dialled {answer}"))
    }
}

/// What the other end says first.
fn seen_from(connection: TcpStream) -> std::io::Result<String> {
    connection.set_read_timeout(Some(SEEN_WITHIN))?;
    let mut seen = String::new();
    BufReader::new(connection.take(MAX_PACKET as u64)).read_line(&mut seen)?;
    Ok(seen.trim().to_owned())
}

/// Connects from a port that other connections may use too. Refusals are part of the answer.
fn connect(port: u16, to: SocketAddrV4, patience: Duration) -> std::io::Result<Result<TcpStream, Errno>> {
    let socket: OwnedFd =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Ok(Err(error)),
    }
    let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).map_err(wrong)?;
    if poll(&mut fds, Some(&patience))? == 0 {
        return Ok(Err(Errno::TIMEDOUT));
    }
    match sockopt::socket_error(&socket)? {
        Ok(()) => {
            let connection = TcpStream::from(socket);
            connection.set_nonblocking(false)?;
            Ok(Ok(connection))
        }
        Err(error) => Ok(Err(error)),
    }
}
