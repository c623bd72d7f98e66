//! Forwards and tunnels on the page: seen, added and removed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::node::{Node, mesh};
use crate::support::page::Page;
use crate::support::wait::until;

/// A server that sends back what comes, to one client after the other; its port.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut buffer = [0; 1024];
            while let Ok(bytes @ 1..) = client.read(&mut buffer) {
                if client.write_all(&buffer[..bytes]).is_err() {
                    break;
                }
            }
        }
    });
    port
}

/// Two nodes, of which the second exposes the server.
#[track_caller]
fn exposing(port: u16) -> Vec<Node> {
    let mut nodes = mesh(&["bobby", "donald"]);
    nodes[1].terminate();
    let expose = json!([{"name": "echo", "target": format!("tcp://127.0.0.1:{port}"), "allow": ["*"]}]);
    nodes[1].set_environment(vec![("MESHLINE_EXPOSE".to_owned(), expose.to_string().into())]);
    nodes[1].start();
    nodes.iter().for_each(|node| node.wait_for_reach(1));
    nodes
}

#[track_caller]
fn add(page: &Page, listen: &str, target: &str) {
    page.run("document.querySelector('#forward-form').reset()", &[]);
    page.type_in("#forward-listen", listen);
    page.type_in("#forward-peer", "donald");
    page.type_in("#forward-target", target);
    page.click("#forward-form button");
}

/// Where the only forward of a node listens.
#[track_caller]
fn listening(node: &Node) -> String {
    let rows = node.read("/api/v1/forwards")["forwards"].take();
    let state = rows[0]["state"]["listening"].as_str().map(ToOwned::to_owned);
    state.unwrap_or_else(|| panic!("{rows}"))
}

#[test]
fn a_forward_is_added_used_and_removed_and_its_tunnel_shown() {
    let Some(browser) = Browser::start() else { return };
    let port = echo();
    let nodes = exposing(port);
    let page = Page::open(&browser, &nodes[0]);
    page.turn_to("mesh");
    page.wait_for_count("#no-forwards", 1);
    assert!(page.text("#offered").starts_with("Nothing"), "{}", page.text("#offered"));
    let target = format!("tcp://127.0.0.1:{port}");
    add(&page, "tcp://127.0.0.1:0", &target);
    page.wait_for_count("#forwards tbody tr", 1);
    let row = page.text("#forwards tbody tr");
    for part in ["listens on tcp://127.0.0.1:", "donald", target.as_str(), "added"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    let place = listening(&nodes[0]);
    let mut client = TcpStream::connect(place.trim_start_matches("tcp://")).expect("it listens");
    client.write_all(b"hello").expect("it takes it");
    let mut back = [0; 5];
    client.read_exact(&mut back).expect("it comes back");
    assert_eq!(&back, b"hello");
    until("the page shows what moved", || {
        let (row, tunnel) = (page.text("#forwards tbody tr"), page.text("#tunnels tbody tr"));
        let is_there = row.contains("1 of 1") && row.contains("5 B · 5 B");
        let is_tunnel = tunnel.contains("donald") && tunnel.contains("the direct link");
        if is_there && is_tunnel { Ok(()) } else { Err(format!("{row:?} {tunnel:?}")) }
    });
    page.run("document.querySelector('#gateway').scrollIntoView()", &[]);
    page.picture("forwards");

    // The place is taken: whoever asked for it reads why.
    browser.expect_complaints("409");
    browser.expect_complaints("502");
    add(&page, &place, &target);
    until("the refusal is shown", || {
        let said = page.text("#forward-said");
        if said.contains("cannot listen") || said.contains("in use") { Ok(()) } else { Err(said) }
    });
    page.picture("forward-refused");
    page.click("#forwards tbody button");
    page.wait_for_count("#no-forwards", 1);
    assert_eq!(nodes[0].read("/api/v1/forwards")["forwards"], json!([]));
    assert!(TcpStream::connect(place.trim_start_matches("tcp://")).is_err(), "nobody listens any more");
}

#[test]
fn what_is_offered_is_listed_and_forwards_are_nobodys_without_the_token() {
    let Some(browser) = Browser::start() else { return };
    let nodes = exposing(echo());
    let page = Page::open(&browser, &nodes[1]);
    page.turn_to("mesh");
    until("what is exposed is shown", || {
        let said = page.text("#offered");
        if said.starts_with("echo: tcp://127.0.0.1:") && said.ends_with("for everybody") { Ok(()) } else { Err(said) }
    });
    let stranger = Page::open_at(&browser, &nodes[0].origin());
    stranger.turn_to("mesh");
    stranger.wait_for_count("#gateway", 1);
    stranger.wait_for_count("#no-tunnels", 1);
    assert_eq!(stranger.count("#forwards-part"), 0);
    assert_eq!(stranger.value("document.querySelector('#offered').textContent"), Value::from(""));
}
