//! The local segment: members find each other there without a signal server, services pass to it and from it, and whoever
//! lies there is believed nothing.

use meshline_lab::{Answer, Lab, Member, Process, Ring, Site, has_tool, skipped, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What an announcement is made up with, byte by byte; what it needs is in the standard library.
const LIAR: &str = include_str!("lan_liar.py");

/// A network without a signal server, in which nobody is told of anybody.
fn strangers(sites: &[Site], lan: &Value) -> Ring {
    let ring = Ring::write_on(sites, &sites[0], "--no-signal");
    for number in 1..=sites.len() {
        let number = u16::try_from(number).expect("few");
        ring.configure(number, &json!({"peers": [], "signal": [], "lan": lan, "port_mapping": false}));
    }
    ring
}

fn lan(member: &Member, key: &str) -> Result<u64, String> {
    let report = member.try_json(&["status"])?["lan"].clone();
    report[key].as_u64().ok_or_else(|| report.to_string())
}

#[test]
fn members_of_one_network_meet_on_their_segment_and_others_do_not() {
    let Some(lab) = Lab::new() else { return };
    let sites: Vec<Site> = (0..4).map(|_| lab.site()).collect();
    let ours = strangers(&sites[..3], &json!({"discover": true}));
    let theirs = strangers(&sites[3..], &json!({"discover": true}));
    let _stranger = theirs.start(1);
    let nodes = ours.start(2);
    nodes[0].wait_until_linked_to(&[nodes[1].name()]);
    until("the stranger's announcement is passed over", || {
        lan(&nodes[0], "passed_over").and_then(|count| if count > 0 { Ok(()) } else { Err("none was".to_owned()) })
    });
    // Whoever is not told to look finds nobody, and whoever listens nowhere finds others.
    let mut third = ours.node(3);
    ours.configure(3, &json!({"lan": {}}));
    third.start();
    let status = until("it says that it is alone", || {
        let status = third.try_json(&["status"])?;
        if status["ready"]["ready"] == true { Ok(status) } else { Err(status["ready"].to_string()) }
    });
    assert_eq!((&status["links"], &status["lan"]), (&json!([]), &Value::Null));
    third.process_mut().kill();
    ours.configure(3, &json!({"listen": [], "lan": {"discover": true}}));
    third.start();
    third.wait_until_linked_to(&[nodes[0].name(), nodes[1].name()]);
    nodes[0].chat_to("nobody was told of anybody", 2);
}

/// avahi on a host, with a bus of its own. What it needs ends with it.
struct Avahi {
    site: Site,
    _folder: TempDir,
    _programs: [Process; 2],
}

impl Avahi {
    /// `None`, said in a line, where there is none.
    fn start(site: &Site) -> Option<Self> {
        let tools = ["avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon", "python3", "curl"];
        if let Some(missing) = tools.into_iter().find(|tool| !has_tool(tool)) {
            skipped(&format!("there is no {missing}"));
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let bus = write("bus.conf", BUS);
        let avahi = write("avahi.conf", "[server]\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n");
        site.run("mount -t tmpfs none /run");
        site.run("mkdir -p /run/dbus /run/avahi-daemon");
        let mut command = site.bound_command("dbus-daemon");
        command.arg("--nofork").arg("--print-address").arg(format!("--config-file={}", bus.display()));
        let bus = Process::start("dbus", command);
        bus.wait_for("unix:");
        let mut command = site.bound_command("avahi-daemon");
        command.args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--file"]).arg(avahi);
        let avahi = Process::start("avahi", command);
        avahi.wait_for("Server startup complete");
        Some(Self { site: site.clone(), _folder: folder, _programs: [avahi, bus] })
    }

    /// The lines of what is there of one kind.
    fn browse(&self, kind: &str) -> String {
        let mut command = self.site.command("avahi-browse");
        command.args(["--parsable", "--resolve", "--terminate", kind]);
        Answer::of(command).done()
    }

    fn publish(&self, name: &str, kind: &str, port: &str, text: &str) -> Process {
        let mut command = self.site.bound_command("avahi-publish");
        command.args(["--service", name, kind, port, text]);
        let publishing = Process::start("avahi-publish", command);
        publishing.wait_for("Established");
        publishing
    }
}

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"#;

/// A web server on a host that shows one file.
fn web(site: &Site, address: &str, said: &str) -> (Process, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("index.html"), said).expect("written");
    let mut command = site.bound_command("python3");
    command.args(["-u", "-m", "http.server", "8000", "--bind", address, "--directory"]).arg(folder.path());
    let server = Process::start("web", command);
    server.wait_for("Serving HTTP");
    (server, folder)
}

fn fetch(site: &Site, place: &str) -> Result<String, String> {
    let mut command = site.command("curl");
    command.args(["-sS", "--max-time", "20", &format!("http://{place}/")]);
    let answer = Answer::of(command);
    if answer.code == Some(0) { Ok(answer.stdout) } else { Err(answer.stderr) }
}

fn service(member: &Member, name: &str) -> Result<Option<Value>, String> {
    let document = member.try_json(&["services"])?;
    let rows = document["services"].as_array().cloned().unwrap_or_default();
    Ok(rows.into_iter().find(|row| row["name"] == name))
}

/// Two members that meet on a segment with avahi on it; the first exposes a wiki.
fn beside_avahi(first: &Value, second: &Value) -> Option<(Vec<Site>, Avahi, Ring, Vec<Member>)> {
    let lab = Lab::new()?;
    let sites: Vec<Site> = (0..3).map(|_| lab.site()).collect();
    let avahi = Avahi::start(&sites[2])?;
    let ring = strangers(&sites[..2], &json!({"discover": true}));
    ring.configure(1, first);
    ring.configure(2, second);
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    Some((sites, avahi, ring, nodes))
}

fn wiki() -> Value {
    json!({"expose": [{"name": "wiki", "kind": "_http._tcp", "text": {"path": "/"}, "target": "tcp://127.0.0.1:8000",
        "allow": ["*"]}]})
}

/// As the second site has it.
const DOOR: &str = "10.77.0.2:8088";

fn offering() -> Value {
    json!([{"service": "wiki", "listen": format!("tcp://{DOOR}")}])
}

#[test]
fn avahi_sees_a_service_of_the_mesh_as_long_as_somebody_offers_it() {
    let Some((sites, avahi, _ring, mut nodes)) =
        beside_avahi(&wiki(), &json!({"lan": {"discover": true, "offer": offering()}}))
    else {
        return;
    };
    let (_server, _page) = web(&sites[0], "127.0.0.1", "from the mesh");
    until("avahi sees it", || {
        let seen = avahi.browse("_http._tcp");
        let place = DOOR.replace(':', ";");
        let is_it = |line: &str| [";wiki;", &place, "path=/"].iter().all(|part| line.contains(part));
        if seen.lines().any(|line| line.starts_with('=') && is_it(line)) { Ok(()) } else { Err(seen) }
    });
    assert_eq!(fetch(&sites[2], DOOR).expect("a page"), "from the mesh");
    nodes[0].process_mut().terminate();
    until("avahi sees it no more", || {
        let seen = avahi.browse("_http._tcp");
        if seen.contains(";wiki;") { Err(seen) } else { Ok(()) }
    });
}

#[test]
fn what_avahi_publishes_is_a_service_of_the_mesh_until_it_is_taken_back() {
    let import =
        json!({"lan": {"discover": true, "offer": offering(), "import": [{"kind": "_http._tcp", "allow": ["*"]}]}});
    let Some((sites, avahi, _ring, nodes)) = beside_avahi(&wiki(), &import) else { return };
    let (_server, _page) = web(&sites[2], sites[2].address(), "from the segment");
    let mut publishing = avahi.publish("Anna's page", "_http._tcp", "8000", "path=/plan");
    let row = until("the mesh lists it", || service(&nodes[0], "anna-s-page")?.ok_or_else(|| "not yet".to_owned()));
    assert_eq!((&row["kind"], &row["text"]["path"]), (&json!("_http._tcp"), &json!("/plan")), "{row}");
    let added = nodes[0].json(&["forward", "add", "tcp://127.0.0.1:0", "anna-s-page"]);
    let place = added["state"]["listening"].as_str().expect("a place").trim_start_matches("tcp://").to_owned();
    assert_eq!(until("a way leads there", || fetch(&sites[0], &place)), "from the segment");
    assert_eq!(service(&nodes[0], "wiki-2"), Ok(None), "what the mesh announced is not taken back into it");
    publishing.kill();
    until("the mesh lists it no more", || match service(&nodes[0], "anna-s-page")? {
        None => Ok(()),
        Some(row) => Err(row.to_string()),
    });
}

#[test]
fn whoever_lies_on_the_segment_is_bounded_and_named() {
    let Some(lab) = Lab::new() else { return };
    if !has_tool("python3") {
        return skipped("there is no python3");
    }
    let sites: Vec<Site> = (0..3).map(|_| lab.site()).collect();
    let ring = strangers(&sites[..2], &json!({"discover": true, "import": [{"kind": "_http._tcp", "allow": ["*"]}]}));
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    let lie = |what: &str| {
        let mut command = sites[2].command("python3");
        command.args(["-c", LIAR, sites[2].address(), what]);
        Answer::of(command).done()
    };
    // Foreign networks and addresses that are not on the segment.
    lie("foreign");
    lie("elsewhere");
    until("they are passed over", || {
        let count = lan(&nodes[0], "passed_over")?;
        if count >= 40 { Ok(()) } else { Err(count.to_string()) }
    });
    // Services by the thousand, with more text than fits.
    lie("services");
    nodes[0].wait_for("too_many");
    let taken = until("some of them are taken over", || {
        let taken = nodes[0].try_json(&["services"])?["services"].as_array().map_or(0, Vec::len);
        if taken > 0 { Ok(taken) } else { Err("none yet".to_owned()) }
    });
    assert!(taken <= 64, "32 of each member, not {taken}");
    // Members that are none, until the memory is full.
    let before = nodes[0].process().rss_kib();
    lie("flood");
    nodes[0].wait_for("lan_flooded");
    let seen = lan(&nodes[0], "seen").expect("a report");
    assert!((1..=64).contains(&seen), "{seen} are remembered");
    let grown = nodes[0].process().rss_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB for lies");
    crate::all_linked(&nodes);
    nodes[0].chat_to("nobody else is here", 1);
}
