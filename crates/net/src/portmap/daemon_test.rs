//! Leases of miniupnpd, which most routers run, in network namespaces of its own: the test runs itself once more inside.

use std::io::{BufRead as _, Write as _};
use std::process::{Child, Command, Stdio};

use meshline_protocol::message::NatTransport;
use tokio::sync::mpsc;

use super::PortMaps;
use super::gateway::Router;
use crate::driver::Notice;

/// Set for the half that runs behind the router.
const INSIDE: &str = "MESHLINE_TEST_BEHIND_ROUTER";

const TESTS: &str = "portmap::daemon_test::";

/// Tables as miniupnpd wants them.
const TABLES: &str = "table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward { type filter hook forward priority 0; policy accept; }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
}
";

/// The router's address outside. It never leaves the namespace, and miniupnpd takes none of those for documents.
const OUTSIDE: &str = "11.0.0.7";

/// Two namespaces and a daemon, gone when dropped.
struct House {
    names: [String; 2],
    daemon: Option<Child>,
    folder: tempfile::TempDir,
}

fn run(command: &str) -> bool {
    let mut words = command.split_ascii_whitespace();
    let program = words.next().expect("a program");
    Command::new(program)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|done| done.success())
}

impl House {
    /// `None` where the system allows none, or has no such daemon.
    fn build(with_pcp: bool) -> Option<Self> {
        let kind = if with_pcp { "p" } else { "u" };
        let names = ["r", "h"].map(|end| format!("mlpm{kind}-{}-{end}", std::process::id()));
        let folder = tempfile::tempdir().expect("a folder");
        let mut house = Self { names, daemon: None, folder };
        let [router, host] = house.names.clone();
        let steps = [
            format!("ip netns add {router}"),
            format!("ip netns add {host}"),
            format!("ip -n {router} link add lan type veth peer name eth netns {host}"),
            format!("ip -n {router} link add wan type veth peer name far"),
            format!("ip -n {router} addr add 192.168.77.1/24 dev lan"),
            format!("ip -n {router} addr add {OUTSIDE}/24 dev wan"),
            format!("ip -n {router} link set lan up"),
            format!("ip -n {router} link set wan up"),
            format!("ip -n {router} link set far up"),
            format!("ip -n {router} link set lo up"),
            format!("ip -n {host} addr add 192.168.77.2/24 dev eth"),
            format!("ip -n {host} link set eth up"),
            format!("ip -n {host} link set lo up"),
            format!("ip -n {host} route add default via 192.168.77.1"),
        ];
        if !steps.iter().all(|step| run(step)) {
            return None;
        }
        house.start_daemon(&router, with_pcp)?;
        Some(house)
    }

    fn start_daemon(&mut self, router: &str, with_pcp: bool) -> Option<()> {
        let (tables, config) = (self.folder.path().join("tables"), self.folder.path().join("miniupnpd.conf"));
        std::fs::write(&tables, TABLES).expect("written");
        let pcp = if with_pcp { "yes" } else { "no" };
        let settings = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_natpmp={pcp}\nenable_upnp=yes\n\
             secure_mode=yes\nmin_lifetime=120\nmax_lifetime=86400\n\
             uuid=5b1a4f3e-0000-4000-8000-000000000001\nallow 1024-65535 192.168.77.0/24 1024-65535\n"
        );
        std::fs::write(&config, settings).expect("written");
        run(&format!("ip netns exec {router} nft -f {}", tables.display())).then_some(())?;
        let mut daemon = Command::new("ip")
            .args(["netns", "exec", router, "miniupnpd", "-d", "-f"])
            .arg(&config)
            .arg("-P")
            .arg(self.folder.path().join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut log = std::io::BufReader::new(daemon.stderr.take()?).lines();
        let sign = if with_pcp { "Listening for NAT-PMP/PCP" } else { "HTTP listening on port" };
        let is_up = log.by_ref().map_while(Result::ok).any(|line| line.contains(sign));
        // What is not read would stop it in the end.
        drop(std::thread::spawn(move || log.map_while(Result::ok).for_each(drop)));
        self.daemon = Some(daemon);
        is_up.then_some(())
    }

    /// What the router forwards now.
    fn forwarded(&self) -> String {
        let [router, _] = &self.names;
        let list = Command::new("ip")
            .args(["netns", "exec", router, "nft", "list", "chain", "inet", "filter"])
            .arg("prerouting_miniupnpd")
            .output();
        String::from_utf8_lossy(&list.expect("nft runs").stdout).into_owned()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for name in &self.names {
            run(&format!("ip netns del {name}"));
        }
    }
}

#[test]
fn a_router_with_miniupnpd_forwards_ports_until_they_are_given_back() {
    forwarded_until_given_back("a_router_with_miniupnpd_forwards_ports_until_they_are_given_back", "pcp");
}

#[test]
fn a_router_that_speaks_upnp_alone_does_so_too() {
    forwarded_until_given_back("a_router_that_speaks_upnp_alone_does_so_too", "upnp");
}

fn forwarded_until_given_back(test: &str, by: &str) {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    let has_daemon =
        ["/usr/sbin/miniupnpd", "/usr/bin/miniupnpd"].iter().any(|path| std::path::Path::new(path).exists());
    let house = if has_daemon { House::build(by == "pcp") } else { None };
    let Some(house) = house else {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no miniupnpd, or no network namespaces");
        return;
    };
    let [_, host] = &house.names;
    let mut half = Command::new("ip")
        .args(["netns", "exec", host])
        .arg(std::env::current_exe().expect("known"))
        .args([&format!("{TESTS}{test}"), "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ip runs");
    let mut told = std::io::BufReader::new(half.stdout.take().expect("piped")).lines();
    let mapped = next_line(&mut told, "mapped ");
    assert_eq!(mapped, format!("Udp 11.0.0.7:6001 {by}, Tcp 11.0.0.7:6001 {by}"));
    let forwarded = house.forwarded();
    assert!(forwarded.matches("192.168.77.2:6001").count() == 2, "{forwarded}");
    // The inner half waits for this.
    drop(half.stdin.take());
    next_line(&mut told, "done");
    assert!(half.wait().expect("it ends").success());
    let forwarded = house.forwarded();
    assert!(!forwarded.contains("192.168.77.2"), "given back: {forwarded}");
}

/// What follows a beginning, on the first line that has it.
fn next_line(told: &mut impl Iterator<Item = std::io::Result<String>>, beginning: &str) -> String {
    let rest = |line: String| line.split_once(beginning).map(|(_, rest)| rest.to_owned());
    told.map_while(Result::ok).find_map(rest).unwrap_or_else(|| panic!("it ended without {beginning:?}"))
}

#[tokio::main(flavor = "current_thread")]
async fn inside() {
    let (notices, mut told) = mpsc::channel(8);
    let maps = PortMaps::with(6_001, Router::find, notices);
    let Some(Notice::PortsMapped(mapped)) = told.recv().await else { panic!("nothing was mapped") };
    assert!(mapped.iter().any(|mapped| mapped.transport == NatTransport::Udp));
    let rows = mapped.iter().map(|mapped| format!("{:?} {} {}", mapped.transport, mapped.external, mapped.by));
    let rows: Vec<String> = rows.collect();
    say(&format!("mapped {}", rows.join(", ")));
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    maps.finish().await;
    say("done");
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "\n{line}").expect("somebody reads");
}
