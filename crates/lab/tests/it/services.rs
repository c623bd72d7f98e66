//! Services by name: found wherever they are, reached through the nearest that answers, and through the next one when
//! it is killed.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use meshline_lab::{Answer, Member, Process, Ring, has_tool, program, soak, until};
use serde_json::{Value, json};

/// A web server that says the same to everybody; its port.
fn web(said: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = BufReader::new(client.try_clone().expect("a second handle")).lines();
            // A connection without a request only looks whether anybody is here.
            if head.map_while(Result::ok).any(|line| line.is_empty()) {
                let length = said.len();
                let _ =
                    write!(client, "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{said}");
            }
        }
    });
    port
}

fn exposed(name: &str, kind: &str, port: u16) -> Value {
    json!({"name": name, "kind": kind, "target": format!("tcp://127.0.0.1:{port}"), "allow": ["*"], "check_s": 1})
}

/// The rows of `services` of one name.
fn rows(member: &Member, name: &str) -> Result<Vec<Value>, String> {
    let document = member.try_json(&["services"])?;
    assert_eq!(document["schema"], "meshline/services/1");
    Ok(document["services"].as_array().expect("rows").iter().filter(|row| row["name"] == name).cloned().collect())
}

#[track_caller]
fn wait_for_rows(member: &Member, name: &str, count: usize) -> Vec<Value> {
    until(&format!("{} lists {count} of {name}", member.name()), || {
        let rows = rows(member, name)?;
        if rows.len() == count { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
}

/// Has curl fetch the page behind a forward.
fn fetch(port: &str) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", &format!("http://127.0.0.1:{port}/")]);
    Answer::of(command)
}

/// What a web server answers through `connect`, whose input and output are the connection.
fn spoken_through(member: &Member, asker: &str, service: &str) -> String {
    let mut command = Command::new(program(asker));
    command.args(["connect", service, "--config"]).arg(member.config());
    let mut connected = Process::start("connect", command);
    connected.say("GET / HTTP/1.0\r");
    connected.say("\r");
    connected.wait_for("200 OK");
    // It lasts until both sides have ended.
    connected.close_input();
    assert_eq!(connected.wait(Duration::from_secs(20)), Some(0));
    connected.since(0).pop().unwrap_or_default()
}

/// Adds a forward to a service; the port that leads there.
#[track_caller]
fn forward(member: &Member, service: &str) -> String {
    let added = member.json(&["forward", "add", "tcp://127.0.0.1:0", service]);
    let place = added["state"]["listening"].as_str().unwrap_or_else(|| panic!("{added}"));
    place.rsplit(':').next().expect("a port").to_owned()
}

/// A server that greets everybody and then has nothing to say; its port.
fn greeter() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    std::thread::spawn(move || {
        let mut clients = Vec::new();
        for mut client in listener.incoming().flatten() {
            // Whoever only looked whether anybody is here has gone.
            let _ = writeln!(client, "hello");
            clients.push(client);
        }
    });
    port
}

fn ring() -> (Ring, Vec<Member>) {
    ring_with(&[])
}

/// The second member offers more.
fn ring_with(more: &[Value]) -> (Ring, Vec<Member>) {
    let ring = Ring::write("--nodes 3 --no-signal");
    let offered = [&[exposed("web", "_http._tcp", web("donald")), exposed("box", "_ssh._tcp", 9)], more].concat();
    ring.configure(2, &json!({"expose": offered}));
    ring.configure(3, &json!({"expose": [exposed("web", "_http._tcp", web("eddy")), exposed("box", "_http._tcp", 9)]}));
    let nodes = ring.start(3);
    crate::all_linked(&nodes);
    (ring, nodes)
}

#[test]
fn a_service_is_reached_by_its_name_and_goes_on_when_the_first_instance_is_killed() {
    if !has_tool("curl") {
        return;
    }
    let (ring, mut nodes) = ring();
    let mut view = ring.view();
    view.start();
    until("both servers are found to be up", || {
        let rows = rows(&view, "web")?;
        let up = rows.iter().filter(|row| row["health"] == "up" && !row["cost"].is_null()).count();
        if up == 2 { Ok(()) } else { Err(format!("{rows:?}")) }
    });
    // The same by name without a port here, and what the view says of the way there.
    let through = spoken_through(&view, "view", "web");
    assert!(["donald", "eddy"].iter().any(|name| through.contains(name)), "{through}");
    assert!(view.ask(&["explain", "donald"]).done().contains("donald"));
    assert!(view.ask(&["trace", "donald"]).done().contains("donald"));
    let port = forward(&view, "web");
    let first = fetch(&port).done();
    let at = ["donald", "eddy"].iter().position(|name| *name == first).unwrap_or_else(|| panic!("{first}"));
    nodes[1 + at].process_mut().kill();
    let second = ["eddy", "donald"][at];
    assert_eq!(fetch(&port).done(), second, "the next connection, at once");
    let left = wait_for_rows(&view, "web", 2);
    let away = left.iter().find(|row| row["member_name"] == first.as_str()).expect("it stays until its time is over");
    until("it is shown as away", || {
        let rows = rows(&view, "web")?;
        let is_away = rows.iter().any(|row| row["member"] == away["member"] && row["cost"].is_null());
        if is_away { Ok(()) } else { Err(format!("{rows:?}")) }
    });
    assert_eq!(left.first().map(|row| &row["member_name"]), Some(&json!(second)), "the one that answers comes first");
}

#[test]
fn a_connection_with_nothing_to_say_ends_with_its_member_and_a_new_one_goes_to_another() {
    let (_ring, mut nodes) = ring_with(&[exposed("greet", "_greet._tcp", greeter())]);
    wait_for_rows(&nodes[0], "web", 2);
    wait_for_rows(&nodes[0], "greet", 1);
    let mut command = Command::new(program("node"));
    command.args(["connect", "greet", "--config"]).arg(nodes[0].config());
    let mut left_open = Process::start("connect", command);
    // What was asked and not answered yet would be asked once more of the member that comes back.
    left_open.wait_for("hello");
    nodes[1].process_mut().kill();
    assert_eq!(spoken_through(&nodes[0], "node", "web"), "eddy", "a new connection, at once");
    // Out of reach it may be for a minute; one that comes back knows nothing of the connection, and says so sooner.
    if !soak() {
        nodes[1].start();
    }
    assert_eq!(left_open.wait(Duration::from_secs(120)), Some(1));
    let said = left_open.since(0).join("\n");
    assert!(said.contains("broke off") && said.contains("connect anew"), "{said}");
}

#[test]
fn words_that_mean_nothing_or_several_things_are_refused_by_their_codes() {
    let (_ring, nodes) = ring();
    wait_for_rows(&nodes[0], "box", 2);
    let code = |words: &[&str]| nodes[0].ask(words).code;
    for (words, wanted) in [
        (&["connect", "nothing"][..], 4),
        (&["connect", "box"], 2),
        (&["connect", "donald"], 2),
        (&["connect", "box._ssh._tcp"], 5),
        (&["connect", "box._ipp._tcp"], 4),
        (&["connect", "web@nobody"], 4),
        (&["forward", "add", "tcp://127.0.0.1:0", "nothing"], 4),
        (&["forward", "add", "tcp://127.0.0.1:0", "box"], 2),
        (&["services", "--kind", "http"], 2),
    ] {
        let answer = nodes[0].ask(words);
        assert_eq!(answer.code, Some(wanted), "{words:?}: {}{}", answer.stdout, answer.stderr);
    }
    // Each says what to do next.
    for (words, next) in [
        (&["connect", "donald"][..], "connect donald 127.0.0.1:22"),
        (&["connect", "box._ipp._tcp"], "`services` lists"),
        (&["connect", "web@nobody"], "`peers` lists"),
        (&["forward", "add", "tcp://127.0.0.1:0", "nothing"], "`services` lists"),
        (&["advertise", "--name", "x", "--kind", "_http._tcp", "--port", "80", "--check", "0"], "--check"),
        (&["advertise", "--name", "x", "--kind", "_http._tcp", "--target", "udp://127.0.0.1:80"], "_http._tcp"),
    ] {
        let said = nodes[0].ask(words).stderr;
        assert!(
            said.contains(next) && !said.contains("invalid_message") && !said.contains("check_s"),
            "{words:?}: {said}"
        );
    }
    assert!(nodes[0].ask(&["services", "--kind", "_zz._tcp"]).done().contains("without --kind"));
    let several = nodes[0].ask(&["connect", "box"]).stderr;
    assert!(several.contains("box._http._tcp") && several.contains("box._ssh._tcp"), "{several}");
    assert_eq!(code(&["services", "--kind", "_http._tcp", "--json"]), Some(0));
}

#[test]
fn what_a_view_advertises_is_there_while_the_command_runs() {
    if !has_tool("curl") {
        return;
    }
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    let mut view = ring.view();
    view.start();
    view.wait_for_links(1);
    let mut watching = Command::new(program("node"));
    watching.args(["services", "--watch", "--json", "--config"]).arg(nodes[0].config());
    let watching = Process::start("services", watching);
    watching.wait_for("meshline/services/1");
    let port = web("from the view").to_string();
    let mut command = Command::new(program("view"));
    command.args(["advertise", "--name", "plan", "--kind", "_http._tcp", "--text", "path=/", "--port", &port]);
    command.arg("--config").arg(view.config());
    let mut advertising = Process::start("advertise", command);
    let row = wait_for_rows(&nodes[1], "plan", 1).remove(0);
    assert_eq!((&row["text"]["path"], &row["port"]), (&json!("/"), &json!(port.parse::<u16>().expect("a port"))));
    until("a way leads there", || {
        let rows = rows(&nodes[1], "plan")?;
        if rows.iter().all(|row| !row["cost"].is_null()) { Ok(()) } else { Err(format!("{rows:?}")) }
    });
    assert_eq!(fetch(&forward(&nodes[1], "plan")).done(), "from the view");
    assert_eq!(spoken_through(&nodes[1], "node", "plan"), "from the view");
    let told = watching.wait_for(r#""event":"added""#);
    assert!(told.contains("meshline/service-event/1") && told.contains(r#""name":"plan""#), "{told}");
    // A slip in a name is told, though somebody may be called so tomorrow.
    let mut command = Command::new(program("view"));
    command.args([
        "advertise",
        "--name",
        "odd",
        "--kind",
        "_http._tcp",
        "--port",
        &port,
        "--allow",
        "bobby,nobodyknown",
    ]);
    command.arg("--config").arg(view.config());
    let slip = Process::start("advertise", command);
    slip.wait_for("nobody known here is called nobodyknown");
    assert!(!slip.since(0).iter().any(|line| line.contains("called bobby")), "{:?}", slip.since(0));
    let again = view.ask(&["advertise", "--name", "plan", "--kind", "_http._tcp", "--port", &port]);
    assert_eq!(again.code, Some(2), "a name is taken once: {}", again.stderr);
    advertising.kill();
    wait_for_rows(&nodes[1], "plan", 0);
    let told = watching.wait_for(r#""event":"removed""#);
    assert!(told.contains(r#""cause":"withdrawn""#) && told.contains(r#""name":"plan""#), "{told}");
}
