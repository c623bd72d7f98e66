//! What the system knows of a TCP connection (`TCP_INFO`), asked by its two addresses.
//!
//! It is asked over netlink (`sock_diag`, what `ss -ti` uses) and not with `getsockopt`, for which no crate without
//! code generation has a safe form. A question and its answer take microseconds; the kernel answers within the call.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};

/// `SOCK_DIAG_BY_FAMILY`, the question and its answer.
const BY_FAMILY: u16 = 20;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// `INET_DIAG_INFO`, the attribute that holds `tcp_info`, and the bit by which it is asked for.
const INFO: u16 = 2;
const WANT_INFO: u8 = 1 << 1;

const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;

/// Lengths of `nlmsghdr`, of `inet_diag_req_v2` with it, and of `inet_diag_msg` with it.
const HEADER: usize = 16;
const QUESTION: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;

/// An answer with all attributes that come unasked is below 600 bytes.
const MAX_ANSWER: usize = 4_096;

/// What is of use here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// Segments sent again.
    pub(crate) retransmitted: u32,
    /// Segments with data sent, those sent again too.
    pub(crate) segments: u32,
    /// Bytes that arrived at the other end.
    pub(crate) acked: u64,
    /// Bytes that arrived here in their order.
    pub(crate) received: u64,
    /// Segments with data that arrived here in whatever order, and the bytes of a full one.
    pub(crate) segments_in: u32,
    pub(crate) segment_bytes_in: u32,
    /// Bytes taken from us and not sent yet.
    pub(crate) unsent: u32,
    /// Bytes of a full segment.
    pub(crate) segment_bytes: u32,
    /// Segments sent and not confirmed in their order.
    pub(crate) unconfirmed: u32,
    /// Those among them that arrived out of their order.
    pub(crate) out_of_order: u32,
    /// Segments under way that are thought lost, and those under way that were sent again.
    pub(crate) missing: u32,
    pub(crate) repeated: u32,
    /// Segments that were sent again for nothing: the other end had both.
    pub(crate) duplicates: u32,
    /// Segments that arrived here out of their order.
    pub(crate) behind_a_hole_in: u32,
    /// The least round trip in microseconds.
    pub(crate) min_rtt_us: u32,
}

impl TcpInfo {
    /// Bytes that are at the other end. What arrived behind a hole counts at once: when the hole is filled, all of it
    /// is confirmed in one leap, and by that alone a slow link would seem a fast one for a moment.
    pub(crate) fn delivered(&self) -> u64 {
        self.acked.saturating_add(bytes(self.out_of_order, self.segment_bytes))
    }

    /// Bytes that stand before what is written now.
    pub(crate) fn waiting(&self) -> u64 {
        let under_way = self.unconfirmed.saturating_sub(self.out_of_order);
        bytes(under_way, self.segment_bytes).saturating_add(u64::from(self.unsent))
    }

    /// Bytes that arrived here if all segments were full ones.
    pub(crate) fn received_at_most(&self) -> u64 {
        bytes(self.segments_in, self.segment_bytes_in)
    }

    /// Segments that were lost since it came up: those sent again, less those of which the other end said that it had
    /// them already, and those that will be sent again. It may go down, because what it had is known later.
    pub(crate) fn lost(&self) -> i64 {
        let to_be_repeated = self.missing.saturating_sub(self.repeated);
        i64::from(self.retransmitted) + i64::from(to_be_repeated) - i64::from(self.duplicates)
    }
}

fn bytes(segments: u32, each: u32) -> u64 {
    u64::from(segments).saturating_mul(u64::from(each))
}

/// A socket to ask with.
#[derive(Debug)]
pub(crate) struct Asker(Option<OwnedFd>);

impl Asker {
    /// Without the right to ask, nothing is ever known.
    pub(crate) fn new() -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let open = || {
            let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
            connect(&socket, &SocketAddrNetlink::new(0, 0)).map(|()| socket)
        };
        Self(open().map_err(|error| tracing::debug!("TCP connections cannot be measured: {error}")).ok())
    }

    /// What is known of a connection of this host.
    pub(crate) fn ask(&self, local: SocketAddr, remote: SocketAddr) -> Option<TcpInfo> {
        let socket = self.0.as_ref()?;
        send(socket, &question(local, remote), SendFlags::empty()).ok()?;
        let mut answer = [0; MAX_ANSWER];
        let (length, _) = recv(socket, &mut answer[..], RecvFlags::empty()).ok()?;
        parse(answer.get(..length)?)
    }
}

fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(QUESTION);
    out.extend(u32::try_from(QUESTION).unwrap_or(0).to_ne_bytes());
    out.extend(BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST.to_ne_bytes());
    // Sequence and port: the socket asks one question at a time.
    out.extend([0; 8]);
    let family = if local.is_ipv4() { INET } else { INET6 };
    out.extend([family, TCP, WANT_INFO, 0]);
    // Whatever its state.
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(remote.port().to_be_bytes());
    out.extend(sixteen(local.ip()));
    out.extend(sixteen(remote.ip()));
    // Any interface, no cookie.
    out.extend(0_u32.to_ne_bytes());
    out.extend([0xff; 8]);
    out
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn parse(answer: &[u8]) -> Option<TcpInfo> {
    if u16_at(answer, 4)? != BY_FAMILY {
        return None;
    }
    let mut rest = answer.get(ANSWER..)?;
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        if u16_at(rest, 2)? == INFO {
            return read(rest.get(4..length)?);
        }
        // Attributes begin at multiples of four.
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

/// `struct tcp_info` of linux/tcp.h; fields are only ever added at its end.
fn read(info: &[u8]) -> Option<TcpInfo> {
    Some(TcpInfo {
        retransmitted: u32_at(info, 100)?,
        segments: u32_at(info, 156)?,
        acked: u64_at(info, 120)?,
        received: u64_at(info, 128)?,
        segments_in: u32_at(info, 152)?,
        segment_bytes_in: u32_at(info, 20)?,
        unsent: u32_at(info, 144)?,
        segment_bytes: u32_at(info, 16)?,
        unconfirmed: u32_at(info, 24)?,
        out_of_order: u32_at(info, 28)?,
        missing: u32_at(info, 32)?,
        repeated: u32_at(info, 36)?,
        // Since Linux 4.19.
        duplicates: u32_at(info, 216).unwrap_or(0),
        // Since Linux 5.4.
        behind_a_hole_in: u32_at(info, 224).unwrap_or(0),
        min_rtt_us: u32_at(info, 148)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_system_tells_of_a_connection_what_went_over_it() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut far, remote) = listener.accept().unwrap();
            near.write_all(&[0; 10_000]).unwrap();
            far.read_exact(&mut [0; 10_000]).unwrap();
            let asker = Asker::new();
            let (Some(of_near), Some(of_far)) =
                (asker.ask(remote, near.peer_addr().unwrap()), asker.ask(far.local_addr().unwrap(), remote))
            else {
                eprintln!("skipped: this system does not tell");
                return;
            };
            assert!(of_near.segments >= 1 && of_near.acked >= 10_000 && of_near.retransmitted == 0, "{of_near:?}");
            assert!(of_near.segment_bytes >= 536 && of_near.delivered() == of_near.acked, "{of_near:?}");
            assert_eq!((of_far.segments, of_far.acked, of_far.waiting()), (0, 0, 0), "{of_far:?}");
            assert_eq!((of_near.received, of_far.received), (0, 10_000));
        }
    }

    #[test]
    fn nothing_is_known_of_a_connection_that_is_not_there_and_the_next_question_is_answered() {
        let asker = Asker::new();
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(asker.ask(nobody, nobody), None);
        assert_eq!(asker.ask(nobody, nobody), None);
    }

    #[test]
    fn what_arrived_behind_a_hole_is_delivered_and_what_is_under_way_waits() {
        let tcp = TcpInfo {
            acked: 10_000,
            unsent: 500,
            segment_bytes: 1_000,
            unconfirmed: 7,
            out_of_order: 4,
            retransmitted: 9,
            missing: 5,
            repeated: 4,
            duplicates: 2,
            ..TcpInfo::default()
        };
        assert_eq!((tcp.delivered(), tcp.waiting(), tcp.lost()), (14_000, 3_500, 8));
    }

    #[test]
    fn answers_that_end_early_are_none() {
        let mut answer = vec![0; ANSWER];
        answer[4] = 20;
        assert_eq!(parse(&answer), None);
        answer.extend([200, 0, 2, 0]);
        assert_eq!(parse(&answer), None);
        answer.extend([0; 30]);
        assert_eq!(parse(&answer), None);
        assert_eq!(parse(&[]), None);
    }
}
