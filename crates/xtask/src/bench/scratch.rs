//! A folder and ports of our own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A folder that goes with this. Its name is short: the path of a Unix socket has room for a hundred bytes.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("meshline-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first of so many ports in a row that nobody listens on.
pub(super) fn free_ports(count: u16) -> Result<u16, String> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut bases = PORTS.step_by(usize::from(count)).filter(|base| base.checked_add(count).is_some());
    bases.find(|base| (*base..*base + count).all(free)).ok_or_else(|| format!("no {count} free ports in a row"))
}
