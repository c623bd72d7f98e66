//! Ports of this machine that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to outbound connections, above those of well-known services.
const FIRST: u16 = 20_000;
const BLOCKS: u16 = 240;

/// Ports of one block: a network of some dozen nodes on one machine.
pub(crate) const BLOCK: u16 = 50;

/// The first port of a free block. Tests run side by side in one process and in several: the process id chooses where
/// to begin, a counter goes on, and what somebody listens on is left out.
pub(crate) fn free_block() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id().wrapping_mul(37) % u32::from(BLOCKS)).unwrap_or(0);
    for _ in 0..BLOCKS {
        let block = (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let first = FIRST + block * BLOCK;
        if (first..first + BLOCK).all(is_free) {
            return first;
        }
    }
    panic!("no {BLOCK} free ports in a row on this machine");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
