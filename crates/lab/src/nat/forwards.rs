//! A home's router that forwards ports to whoever asks by PCP, NAT-PMP or UPnP: with `miniupnpd`, which most routers run.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::router::{Router, Upstream};
use super::{Home, Nat, home};
use crate::lab::Lab;
use crate::process::Process;
use crate::programs::has_tool;
use crate::skipped;

/// Tables as it wants them; they take the place of earlier ones.
const TABLES: &str = "
table inet filter {}
delete table inet filter
table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority filter; }
    chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority srcnat; jump postrouting_miniupnpd; }
}
";

/// A router's daemon. It ends with this.
#[derive(Debug)]
pub struct PortDaemon {
    router: Arc<Router>,
    process: Option<Process>,
    folder: TempDir,
}

impl Lab {
    /// As [`Self::behind`], and the router forwards ports to whoever asks; `None`, said in a line, where the system has
    /// nothing for it.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn behind_forwarding(&self, nat: Nat) -> Option<(Home, PortDaemon)> {
        if !has_tool("miniupnpd") {
            skipped("there is no program miniupnpd");
            return None;
        }
        let home = Home::new(Upstream::routable(self), nat, &home::lan());
        let router = Arc::clone(home.router());
        router.let_forwarded_in();
        let mut daemon = PortDaemon { router, process: None, folder: tempfile::tempdir().expect("a folder") };
        daemon.start();
        Some((home, daemon))
    }
}

impl PortDaemon {
    /// Starts it, with nothing forwarded.
    ///
    /// # Panics
    /// If it does not come up.
    #[track_caller]
    pub fn start(&mut self) {
        self.router.nft(TABLES);
        let mut command = self.router.bound("miniupnpd");
        command.args(["-d", "-f"]).arg(self.settings()).arg("-P").arg(self.folder.path().join("pid"));
        let process = Process::start("miniupnpd", command);
        process.wait_for("Listening for NAT-PMP/PCP");
        self.process = Some(process);
    }

    /// Kills it, and nothing is forwarded any more.
    pub fn kill(&mut self) {
        self.process = None;
        self.router.nft(TABLES);
    }

    /// What it forwards, as `nft` lists it.
    #[must_use]
    pub fn forwarded(&self) -> String {
        self.router.list("chain inet filter prerouting_miniupnpd")
    }

    fn settings(&self) -> PathBuf {
        let lan = self.router.lan();
        let settings = format!(
            "ext_ifname=wan\nlistening_ip=inner\nenable_natpmp=yes\nenable_upnp=yes\nsecure_mode=yes\n\
             min_lifetime=120\nmax_lifetime=86400\nuuid=5b1a4f3e-0000-4000-8000-000000000001\n\
             allow 1024-65535 {lan}.0/24 1024-65535\n"
        );
        let path = self.folder.path().join("miniupnpd.conf");
        std::fs::write(&path, settings).expect("written");
        path
    }
}
