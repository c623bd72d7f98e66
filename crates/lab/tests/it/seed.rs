//! The seed's transcript, played by the scripts that `config-tool ring` writes.

use std::time::Duration;

use meshline_lab::{Member, PATIENCE, Ring};

/// What stands behind the time, which has the form `15:58:43.214573`.
#[track_caller]
fn untimed(line: &str) -> &str {
    let (time, rest) = line.split_at_checked(15).unwrap_or_else(|| panic!("no time: {line:?}"));
    let is_right = time.char_indices().all(|(at, c)| match at {
        2 | 5 => c == ':',
        8 => c == '.',
        _ => c.is_ascii_digit(),
    });
    assert!(is_right, "no time: {line:?}");
    rest
}

/// Waits for a line of just this text behind its time.
#[track_caller]
fn told(member: &Member, text: &str) {
    assert_eq!(untimed(&member.wait_for(text)), format!(" {text}"));
}

/// Waits for a line that begins and ends so, with a port of the system's choice between.
#[track_caller]
fn told_between(member: &Member, begin: &str, end: &str) {
    let line = member.wait_for(begin);
    let port = untimed(&line).strip_prefix(&format!(" {begin}")).and_then(|rest| rest.strip_suffix(end));
    assert!(port.is_some_and(|port| port.parse::<u16>().is_ok()), "{line:?} is not {begin}…{end}");
}

/// Waits for a message as the seed shows it.
#[track_caller]
fn reads(member: &Member, text: &str) {
    let lines = member.process().wait_for(text);
    assert_eq!(lines, format!("   {text}"));
    let all = member.process().since(0);
    let at = all.iter().position(|line| *line == lines).expect("it was there");
    assert_eq!(untimed(&all[at - 1]), " INF ~ Incoming message");
}

/// Waits for the goodbye as the seed shows it.
#[track_caller]
fn sees_leave(member: &Member, name: &str) {
    let line = member.wait_for(&format!("User {name} has left"));
    assert_eq!(line, format!("   _: User {name} has left"));
    let all = member.process().since(0);
    let at = all.iter().position(|other| *other == line).expect("it was there");
    assert_eq!(untimed(&all[at - 1]), " INF ~");
}

/// Types a message as the seed does.
#[track_caller]
fn says(member: &mut Member, text: &str, others: usize) {
    let mark = member.process().mark();
    member.process_mut().say("m");
    let (asked, _) = member.process().wait_after(mark, "Type your message:");
    member.process_mut().say(text);
    member.process().wait_after(asked, "command:");
    member.process().wait_after(asked, &format!("delivered to {others}"));
}

#[track_caller]
fn quits(member: &mut Member) {
    member.process_mut().say("q");
    told(member, "INF ~ Server is shutting down");
    assert_eq!(member.process_mut().wait(Duration::from_secs(5)), Some(0));
}

/// Starts a peer by its script.
#[track_caller]
fn starts(ring: &Ring, number: u16, next: u16) -> Member {
    let mut member = ring.node(number);
    member.start_by(&ring.script(number), &["--console", "always"]);
    let (port, next) = (ring.port(number), ring.port(next));
    let first = member.process().wait_after(0, "").1;
    assert_eq!(first, format!("Starting peer {number} ({port} -> {next})"));
    member.wait_for("'m' - message, 'q' - quit");
    told(&member, &format!("INF ~ Server listening at 127.0.0.1:{port}"));
    member
}

#[test]
fn three_peers_play_the_transcript_of_the_seed() {
    let ring = Ring::write("--nodes 3 --topology ring --no-signal");
    let [one, two, three] = [1, 2, 3].map(|number| ring.port(number));
    let mut bobby = starts(&ring, 1, 2);
    told(&bobby, &format!("DBG ~ Clt could not connect to localhost:{two}. retry 1 of 10"));
    told(&bobby, &format!("DBG ~ Clt could not connect to localhost:{two}. retry 2 of 10"));
    let mut donald = starts(&ring, 2, 3);
    told_between(&bobby, "INF ~ Clt opening connection (127.0.0.1:", &format!(" -> 127.0.0.1:{two})"));
    bobby.wait_for("command:");
    told_between(&donald, &format!("DBG ~ Server handling connection (127.0.0.1:{two} <- 127.0.0.1:"), ")");
    told(&donald, &format!("DBG ~ Clt could not connect to localhost:{three}. retry 1 of 10"));
    let mut eddy = starts(&ring, 3, 1);
    told_between(&donald, "INF ~ Clt opening connection (127.0.0.1:", &format!(" -> 127.0.0.1:{three})"));
    told_between(&eddy, &format!("DBG ~ Server handling connection (127.0.0.1:{three} <- 127.0.0.1:"), ")");
    told_between(&eddy, "INF ~ Clt opening connection (127.0.0.1:", &format!(" -> 127.0.0.1:{one})"));
    told_between(&bobby, &format!("DBG ~ Server handling connection (127.0.0.1:{one} <- 127.0.0.1:"), ")");
    for member in [&bobby, &donald, &eddy] {
        member.wait_for_ring(3);
    }
    talk_and_leave(&mut bobby, &mut donald, &mut eddy);
}

fn talk_and_leave(bobby: &mut Member, donald: &mut Member, eddy: &mut Member) {
    says(donald, "hello there", 2);
    reads(bobby, "donald: hello there");
    reads(eddy, "donald: hello there");
    says(eddy, "fine thx", 2);
    reads(bobby, "eddy: fine thx");
    reads(donald, "eddy: fine thx");
    says(bobby, "im leaving", 2);
    reads(donald, "bobby: im leaving");
    reads(eddy, "bobby: im leaving");
    quits(bobby);
    sees_leave(donald, "bobby");
    sees_leave(eddy, "bobby");
    told(donald, "DBG ~ Connection to prev. peer probably lost");
    donald.wait_for_ring(2);
    eddy.wait_for_ring(2);
    says(donald, "see ya", 1);
    reads(eddy, "donald: see ya");
    quits(donald);
    sees_leave(eddy, "donald");
    told(eddy, "DBG ~ Connection to prev. peer probably lost");
    quits(eddy);
}

#[test]
fn the_ring_closes_past_a_killed_peer_and_takes_it_back() {
    let ring = Ring::write("--nodes 3 --topology ring --no-signal");
    let mut nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_ring(3);
    }
    let (second, third) = (nodes[1].id(), nodes[2].id());
    for victim in 0..3 {
        let marks: Vec<usize> = nodes.iter().map(|node| node.process().mark()).collect();
        nodes[victim].process_mut().kill();
        let next = &nodes[(victim + 1) % 3];
        let mark = marks[(victim + 1) % 3];
        next.process().wait_after(mark, "DBG ~ Connection to prev. peer probably lost");
        for other in (0..3).filter(|other| *other != victim) {
            nodes[other].wait_for_ring(2);
        }
        next.chat_to(&format!("without {victim}"), 1);
        nodes[(victim + 2) % 3].read(&format!("without {victim}"));
        nodes[victim].start();
        for node in &nodes {
            node.wait_for_ring(3);
        }
        nodes[victim].chat_to(&format!("{victim} is back"), 2);
        for node in &nodes {
            node.read(&format!("{victim} is back"));
        }
        let ring = nodes[0].status()["ring"].clone();
        assert_eq!((ring["next"].as_str(), ring["previous"].as_str()), (Some(&*second), Some(&*third)), "its place");
    }
}

#[test]
fn who_left_takes_its_place_again() {
    let ring = Ring::write("--nodes 3 --topology ring --no-signal");
    let mut nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_ring(3);
    }
    assert!(nodes[1].process_mut().terminate() < PATIENCE);
    nodes[0].wait_for_ring(2);
    nodes[2].wait_for_ring(2);
    nodes[1].start();
    for node in &nodes {
        node.wait_for_ring(3);
        node.chat_to(&format!("by {}", node.name()), 2);
    }
}
