//! Who carries the stream from A to C: this mesh, babeld with the kernel, or tinc.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::arrivals::Heard;
use super::hosts::{CABLES, NAMES, Square, address_from, addresses, card};
use crate::bench::Bench;
use crate::bench::process::Running;
use crate::bench::scratch::Scratch;

/// Bytes of a datagram: a full one of what a cable carries unsplit.
const BODY: &str = "1200";

/// Where the mesh listens, and where the rivals' stream arrives.
const PORT: u16 = 7_000;

/// Longer than it takes any of them to find both ways.
const PATIENCE: Duration = Duration::from_secs(40);

/// Who carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Mesh,
    /// With these words of configuration, and this much time to find its ways.
    Babel(&'static str, Duration),
    Tinc,
}

/// Between its first and its last process.
pub(super) struct Carrying {
    pub(super) heard: Heard,
    /// The processes of the hosts, by their numbers; A and C of the mesh are the ends of the stream themselves.
    pub(super) hosts: Vec<Option<Running>>,
    _ends: Vec<Heard>,
    _files: Scratch,
}

impl Who {
    /// Starts all hosts and the stream, and returns once there are two ways from A to C and it flows.
    pub(super) fn start(self, bench: &Bench, square: &Square) -> Result<Carrying, String> {
        let files = Scratch::new("routing")?;
        match self {
            Self::Mesh => mesh(bench, square, files),
            Self::Babel(words, settling) => {
                let hosts = babel(square, words, files.path())?;
                std::thread::sleep(settling);
                udp(bench, square, (hosts, files), "10.9.0")
            }
            Self::Tinc => {
                let hosts = tinc(square, files.path())?;
                std::thread::sleep(Duration::from_secs(3));
                udp(bench, square, (hosts, files), "10.8.0")
            }
        }
    }
}

fn mesh(bench: &Bench, square: &Square, files: Scratch) -> Result<Carrying, String> {
    let start = |host: usize, words: &[&str]| {
        let mut command = square.host(host)?.command(&bench.bin.join("examples/bench").to_string_lossy());
        command.args(["member", "--key", &host.to_string()]).args(words);
        for (from, to) in CABLES.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            let is_dialled = (from == 0 || from == 2) && from == host;
            let address = address_from(from, to).filter(|_| is_dialled);
            address.map(|address| command.args(["--peer", &format!("{address}:{PORT}")]));
        }
        for address in addresses(host) {
            command.args(["--listen", &format!("{address}:{PORT}")]);
        }
        Heard::start(&mut command)
    };
    let (b, d, c) = (start(1, &[])?, start(3, &[])?, start(2, &[])?);
    let a = start(0, &["--watch", "2", "--send-to", "2", "--body", BODY])?;
    wait("two ways", || a.last("ways ").is_some_and(|ways| ways == "2"))?;
    wait("the stream", || c.last("arrived ").is_some())?;
    let hosts = vec![None, Some(b.into()), None, Some(d.into())];
    Ok(Carrying { heard: c, hosts, _ends: vec![a], _files: files })
}

/// Sends and receives the stream over what the hosts' processes have made, between two addresses of one network.
fn udp(
    bench: &Bench,
    square: &Square,
    (hosts, files): (Vec<Option<Running>>, Scratch),
    network: &str,
) -> Result<Carrying, String> {
    let program = bench.bin.join("examples/bench").to_string_lossy().into_owned();
    let address = format!("{network}.3:{PORT}");
    let mut receive = square.host(2)?.command(&program);
    let heard = Heard::start(receive.args(["udp-receive", "--at", &address]))?;
    let mut send = square.host(0)?.command(&program);
    let sender = Heard::start(send.args(["udp-send", "--to", &address, "--body", BODY]))?;
    wait("the stream", || heard.last("arrived ").is_some())?;
    Ok(Carrying { heard, hosts, _ends: vec![sender], _files: files })
}

/// Every host has an address of its own on its loopback, told to all by babeld.
fn babel(square: &Square, words: &str, files: &Path) -> Result<Vec<Option<Running>>, String> {
    let start = |number: usize| {
        let host = square.host(number)?;
        host.run("sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0")?;
        host.run(&format!("ip addr replace 10.9.0.{}/32 dev lo", number + 1))?;
        let state = files.join(format!("babel-{number}"));
        let mut command = host.command("babeld");
        command.args(["-I", "", "-S"]).arg(&state).args(["-C", "redistribute local ip 10.9.0.0/24 allow"]);
        command.args(["-C", "redistribute local deny", "-C", &format!("default {words}")]);
        Running::start(command.args(neighbours(number).map(card))).map(Some)
    };
    (0..NAMES.len()).map(start).collect()
}

/// Every host has a card of tinc, and connects to its neighbours alone, asked every second.
pub(in crate::bench) fn tinc(square: &Square, files: &Path) -> Result<Vec<Option<Running>>, String> {
    for number in 0..NAMES.len() {
        write_tinc(number, files)?;
    }
    introduce(files)?;
    let start = |number: usize| {
        let mut command = square.host(number)?.command("tincd");
        command.arg("-D").arg("-c").arg(folder(files, number));
        command.arg(format!("--pidfile={}", folder(files, number).join("pid").display()));
        Running::start(&mut command).map(Some)
    };
    (0..NAMES.len()).map(start).collect()
}

fn folder(files: &Path, number: usize) -> PathBuf {
    files.join(NAMES.get(number).copied().unwrap_or("?"))
}

fn write_tinc(number: usize, files: &Path) -> Result<(), String> {
    let (folder, name) = (folder(files, number), NAMES.get(number).copied().unwrap_or("?"));
    let write =
        |path: PathBuf, text: String| fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()));
    fs::create_dir_all(folder.join("hosts")).map_err(|error| format!("{}: {error}", folder.display()))?;
    let connect: String =
        neighbours(number).filter_map(|to| NAMES.get(to)).map(|to| format!("ConnectTo = {to}\n")).collect();
    let conf = format!(
        "Name = {name}\nMode = router\nInterface = tinc0\nAddressFamily = ipv4\n{connect}PingInterval = 1\nPingTimeout = 1\nMaxTimeout = 2\n"
    );
    write(folder.join("tinc.conf"), conf)?;
    let up = folder.join("tinc-up");
    write(
        up.clone(),
        format!("#!/bin/sh\nip addr add 10.8.0.{}/24 dev $INTERFACE\nip link set $INTERFACE up\n", number + 1),
    )?;
    fs::set_permissions(&up, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let own: String = addresses(number).map(|address| format!("Address = {address}\n")).collect();
    write(folder.join("hosts").join(name), format!("{own}Subnet = 10.8.0.{}/32\nIndirectData = yes\n", number + 1))?;
    let mut keys = Command::new("tincd");
    crate::bench::output(keys.arg("-c").arg(&folder).arg("-K2048").stdin(std::process::Stdio::null()))?;
    Ok(())
}

/// Has every host know the others' keys and addresses.
fn introduce(files: &Path) -> Result<(), String> {
    for (from, to) in
        (0..NAMES.len()).flat_map(|from| (0..NAMES.len()).map(move |to| (from, to))).filter(|(from, to)| from != to)
    {
        let name = NAMES.get(from).copied().unwrap_or("?");
        let (source, target) =
            (folder(files, from).join("hosts").join(name), folder(files, to).join("hosts").join(name));
        fs::copy(&source, &target).map_err(|error| format!("{}: {error}", target.display()))?;
    }
    Ok(())
}

/// The hosts at the other ends of a host's cables.
fn neighbours(host: usize) -> impl Iterator<Item = usize> {
    CABLES
        .into_iter()
        .filter_map(move |(one, other)| if one == host { Some(other) } else { (other == host).then_some(one) })
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
