//! One UDP socket of this host.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll, ready};

use meshline_mesh::SocketId;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, MsgHdr, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::limits::UDP_BUFFER;

/// The levels and names by which one datagram is given another number of hops (`IP_TTL`, `IPV6_HOPLIMIT`).
const HOPS_V4: (i32, i32) = (0, 2);
const HOPS_V6: (i32, i32) = (41, 52);

/// A bound socket, with what it can do.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) id: SocketId,
    pub(super) local: SocketAddr,
    io: UdpSocket,
    state: UdpSocketState,
}

impl Bound {
    pub(super) fn open(id: SocketId, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // Without an address of its own it takes v4 too, as the listeners do.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // The system's own limit may be lower; it then takes that.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER);
        let _ = socket.set_send_buffer_size(UDP_BUFFER);
        let io = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { id, local: io.local_addr()?, io, state })
    }

    /// Whether packets for `to` can leave here.
    pub(super) fn reaches(&self, to: SocketAddr) -> bool {
        let is_dual = self.local.is_ipv6() && self.local.ip().is_unspecified();
        let is_family = self.local.is_ipv4() == to.is_ipv4() || is_dual;
        is_family && (self.local.ip().is_unspecified() || self.local.ip().is_loopback() == to.ip().is_loopback())
    }

    /// The address as this socket takes it.
    fn written(&self, to: SocketAddr) -> SocketAddr {
        if self.local.is_ipv6() { mapped(to) } else { to }
    }

    pub(super) fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(context))?;
            let read = self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), buffers, meta));
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Sends what QUIC wants sent.
    pub(super) fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let to = self.written(canonical(transmit.destination));
        // An address of the other family belongs to another socket.
        let src_ip = transmit.src_ip.map(|ip| ip.to_canonical()).filter(|ip| ip.is_ipv4() == to.is_ipv4());
        let transmit = Transmit {
            destination: to,
            ecn: transmit.ecn,
            contents: transmit.contents,
            segment_size: transmit.segment_size,
            src_ip,
        };
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), &transmit))
    }

    /// Sends one datagram. What does not leave at once is lost. The system is asked straight: the runtime does not know
    /// yet that a new socket can be written to.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8], ttl: Option<u8>) -> io::Result<()> {
        let socket = SockRef::from(&self.io);
        let address = SockAddr::from(self.written(to));
        let Some(ttl) = ttl else { return socket.send_to(bytes, &address).map(|_| ()) };
        let slices = [IoSlice::new(bytes)];
        let control = control(if to.is_ipv4() { HOPS_V4 } else { HOPS_V6 }, ttl);
        let message = MsgHdr::new().with_addr(&address).with_buffers(&slices).with_control(&control);
        socket.sendmsg(&message, 0).map(|_| ())
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Datagrams that one call may send and receive.
    pub(super) fn segments(&self) -> (usize, usize) {
        (self.state.max_gso_segments(), self.state.gro_segments())
    }
}

/// One control message that holds an `int`: `struct cmsghdr`, as the machine writes it.
fn control((level, name): (i32, i32), value: u8) -> Vec<u8> {
    let header = size_of::<usize>() + 2 * size_of::<i32>();
    let mut out = Vec::with_capacity(header + size_of::<usize>());
    out.extend((header + size_of::<i32>()).to_ne_bytes());
    out.extend(level.to_ne_bytes());
    out.extend(name.to_ne_bytes());
    out.extend(i32::from(value).to_ne_bytes());
    out.resize(out.len().next_multiple_of(size_of::<usize>()), 0);
    out
}

/// The address with v4 as v4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// The address with v4 within v6.
pub(super) fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// All addresses of the family of another one, or of both where the host has both.
pub(super) fn any_like(local: SocketAddr) -> SocketAddr {
    let ip = match local {
        _ if local.ip().is_loopback() => local.ip(),
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}
