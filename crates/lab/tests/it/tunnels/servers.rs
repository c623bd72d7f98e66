//! The real servers at eddy's end, and the words that real clients want at bobby's.

use std::path::Path;
use std::process::{Command, Stdio};

use meshline_lab::{Answer, Process, Site, skipped, tool};

/// What the name server answers for every name below `example.test`.
pub(super) const ADDRESS: &str = "192.0.2.7";

/// What the web server has at `/page`.
pub(super) const PAGE: &str = "a page that is far away\n";

/// An sshd with a key of its own that lets in whoever has the key in the same folder.
pub(super) fn sshd(site: &Site, folder: &Path) -> Option<Process> {
    tool("ssh")?;
    let (sshd, keygen) = (tool("sshd")?, tool("ssh-keygen")?);
    if !is_root() {
        skipped("an sshd in a user namespace can give nobody his groups");
        return None;
    }
    for key in ["host", "key"].into_iter().filter(|key| !folder.join(key).exists()) {
        let made = Command::new(&keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key)).status();
        assert!(made.is_ok_and(|status| status.success()), "ssh-keygen");
    }
    // The folder it wants for itself is in the mounts of this host alone.
    let script = "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec \"$0\" -D -e -f /dev/null \
        -o ListenAddress=127.0.0.1 -o Port=22 -o HostKey=\"$1/host\" -o AuthorizedKeysFile=\"$1/key.pub\" \
        -o StrictModes=no -o UsePAM=no -o PidFile=none -o PermitRootLogin=yes -o Subsystem='sftp internal-sftp'";
    let mut command = site.bound_command("sh");
    command.args(["-c", script]).arg(sshd).arg(folder);
    Some(started("sshd", command, "Server listening"))
}

fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").output();
    answer.is_ok_and(|answer| answer.stdout.trim_ascii() == b"0")
}

/// `ssh` to the forward, as words of a command line; the destination follows.
pub(super) fn ssh_words(folder: &Path, port: u16) -> Vec<String> {
    let options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"];
    let key = folder.join("key").display().to_string();
    let mut words: Vec<String> =
        ["ssh", "-F", "/dev/null", "-p", &port.to_string(), "-i", &key].map(String::from).into();
    words.extend(options.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
    words
}

/// Who runs the tests, at the other end.
pub(super) fn user() -> String {
    let answer = Command::new("id").arg("-un").output().expect("there is an id");
    format!("{}@127.0.0.1", String::from_utf8_lossy(&answer.stdout).trim())
}

/// A redis that writes nothing to disk.
pub(super) fn redis(site: &Site) -> Option<Process> {
    tool("redis-cli")?;
    let mut command = site.bound_command(tool("redis-server")?);
    command.args(["--bind", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no", "--dir", "/"]);
    Some(started("redis-server", command, "eady to accept connections"))
}

/// A PostgreSQL with an empty database, which lets in whoever reaches it. It wants to be nobody's but its own user's, so
/// its files are in the mounts of this host alone.
pub(super) fn postgres(site: &Site) -> Option<Process> {
    tool("psql")?;
    if !is_root() {
        skipped("a PostgreSQL in a user namespace can become no other user");
        return None;
    }
    if !Path::new("/usr/lib/postgresql").is_dir() {
        skipped("there is no /usr/lib/postgresql");
        return None;
    }
    let script = "for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done
        mount -t tmpfs none /run && mkdir -m 700 /run/data && chown postgres /run/data && cd /run/data || exit 1
        as='setpriv --reuid=postgres --regid=postgres --init-groups'
        $as initdb -D /run/data -A trust -N -E UTF8 --locale=C >/dev/null || exit 1
        exec $as postgres -D /run/data -c listen_addresses=127.0.0.1 -c port=5432 \
            -c unix_socket_directories=/run/data -c fsync=off -c logging_collector=off";
    let mut command = site.bound_command("sh");
    command.args(["-c", script]);
    Some(started("postgres", command, "ready to accept connections"))
}

/// A Python that has the library of WebSockets.
pub(super) fn python() -> Option<&'static str> {
    let has_library = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import websockets"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has_library);
    if found.is_none() {
        skipped("there is no python3 with websockets");
    }
    found
}

/// A WebSocket server that sends every message back.
pub(super) fn websocket(site: &Site, python: &str) -> Process {
    let script = "import asyncio, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, '127.0.0.1', 8080, max_size=None):
        print('serving', flush=True)
        await asyncio.Future()
asyncio.run(main())";
    let mut command = site.bound_command(python);
    command.args(["-c", script]);
    started("websocket", command, "serving")
}

/// A name server that knows one domain.
pub(super) fn dnsmasq(site: &Site) -> Option<Process> {
    tool("dig")?;
    let mut command = site.bound_command(tool("dnsmasq")?);
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--no-resolv", "--no-hosts"]);
    command.args([
        "--user=",
        "--group=",
        "--pid-file=",
        "--port=53",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
    ]);
    command.arg(format!("--address=/example.test/{ADDRESS}"));
    Some(started("dnsmasq", command, "started"))
}

/// A web server with one page.
pub(super) fn lighttpd(site: &Site, folder: &Path) -> Option<Process> {
    let mut command = site.bound_command(tool("lighttpd")?);
    let (config, root) = (folder.join("lighttpd.conf"), folder.join("pages"));
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("page"), PAGE).expect("written");
    let text = "server.bind = \"127.0.0.1\"\nserver.port = 80\nserver.max-connections = 1000\nserver.max-fds = 4000\n";
    std::fs::write(&config, format!("{text}server.document-root = \"{}\"\n", root.display())).expect("written");
    command.arg("-D").arg("-f").arg(&config);
    Some(started("lighttpd", command, "server started"))
}

/// A server of throughput tests.
pub(super) fn iperf3(site: &Site) -> Option<Process> {
    let mut command = site.bound_command(tool("iperf3")?);
    command.args(["-s", "-B", "127.0.0.1", "--forceflush"]);
    Some(started("iperf3", command, "Server listening"))
}

#[track_caller]
fn started(name: &str, command: Command, sign: &str) -> Process {
    let process = Process::start(name, command);
    process.wait_for(sign);
    process
}

/// Runs a client at a host: what it said.
#[track_caller]
pub(super) fn client(site: &Site, words: &[&str]) -> Answer {
    let mut command = site.command(words.first().copied().unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default()).stdin(Stdio::null());
    Answer::of(command)
}
