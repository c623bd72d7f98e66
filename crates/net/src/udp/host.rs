//! The addresses of this host, as the system tells them (rtnetlink), at the start and whenever they change. Nothing is
//! asked in between.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

#[cfg(feature = "lan")]
use meshline_mesh::LanSegment;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::driver::Notice;
use crate::limits::{HOST_SETTLED, MAX_HOST_ADDRESSES};

/// `RTM_NEWADDR`, `RTM_GETADDR`, `NLMSG_DONE`.
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESSES: u16 = 22;
const DONE: u16 = 3;

/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 1 | 0x300;

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`.
const CHANGES: u32 = 0x10 | 0x100;

/// `IFA_ADDRESS`, and `IFA_LOCAL`, which is the own one where the other is that of the far end.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// `IFA_F_DEPRECATED | IFA_F_TENTATIVE`: not to be used for something new, or not yet.
const UNFIT: u8 = 0x20 | 0x40;

/// From this scope on (`RT_SCOPE_LINK`) an address means something on one cable only, or on this host.
const LINK_SCOPE: u8 = 253;

/// Lengths of `nlmsghdr` and of `ifaddrmsg`.
const HEADER: usize = 16;
const BODY: usize = 8;

/// What the system sends in one piece at most.
const MAX_ANSWER: usize = 32 * 1024;

/// Pieces of one answer: a host with thousands of addresses needs no more.
const MAX_PIECES: usize = 64;

/// Tells the driver the addresses that `locals` stand for, at once and after each change. Ends when it is gone.
pub(crate) async fn watch(locals: Vec<SocketAddr>, notices: mpsc::Sender<Notice>) {
    let changes = subscribe().map_err(|error| tracing::debug!("addresses of this host are not watched: {error}"));
    let mut told = None;
    loop {
        let now = stand_for(&locals, &addresses());
        if told.as_ref() != Some(&now) {
            if notices.send(Notice::UdpAddresses(now.clone())).await.is_err() {
                return;
            }
            told = Some(now);
        }
        let Ok(changes) = &changes else { return };
        if !has_changed(changes).await {
            return;
        }
        sleep(HOST_SETTLED).await;
        discard(changes);
    }
}

/// What the addresses of sockets stand for. Loopback is told only where there is nothing else.
fn stand_for(locals: &[SocketAddr], host: &BTreeSet<IpAddr>) -> Vec<SocketAddr> {
    let mut all = BTreeSet::new();
    for local in locals {
        if local.ip().is_unspecified() {
            let fits = |ip: &&IpAddr| local.is_ipv6() || ip.is_ipv4();
            all.extend(host.iter().filter(fits).map(|ip| SocketAddr::new(*ip, local.port())));
        } else {
            all.insert(*local);
        }
    }
    let is_lonely = all.iter().all(|address| address.ip().is_loopback());
    all.into_iter().filter(|address| is_lonely || !address.ip().is_loopback()).take(MAX_HOST_ADDRESSES).collect()
}

fn open(groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // The protocol is 0, `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// A socket that the runtime waits for. The type says another family; what is asked of it is the same for all.
fn subscribe() -> io::Result<UnixDatagram> {
    UnixDatagram::from_std(open(CHANGES)?.into())
}

/// Waits for a change; `false` if there is nothing to wait for.
async fn has_changed(changes: &UnixDatagram) -> bool {
    let heard = changes.recv(&mut [0; 64]).await;
    // That something was lost is a change as well.
    heard.map_err(|error| Errno::from_io_error(&error)).map_or_else(|error| error == Some(Errno::NOBUFS), |_| true)
}

/// Takes in what else is known of a change.
fn discard(changes: &UnixDatagram) {
    while changes.try_recv(&mut [0; 64]).is_ok() {}
}

/// All addresses of this host that others may use; none if the system does not tell.
fn addresses() -> BTreeSet<IpAddr> {
    found().into_iter().map(|(ip, _)| ip).collect()
}

/// The segments that this host is on, loopback left out; none if the system does not tell.
#[cfg(feature = "lan")]
pub(crate) fn segments() -> Vec<LanSegment> {
    found().into_iter().map(|(address, prefix)| LanSegment { address, prefix }).take(MAX_HOST_ADDRESSES).collect()
}

/// The addresses, each with how many bits all of its segment share.
fn found() -> BTreeSet<(IpAddr, u8)> {
    let mut found = BTreeSet::new();
    let Ok(socket) = open(0) else { return found };
    if send(&socket, &question(), SendFlags::empty()).is_err() {
        return found;
    }
    let mut piece = vec![0; MAX_ANSWER];
    for _ in 0..MAX_PIECES {
        // The system answers within the calls.
        let Ok((length, _)) = recv(&socket, &mut piece[..], RecvFlags::empty()) else { break };
        if read_messages(piece.get(..length).unwrap_or_default(), &mut found) {
            break;
        }
    }
    found
}

fn question() -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + BODY);
    out.extend(u32::try_from(HEADER + BODY).unwrap_or(0).to_ne_bytes());
    out.extend(GET_ADDRESSES.to_ne_bytes());
    out.extend(DUMP.to_ne_bytes());
    // Sequence, port, and any family.
    out.extend([0; 8 + BODY]);
    out
}

/// Takes in the addresses of one piece; says whether it was the last.
fn read_messages(mut rest: &[u8], found: &mut BTreeSet<(IpAddr, u8)>) -> bool {
    while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX).max(HEADER);
        if kind == DONE {
            return true;
        }
        if kind == NEW_ADDRESS
            && let Some(body) = rest.get(HEADER..length)
        {
            found.extend(read_address(body));
        }
        let Some(next) = rest.get(length.next_multiple_of(4)..) else { break };
        rest = next;
    }
    false
}

/// `struct ifaddrmsg` and its attributes.
fn read_address(body: &[u8]) -> Option<(IpAddr, u8)> {
    let [_, prefix, flags, scope, ..] = *body else { return None };
    if flags & UNFIT != 0 || scope >= LINK_SCOPE {
        return None;
    }
    let mut rest = body.get(BODY..)?;
    let (mut address, mut local) = (None, None);
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length).max(4);
        let value = rest.get(4..length).and_then(ip);
        match kind {
            ADDRESS => address = value,
            LOCAL => local = value,
            _ => {}
        }
        let Some(next) = rest.get(length.next_multiple_of(4)..) else { break };
        rest = next;
    }
    local.or(address).filter(|ip| !ip.is_loopback()).map(|ip| (ip, prefix))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(all: &[&str]) -> BTreeSet<IpAddr> {
        all.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn sockets(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn an_open_address_stands_for_all_of_its_family_and_loopback_for_itself_where_nothing_else_is() {
        let host = set(&["10.0.0.1", "fd00::1"]);
        assert_eq!(stand_for(&sockets(&["0.0.0.0:5"]), &host), sockets(&["10.0.0.1:5"]));
        assert_eq!(stand_for(&sockets(&["[::]:5"]), &host), sockets(&["10.0.0.1:5", "[fd00::1]:5"]));
        assert_eq!(stand_for(&sockets(&["127.0.0.1:5"]), &host), sockets(&["127.0.0.1:5"]));
        assert_eq!(stand_for(&sockets(&["127.0.0.1:5", "10.0.0.1:6"]), &host), sockets(&["10.0.0.1:6"]));
        let many = (0..40).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert_eq!(stand_for(&sockets(&["0.0.0.0:5"]), &many).len(), MAX_HOST_ADDRESSES);
    }

    #[test]
    fn the_system_is_asked_and_loopback_is_not_among_what_it_says() {
        assert!(addresses().iter().all(|ip| !ip.is_loopback() && !ip.is_unspecified()));
    }

    #[test]
    fn answers_that_end_early_are_none() {
        let mut found = BTreeSet::new();
        for length in 0..HEADER + BODY {
            let mut cut = vec![0xff; length];
            assert!(!read_messages(&cut, &mut found));
            cut.fill(0);
            assert!(!read_messages(&cut, &mut found));
        }
        assert!(found.is_empty());
        assert_eq!(read_address(&[2, 24, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0]), None);
        assert_eq!(
            read_address(&[2, 24, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 9]),
            Some((IpAddr::from([10, 0, 0, 9]), 24)).filter(|_| cfg!(target_endian = "little"))
        );
    }
}
