//! Hosts made of network namespaces: a switch with cables to it.
//!
//! A [`Lab`] is a network namespace with a bridge in it, a [`Site`] one with a cable to that bridge; each has its own
//! mounts too. As root they are made directly, otherwise inside a user namespace where the system allows one. None has
//! a name: each is held by a process that ends when this one does, so there is nothing to clean up.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use crate::cable::{Cable, LaidCable};
use crate::process::Process;
use crate::programs::{clean, has_tool, program};
use crate::skipped;

/// What the lab is made with.
const TOOLS: &[&str] = &["ip", "unshare", "nsenter"];

/// A namespace, held by a process that waits for the end of its input.
#[derive(Debug)]
pub(crate) struct Namespace {
    holder: Child,
    /// Closed with this process, however that ends.
    _input: ChildStdin,
    user: bool,
}

impl Namespace {
    fn hold(mut command: Command, user: bool) -> Result<Self, String> {
        command.args(["sh", "-c", "ip link set lo up && echo ready && exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.spawn().map_err(|error| error.to_string())?;
        let input = holder.stdin.take().expect("piped");
        let mut line = String::new();
        // What went wrong is on standard error.
        let _ = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line);
        if line.trim() == "ready" {
            return Ok(Self { holder, _input: input, user });
        }
        drop(input);
        let output = holder.wait_with_output().map_err(|error| error.to_string())?;
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    fn first() -> Result<Self, String> {
        let mut direct = Command::new("unshare");
        direct.args(["--net", "--mount"]);
        let mut as_user = Command::new("unshare");
        as_user.args(["--map-root-user", "--net", "--mount"]);
        Self::hold(direct, false).or_else(|_| Self::hold(as_user, true))
    }

    pub(crate) fn within(outer: &Self) -> Result<Self, String> {
        let mut command = outer.enter("unshare");
        command.args(["--net", "--mount"]);
        Self::hold(command, outer.user)
    }

    /// A command inside.
    pub(crate) fn enter(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = clean("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount"]);
        if self.user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// A command inside that is killed with the thread that starts it, however that ends.
    pub(crate) fn enter_bound(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        bound(program, |program| self.enter(program))
    }

    /// The process that holds it: what moves a device here wants to know.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Runs a program inside that reads `input`; what it printed.
    pub(crate) fn feed(&self, program: &str, words: &str, input: &str) -> Result<String, String> {
        let mut command = self.enter(program);
        command.args(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        // If it ends without having read all, its own complaint says more.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{program} {words}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Runs lines of the shell inside, up to the first that fails.
    #[track_caller]
    pub(crate) fn shell(&self, lines: &str) {
        self.feed("sh", "-e", lines).unwrap_or_else(|error| panic!("{error}\nin\n{lines}"));
    }

    #[track_caller]
    pub(crate) fn ip(&self, words: &str) {
        let mut command = self.enter("ip");
        command.args(words.split_whitespace());
        let output = command.output().expect("nsenter is there");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Puts `setpriv` before a program, where there is one.
fn bound<P: AsRef<std::ffi::OsStr>>(program: P, enter: impl Fn(&std::ffi::OsStr) -> Command) -> Command {
    static BINDS: OnceLock<bool> = OnceLock::new();
    if !*BINDS.get_or_init(|| has_tool("setpriv")) {
        return enter(program.as_ref());
    }
    let mut command = enter("setpriv".as_ref());
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A switch.
#[derive(Clone, Debug)]
pub struct Lab {
    pub(crate) switch: Arc<Namespace>,
    sites: Arc<AtomicU8>,
    cables: Arc<AtomicU8>,
    /// Legs of the core, counted.
    pub(crate) legs: Arc<AtomicU8>,
}

impl Lab {
    /// A switch without cables; `None`, said in a line, where the system allows none.
    #[must_use]
    pub fn new() -> Option<Self> {
        match Self::try_new() {
            Ok(lab) => Some(lab),
            Err(why) => {
                skipped(&why);
                None
            }
        }
    }

    fn try_new() -> Result<Self, String> {
        if let Some(missing) = TOOLS.iter().find(|tool| !has_tool(tool)) {
            return Err(format!("there is no program {missing}"));
        }
        let switch = Namespace::first().map_err(|error| format!("no network namespaces here: {error}"))?;
        switch.ip("link add switch type bridge");
        switch.ip("link set switch up");
        Ok(Self { switch: Arc::new(switch), sites: Arc::default(), cables: Arc::default(), legs: Arc::default() })
    }

    /// A lab in which [`Self::cable`] works; `None`, said in a line, where the system allows none.
    #[must_use]
    pub fn with_cables() -> Option<Self> {
        let lab = Self::new()?;
        let mut opened = lab.switch.enter("sh");
        // Some systems open the device and refuse what is asked of it then.
        let try_out = "exec 3<>/dev/net/tun && ip tuntap add dev trial mode tap && ip link del trial";
        let output = opened.args(["-c", try_out]).output().expect("there is a sh");
        if output.status.success() {
            return Some(lab);
        }
        skipped(&format!("no TAP devices here: {}", String::from_utf8_lossy(&output.stderr).trim()));
        None
    }

    /// A host with a cable to the switch; the first is 10.77.0.1.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    #[must_use]
    pub fn site(&self) -> Site {
        let (number, host, address) = self.host();
        self.plug(number, host, address, 24)
    }

    /// The same with an address of its own, by which it reaches all those whose first byte is equal.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    #[must_use]
    pub fn site_at(&self, address: &str) -> Site {
        let (number, host, _) = self.host();
        self.plug(number, host, address.to_owned(), 8)
    }

    #[track_caller]
    fn plug(&self, number: u8, host: Namespace, address: String, prefix: u8) -> Site {
        let cable = format!("cable{number}");
        self.switch.ip(&format!("link add {cable} type veth peer name eth0 netns {}", host.holder.id()));
        self.switch.ip(&format!("link set {cable} master switch up"));
        host.ip(&format!("addr add {address}/{prefix} dev eth0"));
        host.ip("link set eth0 up");
        Site::of(Host { namespace: Arc::new(host), lab: self.clone(), cable, address, _router: None })
    }

    /// A host that reaches nobody but those it gets a [`Self::cable`] to. Its address follows those of other hosts.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    #[must_use]
    pub fn site_apart(&self) -> Site {
        let (_, host, address) = self.host();
        host.ip(&format!("addr add {address}/32 dev lo"));
        Site::of(Host { namespace: Arc::new(host), lab: self.clone(), cable: String::new(), address, _router: None })
    }

    /// Parts these hosts from all others of [`Self::site`], where nobody sees it: on either side all reach each other, and
    /// what goes across is lost without a word, until it is healed.
    ///
    /// # Panics
    /// If the system refuses it, or others are parted already.
    #[track_caller]
    pub fn part(&self, sites: &[Site]) -> Parted {
        self.switch.ip("link add apart type bridge");
        self.switch.ip("link set apart up");
        sites.iter().for_each(|site| site.at_switch("link set CABLE master apart"));
        Parted { lab: self.clone(), sites: sites.to_vec() }
    }

    #[track_caller]
    fn host(&self) -> (u8, Namespace, String) {
        let number = self.sites.fetch_add(1, Ordering::Relaxed) + 1;
        let host = Namespace::within(&self.switch).expect("one namespace can be made, so can another");
        (number, host, format!("10.77.0.{number}"))
    }

    /// Lays a cable between two hosts, both directions as `cable` says; all they say to each other goes over it. It is
    /// taken away when dropped: then the hosts are told that they cannot reach each other.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    #[must_use]
    pub fn cable(&self, first: &Site, second: &Site, cable: Cable) -> LaidCable {
        let (names, joint) = self.joint();
        for (name, here, there) in [(&names[0], first, second), (&names[1], second, first)] {
            let host = &here.0.as_ref().expect("only hosts of a lab have cables").namespace;
            self.switch.ip(&format!("link set {name} netns {}", host.holder.id()));
            host.ip(&format!("link set {name} up"));
            host.ip(&format!("route replace {}/32 dev {name} src {}", there.address(), here.address()));
        }
        LaidCable::new(joint, cable)
    }

    /// Two devices in the namespace of the switch, and what joins them.
    #[track_caller]
    pub(crate) fn joint(&self) -> ([String; 2], Process) {
        let number = self.cables.fetch_add(1, Ordering::Relaxed) + 1;
        let names = ["a", "b"].map(|end| format!("tap{number}{end}"));
        let mut command = self.switch.enter_bound(program("lab-cable"));
        command.args(&names);
        let joint = Process::start("lab-cable", command);
        joint.wait_for("ready");
        (names, joint)
    }
}

/// Hosts on a switch of their own.
#[derive(Debug)]
#[must_use]
pub struct Parted {
    lab: Lab,
    sites: Vec<Site>,
}

impl Parted {
    /// All are on one switch again.
    ///
    /// # Panics
    /// If the system refuses it.
    #[track_caller]
    pub fn heal(self) {
        self.sites.iter().for_each(Site::mend);
        self.lab.switch.ip("link del apart");
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) lab: Lab,
    /// Empty if there is none to the switch.
    pub(crate) cable: String,
    pub(crate) address: String,
    /// What it reaches others by, and what goes with it; none on a switch.
    pub(crate) _router: Option<Arc<crate::nat::Router>>,
}

/// Where processes run: on a host of a lab, or on this machine itself.
#[derive(Clone, Debug, Default)]
pub struct Site(Option<Arc<Host>>);

impl Site {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        Self(None)
    }

    pub(crate) fn of(host: Host) -> Self {
        Self(Some(Arc::new(host)))
    }

    /// Of a host of a lab.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.0.as_ref().map(|host| &*host.namespace)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.as_ref().map_or("127.0.0.1", |host| &host.address)
    }

    /// A command there. As it begins with new mounts, it wants absolute paths.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.0 {
            Some(host) => host.namespace.enter(program),
            None => clean(program),
        }
    }

    /// A command there that is killed with the thread that starts it, however that ends.
    pub fn bound_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        bound(program, |program| self.command(program))
    }

    /// Runs a line of words there that must succeed.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap_or_default());
        let output = command.args(words).output().expect("it starts");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Cuts the cable where the host cannot see it: everything is lost without a word.
    pub fn cut(&self) {
        self.at_switch("link set CABLE nomaster");
    }

    /// Mends the cable.
    pub fn mend(&self) {
        self.at_switch("link set CABLE master switch");
    }

    /// Isolated hosts reach all others, but not each other.
    pub fn isolate(&self) {
        self.at_switch("link set dev CABLE type bridge_slave isolated on");
    }

    #[track_caller]
    fn at_switch(&self, words: &str) {
        let host = self.0.as_ref().expect("only hosts of a lab have a cable");
        host.lab.switch.ip(&words.replace("CABLE", &host.cable));
    }
}
