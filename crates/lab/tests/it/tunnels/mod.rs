//! Programs that people use, over tunnels to servers that their hosts cannot reach: while all is well, while whoever
//! stands in the middle is killed or not heard any more, and what they are told when they may not or cannot.

mod servers;
mod square;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use meshline_lab::{Cable, Direction, Process, soak, tool, until};
use serde_json::Value;

use servers::{ADDRESS, PAGE, client};
use square::{BOBBY, EDDY, MIDDLES, PROXY, SECRET, SERVICES, Square};

/// As far apart as houses of one town.
const NEAR: Cable = Cable::new().delay_ms(1);

/// Slow enough that a transfer lasts while things happen to it.
const SLOW: Cable = NEAR.rate_mbit(60);

/// Bytes of a transfer.
fn size() -> u64 {
    if soak() { 1 << 30 } else { 64 << 20 }
}

/// What a transfer may take at worst: one slow cable, shared with the machine's other work.
const ARRIVED: Duration = Duration::from_secs(600);

/// The port at bobby that leads to a service.
fn port(service: &str) -> u16 {
    SERVICES.iter().find(|(name, ..)| *name == service).map(|(_, _, port)| *port).expect("a service")
}

#[test]
fn programs_reach_servers_beyond_a_member_in_the_middle() {
    let Some(square) = Square::new(NEAR) else { return };
    shell(&square);
    connect(&square);
    web(&square);
    names(&square);
    database(&square);
    sql(&square);
    websocket(&square);
    throughput(&square);
}

/// A command over ssh: what it reads, what it says on both outputs, and how it ends.
fn shell(square: &Square) {
    let Some(_sshd) = servers::sshd(&square.sites[EDDY], square.ring.path()) else { return };
    let user = servers::user();
    let mut words = servers::ssh_words(square.ring.path(), port("ssh"));
    words.extend([user, "tr a-z A-Z; echo two >&2; exit 7".to_owned()]);
    let mut command = square.sites[BOBBY].bound_command(&words[0]);
    command.args(&words[1..]);
    let mut ssh = Process::start("ssh", command);
    ssh.say("one");
    ssh.close_input();
    assert_eq!(ssh.wait(meshline_lab::PATIENCE), Some(7));
    let mut said = ssh.since(0);
    said.sort();
    assert_eq!(said, ["ONE", "two"]);
}

/// The same without a forward: ssh starts `node connect`, which says why if it may not.
fn connect(square: &Square) {
    let bobby = &square.nodes[BOBBY];
    let refused = bobby.ask(&["connect", "eddy", "127.0.0.1:9"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("only if it is exposed (forbidden)"), "{refused:?}");
    let Some(_sshd) = servers::sshd(&square.sites[EDDY], square.ring.path()) else { return };
    let node = meshline_lab::program("node");
    let proxy =
        format!("ProxyCommand={} connect --config {} eddy 127.0.0.1:22", node.display(), bobby.config().display());
    let user = servers::user();
    let mut words = servers::ssh_words(square.ring.path(), 22);
    words.extend(["-o".to_owned(), proxy, user, "echo there".to_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(client(&square.sites[BOBBY], &words).done(), "there\n");
}

/// Web pages by name over SOCKS5, HTTP's CONNECT and a plain forward, and five hundred connections at once.
fn web(square: &Square) {
    let Some(_server) = servers::lighttpd(&square.sites[EDDY], square.ring.path()) else { return };
    let bobby = &square.sites[BOBBY];
    let forward = format!("http://127.0.0.1:{}/page", port("web"));
    if tool("curl").is_some() {
        let proxy = format!("http://{PROXY}");
        for words in [
            &["--socks5-hostname", PROXY, "http://eddy.mesh:80/page"][..],
            &["--proxy", &proxy, "--proxytunnel", "http://eddy.mesh:80/page"],
            &["--proxy", &proxy, "http://eddy.mesh:80/page"],
            &[&forward],
        ] {
            let page = client(bobby, &[&["curl", "-sS", "--max-time", "20"], words].concat());
            assert_eq!((page.code, page.stdout.as_str()), (Some(0), PAGE), "{words:?}: {}", page.stderr);
        }
    }
    if tool("wrk").is_some() {
        let said = client(bobby, &["wrk", "-t1", "-c500", "-d2s", "--timeout", "20s", &forward]).done();
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
        assert!(!said.contains(" 0 requests in"), "{said}");
    }
}

/// Names asked for over UDP.
fn names(square: &Square) {
    let Some(_server) = servers::dnsmasq(&square.sites[EDDY]) else { return };
    let port = port("dns").to_string();
    let asked = ["dig", "@127.0.0.1", "-p", &port, "+short", "+tries=3", "+time=5", "some.example.test"];
    assert_eq!(client(&square.sites[BOBBY], &asked).done().trim(), ADDRESS);
}

/// A real database: a value of a megabyte goes there and comes back.
fn database(square: &Square) {
    let Some(_server) = servers::redis(&square.sites[EDDY]) else { return };
    let (bobby, port) = (&square.sites[BOBBY], port("redis").to_string());
    let value = random(1 << 20, 3).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let file = square.ring.path().join("value");
    std::fs::write(&file, &value).expect("written");
    let mut put = bobby.command("redis-cli");
    put.args(["-p", &port, "-x", "set", "key"]).stdin(std::fs::File::open(&file).expect("it is there"));
    assert_eq!(meshline_lab::Answer::of(put).done().trim(), "OK");
    let got = client(bobby, &["redis-cli", "-p", &port, "get", "key"]).done();
    assert!(got.trim() == value, "{} of {} characters came back", got.trim().len(), value.len());
}

/// A database of another kind: many rows in, a sum and a megabyte out.
fn sql(square: &Square) {
    let Some(_server) = servers::postgres(&square.sites[EDDY]) else { return };
    let port = port("postgres").to_string();
    let ask = |statement: &str| {
        let words =
            ["psql", "-X", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", "postgres", "-tAc", statement];
        client(&square.sites[BOBBY], &words).done().trim().to_owned()
    };
    assert_eq!(ask("create table t as select n from generate_series(1, 100000) n"), "SELECT 100000");
    assert_eq!(ask("select sum(n) from t"), "5000050000");
    let text = ask("select string_agg(md5(n::text), '' order by n) from t where n <= 32768");
    assert_eq!(text.len(), 1 << 20);
    let sum = ask("select md5(string_agg(md5(n::text), '' order by n)) from t where n <= 32768");
    let file = square.ring.path().join("rows");
    std::fs::write(&file, &text).expect("written");
    let here = client(&square.sites[BOBBY], &["md5sum", &file.display().to_string()]).done();
    assert_eq!(here.split(' ').next(), Some(sum.as_str()), "every byte as it was there");
}

/// Messages both ways over one WebSocket, the last of a megabyte.
fn websocket(square: &Square) {
    let Some(python) = servers::python() else { return };
    let _server = servers::websocket(&square.sites[EDDY], python);
    let script = "import asyncio, sys, websockets
async def main():
    async with websockets.connect('ws://127.0.0.1:' + sys.argv[1], max_size=None) as socket:
        for number in range(100):
            await socket.send(f'message {number}')
            assert await socket.recv() == f'message {number}'
        large = bytes(range(256)) * 4096
        await socket.send(large)
        assert await socket.recv() == large
asyncio.run(main())
print('all came back')";
    let said = client(&square.sites[BOBBY], &[python, "-c", script, &port("websocket").to_string()]);
    assert_eq!((said.code, said.stdout.trim()), (Some(0), "all came back"), "{}", said.stderr);
}

/// Eight streams at once and one the other way, of which every one arrives, and datagrams.
fn throughput(square: &Square) {
    let Some(_server) = servers::iperf3(&square.sites[EDDY]) else { return };
    let (bobby, port) = (&square.sites[BOBBY], port("iperf").to_string());
    for words in [&["-P", "8"][..], &["-R"], &["-u", "-b", "4M", "-l", "1200"]] {
        let common = ["iperf3", "-c", "127.0.0.1", "-p", &port, "-t", "2", "-J", "--get-server-output"];
        // A server that has not quite ended the last test takes no other: it says so, and is asked again.
        let (mut answer, mut told) = (None, Value::Null);
        until("iperf3 runs its test", || {
            let given = client(bobby, &[&common, words].concat());
            told = serde_json::from_str(&given.stdout).expect("JSON");
            answer = Some(given);
            if told["error"].is_null() { Ok(()) } else { Err(format!("{words:?}: {}", told["error"])) }
        });
        assert_eq!(answer.expect("it ran").code, Some(0), "{words:?}");
        let streams = told["end"]["streams"].as_array().expect("streams");
        for stream in streams {
            let came = match words.contains(&"-u") {
                // Far below what the way carries: one in ten may come too late on a busy machine.
                true => {
                    stream["udp"]["packets"].as_u64() > stream["udp"]["lost_packets"].as_u64().map(|lost| 10 * lost)
                }
                false => stream["receiver"]["bytes"].as_u64() > Some(0),
            };
            assert!(came, "{words:?}: {stream} {}", told["server_output_text"]);
        }
    }
}

/// Bytes that look like chance and are the same in every run.
fn random(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8)).flat_map(|_| next()).take(count).collect()
}

/// A file that is on its way by rsync over ssh, and a subscription at the database that has nothing to hear yet.
struct Transfer {
    rsync: Process,
    file: std::path::PathBuf,
    arrived: std::path::PathBuf,
    idle: Option<(Process, Process)>,
    _sshd: Process,
}

impl Transfer {
    #[track_caller]
    fn begin(square: &Square) -> Option<Self> {
        tool("rsync")?;
        let folder = square.ring.path();
        let sshd = servers::sshd(&square.sites[EDDY], folder)?;
        let idle = servers::redis(&square.sites[EDDY]).map(|server| (server, subscribe(square)));
        let (file, arrived) = (folder.join("file"), folder.join("arrived"));
        write(&file, size());
        let remote = servers::ssh_words(folder, port("ssh")).join(" ");
        let mut command = square.sites[BOBBY].bound_command("rsync");
        command.args(["--whole-file", "--timeout=120", "-e", &remote]).arg(&file);
        command.arg(format!("{}:{}", servers::user(), arrived.display()));
        Some(Self { rsync: Process::start("rsync", command), file, arrived, idle, _sshd: sshd })
    }

    #[track_caller]
    fn assert_is_under_way(&mut self) {
        assert!(self.rsync.is_running(), "it was over before anything happened to it");
    }

    /// All bytes are there, in order, and the idle connection still is one.
    #[track_caller]
    fn arrives(mut self, square: &Square) {
        assert_eq!(self.rsync.wait(ARRIVED), Some(0), "rsync: {:?}", self.rsync.since(0));
        let (file, arrived) = (self.file.display().to_string(), self.arrived.display().to_string());
        let same = client(&square.sites[BOBBY], &["cmp", &file, &arrived]);
        assert_eq!(same.code, Some(0), "{}{}", same.stdout, same.stderr);
        let Some((_server, subscriber)) = self.idle else { return };
        let heard = client(&square.sites[EDDY], &["redis-cli", "publish", "news", "still there"]).done();
        assert_eq!(heard.trim(), "1", "one subscriber");
        subscriber.wait_for("still there");
    }
}

#[track_caller]
fn subscribe(square: &Square) -> Process {
    let mut command = square.sites[BOBBY].bound_command("redis-cli");
    command.args(["-p", &port("redis").to_string(), "subscribe", "news"]);
    let subscriber = Process::start("subscriber", command);
    subscriber.wait_for("subscribe");
    subscriber
}

fn write(file: &Path, size: u64) {
    let mut out = std::fs::File::create(file).expect("made");
    let piece = 1 << 20;
    for number in 0..size >> 20 {
        out.write_all(&random(piece, number + 1)).expect("written");
    }
}

/// The one in the middle by whom more went, of those in [`MIDDLES`].
fn busier(sent: [u64; 2]) -> usize {
    usize::from(sent[1] > sent[0])
}

#[test]
fn a_transfer_goes_on_when_the_member_in_the_middle_is_killed() {
    let Some(mut square) = Square::new(SLOW) else { return };
    let before = square.sent();
    let Some(mut transfer) = Transfer::begin(&square) else { return };
    let sent = square.wait_until_sent(before, size() / 8);
    let used = busier(sent);
    square.nodes[MIDDLES[used].0].process_mut().kill();
    transfer.assert_is_under_way();
    // Once it is back it may be used again; that it was away is nobody's business but the mesh's.
    let before = square.sent();
    square.wait_until_sent(before, size() / 8);
    square.nodes[MIDDLES[used].0].start();
    transfer.assert_is_under_way();
    transfer.arrives(&square);
}

#[test]
fn a_transfer_goes_on_when_the_cable_in_use_is_cut_silently_and_brought_back() {
    let Some(mut square) = Square::new(SLOW) else { return };
    let before = square.sent();
    let Some(mut transfer) = Transfer::begin(&square) else { return };
    let sent = square.wait_until_sent(before, size() / 8);
    let cable = MIDDLES[busier(sent)].1;
    square.cables[cable].cut(Direction::Both);
    transfer.assert_is_under_way();
    let before = square.sent();
    let grown = square.wait_until_sent(before, size() / 8);
    assert!(busier(grown) != busier(sent), "the other way carries: {grown:?}");
    square.cables[cable].mend(Direction::Both);
    transfer.assert_is_under_way();
    transfer.arrives(&square);
}

/// What curl ends with when nobody answers in time: whoever is refused must be told, not kept waiting.
const KEPT_WAITING: i32 = 28;

#[test]
fn who_may_not_or_cannot_is_told_at_once_and_why() {
    if tool("curl").is_none() {
        return;
    }
    let Some(mut square) = Square::new(NEAR) else { return };
    let through = |square: &Square, port: u16| {
        let url = format!("http://127.0.0.1:{port}/");
        client(&square.sites[BOBBY], &["curl", "-sS", "--max-time", "15", &url])
    };
    let proxied = |square: &Square, url: &str| {
        client(&square.sites[BOBBY], &["curl", "-sS", "--max-time", "15", "--proxy", &format!("http://{PROXY}"), url])
    };
    // Not exposed.
    let refused = through(&square, SECRET.1);
    assert!(![Some(0), Some(KEPT_WAITING)].contains(&refused.code), "{refused:?}");
    let told = proxied(&square, "http://eddy.mesh:9/");
    assert!(told.stdout.contains("no_such_service"), "{told:?}");
    // Exposed, but nobody serves it.
    let told = proxied(&square, "http://eddy.mesh:80/");
    assert!(told.stdout.contains("target_refused"), "{told:?}");
    // Nobody is called so.
    let told = proxied(&square, "http://frank.mesh/");
    assert!(told.stdout.contains("no_such_peer"), "{told:?}");
    // Away.
    square.nodes[EDDY].process_mut().kill();
    until("bobby knows that eddy is away", || match square.nodes[BOBBY].peer("eddy") {
        Some(row) if row["reachable"] == false => Ok(()),
        row => Err(format!("{row:?}")),
    });
    let refused = through(&square, port("web"));
    assert!(![Some(0), Some(KEPT_WAITING)].contains(&refused.code), "{refused:?}");
    let told = proxied(&square, "http://eddy.mesh:80/");
    assert!(told.stdout.contains("no_route"), "{told:?}");
}

#[test]
fn a_member_that_is_killed_and_comes_back_is_reached_by_the_same_forwards() {
    let Some(mut square) = Square::new(NEAR) else { return };
    let (Some(_iperf), Some(_redis)) = (servers::iperf3(&square.sites[EDDY]), servers::redis(&square.sites[EDDY]))
    else {
        return;
    };
    let ping = |square: &Square| {
        let answer = client(&square.sites[BOBBY], &["redis-cli", "-p", &port("redis").to_string(), "ping"]);
        if answer.stdout.trim() == "PONG" { Ok(()) } else { Err(format!("{answer:?}")) }
    };
    ping(&square).expect("all is well");
    let mut command = square.sites[BOBBY].bound_command("iperf3");
    command.args(["-c", "127.0.0.1", "-p", &port("iperf").to_string(), "-t", "600", "--forceflush"]);
    let mut transfer = Process::start("transfer", command);
    transfer.wait_for("sec");
    square.nodes[EDDY].process_mut().kill();
    square.nodes[EDDY].start();
    // What was under way cannot go on, and must not hang for ever.
    assert_ne!(transfer.wait(meshline_lab::PATIENCE), Some(0), "{:?}", transfer.since(0));
    until("the same forward works again", || ping(&square));
}
