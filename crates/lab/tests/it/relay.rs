//! Two hosts that reach a third but not each other: a proxy there relays their link.

use std::time::Duration;

use meshline_lab::{Lab, Member, Process, Ring, Site, tool, until};
use serde_json::{Value, json};

/// Takes numbered lines and says how long it waited for one at most.
const TAKER: &str = "
import socket, time
server = socket.create_server(('127.0.0.1', 9000))
print('ready', flush=True)
lines = server.accept()[0].makefile('rb')
count, worst, last = 0, 0, 0
for line in lines:
    now = time.monotonic()
    worst = max(worst, now - last) if count else 0
    last = now
    assert int(line) == count, (line, count)
    count += 1
    if count % 250 == 0:
        print('taken', count, 'worst', int(worst * 1e6), flush=True)
print('ended', count, 'worst', int(worst * 1e6), flush=True)
";

/// Gives four thousand of them, one every two milliseconds.
const GIVER: &str = "
import socket, time
lines = socket.create_connection(('127.0.0.1', PORT))
lines.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for number in range(4000):
    lines.sendall(b'%d\\n' % number)
    time.sleep(.002)
lines.shutdown(socket.SHUT_WR)
lines.recv(1)
";

#[test]
fn members_that_cannot_reach_each_other_are_linked_by_a_proxy() {
    let Some(lab) = Lab::new() else { return };
    let sites = [lab.site(), lab.site()];
    let middle = lab.site();
    for site in &sites {
        site.isolate();
    }
    let ring = Ring::write_on(&sites, &middle, "");
    let _signal = ring.start_signal();
    let proxy = ring.start_proxy();
    let nodes = ring.start(2);
    let [bobby, donald] = nodes.as_slice() else { panic!("two nodes") };
    for (node, other) in [(bobby, donald), (donald, bobby)] {
        node.wait_until_linked_to(&[other.name(), "proxy"]);
        let row = until("a relayed row", || node.peer(other.name()).ok_or_else(|| "no row".to_owned()));
        assert_eq!(
            (&row["reachable"], &row["direct"], &row["hops"]),
            (&json!(true), &json!(false), &json!(2)),
            "{row}"
        );
        assert_eq!(row["via"], proxy.id(), "{row}");
        assert_eq!(row["path"], json!([proxy.id(), other.id()]), "{row}");
        let status = node.status();
        let links = status["links"].as_array().expect("links");
        let link = links.iter().find(|link| link["name"] == other.name()).expect("linked");
        assert_eq!(link["transport"], "relay", "{link}");
    }
    proxy.wait_for("relaying a link");
    bobby.chat_to("through the middle", 2);
    assert_eq!(donald.read("through the middle")["name"], "bobby");
}

/// Two hosts that do not reach each other, and two proxies on a third that both reach.
fn with_two_proxies(lab: &Lab) -> (Vec<Site>, Ring, [Member; 2]) {
    let sites = vec![lab.site(), lab.site()];
    let middle = lab.site();
    sites.iter().for_each(Site::isolate);
    let ring = Ring::write_on(&sites, &middle, "--open --no-signal");
    let first = ring.path().join("proxy.json");
    let text = std::fs::read_to_string(&first).expect("written");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let listen = |port: u16| format!("{}:{port}", middle.address());
    let mut proxies = Vec::new();
    for (number, name) in [(0_u16, "proxy"), (1, "second")] {
        let file = ring.path().join(format!("proxy-{number}.json"));
        config["name"] = json!(name);
        config["listen"] = json!([listen(6_200 + number)]);
        config["key_file"] = json!(format!("proxy-{number}.key"));
        config["data_dir"] = json!(format!("proxy-{number}.data"));
        config["http"] = json!(null);
        config["peers"] = json!([]);
        std::fs::write(&file, config.to_string()).expect("writable");
        let mut proxy = Member::new("proxy", file);
        proxy.move_to(&middle);
        proxy.start();
        proxies.push(proxy);
    }
    let both = json!({ "proxies": [listen(6_200), listen(6_201)] });
    (1..=2).for_each(|number| ring.configure(number, &both));
    let [first, second] = proxies.try_into().expect("two");
    (sites, ring, [first, second])
}

/// What a member's link to another goes through, and what stands by.
fn carriers(node: &Member, other: &str) -> Result<(String, Vec<String>), String> {
    let status = node.try_json(&["status"])?;
    let links = status["links"].as_array().cloned().unwrap_or_default();
    let named = |link: &&Value| link["name"].as_str().is_some_and(|name| name.starts_with(other));
    let link = links.iter().find(named).ok_or_else(|| format!("no link to {other}: {status}"))?;
    let bearers = link["bearers"].as_array().into_iter().flatten();
    let standing = bearers.filter_map(|bearer| Some(bearer["address"].as_str()?.to_owned())).collect();
    Ok((link["address"].as_str().unwrap_or_default().to_owned(), standing))
}

#[test]
fn the_death_of_the_proxy_in_use_breaks_no_stream_and_loses_no_text() {
    let Some(lab) = Lab::new().filter(|_| tool("python3").is_some()) else { return };
    let (sites, ring, mut proxies) = with_two_proxies(&lab);
    let port = 7_777;
    let target = json!([{ "name": "records", "target": "tcp://127.0.0.1:9000", "allow": ["*"] }]);
    ring.configure(2, &json!({ "expose": target }));
    let forward = json!([{ "listen": format!("tcp://127.0.0.1:{port}"), "peer": "records" }]);
    ring.configure(1, &json!({ "forwards": forward }));
    let nodes = ring.start(2);
    let [bobby, donald] = nodes.as_slice() else { panic!("two nodes") };
    let giver = GIVER.replace("PORT", &port.to_string());
    let python = |site: &Site, name: &str, text: &str| {
        let mut command = site.bound_command("python3");
        command.args(["-c", text]);
        Process::start(name, command)
    };
    let taking = python(&sites[1], "taker", TAKER);
    taking.wait_for("ready");
    until("bobby is linked with donald", || carriers(bobby, "donald").map(|_| ()));
    let _giving = python(&sites[0], "giver", &giver);
    taking.wait_for("taken 250 ");
    let (used, _) = until("something stands by at both ends", || {
        let (here, there) = (carriers(bobby, "donald")?, carriers(donald, "bobby")?);
        if here.1.is_empty() || there.1.is_empty() { Err(format!("{here:?} {there:?}")) } else { Ok(here) }
    });
    let mark = taking.mark();
    let dying = usize::from(used.ends_with(":6201"));
    bobby.chat_to("before", 3);
    proxies[dying].process_mut().kill();
    bobby.chat_to("after", 2);
    let (_, line) = taking.wait_within(mark, "ended 4000 ", Duration::from_secs(60));
    println!("a stream of a line every 2 ms through a proxy that is killed: {line} (us between two lines at most)");
    for text in ["before", "after"] {
        assert!(donald.read(text)["name"].as_str().is_some_and(|name| name.starts_with("bobby")));
    }
    let (now, _) = carriers(bobby, "donald").expect("linked");
    assert_ne!(now, used, "the other proxy carries it");
}
