//! Ways over others, on hosts that reach only their neighbours: listed, traced, explained, watched, and lost.

use meshline_lab::{Lab, Member, Ring, Site, until};
use serde_json::Value;

/// Hosts of which two reach each other only if `reach` says so.
pub(crate) fn sites(count: usize, reach: impl Fn(usize, usize) -> bool) -> Option<Vec<Site>> {
    let lab = Lab::new()?;
    let sites: Vec<Site> = (0..count).map(|_| lab.site()).collect();
    for (from, site) in sites.iter().enumerate() {
        let beyond = sites.iter().enumerate().filter(|(to, _)| from != *to && !reach(from, *to));
        for (_, other) in beyond {
            site.run(&format!("ip route add unreachable {}/32", other.address()));
        }
    }
    Some(sites)
}

/// The best way from one member to another, by the names of those on it.
pub(crate) fn way(from: &Member, to: &str) -> Result<Vec<String>, String> {
    let routes = from.try_json(&["routes"])?;
    let rows = routes["routes"].as_array().cloned().unwrap_or_default();
    let name = |id: &Value| {
        rows.iter().find(|row| row["peer"] == *id).map(|row| row["name"].as_str().unwrap_or("?").to_owned())
    };
    let best = rows.iter().find(|row| row["name"] == to && row["rank"] == 1).ok_or("no way")?;
    Ok(best["path"].as_array().into_iter().flatten().filter_map(name).collect())
}

#[track_caller]
pub(crate) fn wait_for_way(from: &Member, path: &[&str]) {
    let to = path.last().copied().unwrap_or_default();
    until(&format!("{} reaches {to} over {path:?}", from.name()), || {
        let found = way(from, to)?;
        if found == path { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn five_in_a_row_are_listed_traced_explained_and_watched() {
    let Some(sites) = sites(5, |from, to| from.abs_diff(to) == 1) else { return };
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let mut nodes = ring.start(5);
    wait_for_way(&nodes[0], &["donald", "eddy", "peer-4", "peer-5"]);
    // An echo has to come back.
    for node in &nodes[1..] {
        until("all see bobby", || way(node, "bobby"));
    }
    let table = nodes[0].ask(&["routes"]).done();
    assert!(table.contains("donald > eddy > peer-4 > peer-5"), "{table}");

    let trace = nodes[0].json(&["trace", "peer-5"]);
    assert_eq!((&trace["schema"], &trace["reached"]), (&"meshline/trace/1".into(), &true.into()));
    let hops = trace["hops"].as_array().expect("hops");
    assert_eq!(hops.iter().map(|hop| &hop["name"]).collect::<Vec<_>>(), ["donald", "eddy", "peer-4", "peer-5"]);
    assert!(hops.iter().all(|hop| hop["rtts_us"].as_array().is_some_and(|rtts| rtts.len() == 3)), "{trace}");
    let lines = nodes[0].ask(&["trace", "peer-5"]).done();
    assert_eq!(lines.lines().count(), 6, "{lines}");

    explained(&nodes[0]);
    watched(&nodes[2]);
    assert_eq!(nodes[0].ask(&["trace", "nobody"]).code, Some(4));
    nodes[4].process_mut().kill();
    until("the last is traced to nowhere", || {
        let answer = nodes[0].ask(&["trace", "peer-5"]);
        if answer.code == Some(4) && answer.stdout.contains("the way ends: ") { Ok(()) } else { Err(answer.stdout) }
    });
}

/// Why the way to a member far away is as it is, and what was tried.
#[track_caller]
fn explained(node: &Member) {
    let told = node.json(&["explain", "peer-5"]);
    let why = told["why"].to_string();
    assert!(why.contains("the way over donald, eddy, peer-4 is used"), "{why}");
    assert!(why.contains("there is no other way"), "{why}");
    assert_eq!(told["links"].as_array().map(Vec::len), Some(4));
    let advice = until("a failed attempt is advice", || {
        let advice = node.json(&["explain", "eddy"])["advice"].to_string();
        if advice.contains("nothing answers at 10.77.0.3:6003") { Ok(advice) } else { Err(advice) }
    });
    assert!(advice.contains("all ways to eddy pass donald"), "{advice}");
    let text = node.ask(&["explain", "peer-5"]).done();
    assert!(text.contains("why\n  - the way over donald"), "{text}");
}

/// Frames of a member in the middle, while another asks for echoes through it.
#[track_caller]
fn watched(node: &Member) {
    std::thread::scope(|scope| {
        let tap = scope.spawn(|| node.ask(&["tap", "--type", "datagram", "--count", "2"]).done());
        until("frames are shown", || {
            let _ = node.ask(&["trace", "bobby"]);
            if tap.is_finished() { Ok(()) } else { Err("none yet".to_owned()) }
        });
        let shown = tap.join().expect("it ends");
        let frames: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(frames.len(), 2, "{shown}");
        assert!(frames.iter().all(|frame| frame["type"] == "datagram" && frame["len"].is_u64()), "{shown}");
    });
}

#[test]
fn when_the_member_in_between_dies_the_other_way_round_the_square_is_taken() {
    let Some(sites) = sites(4, |from, to| from.abs_diff(to) != 2) else { return };
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let mut nodes = ring.start(4);
    let sides = [["donald", "eddy"], ["peer-4", "eddy"]];
    let used = until("bobby has both ways to eddy", || {
        let routes = nodes[0].try_json(&["routes"])?;
        let count = routes["routes"].as_array().into_iter().flatten().filter(|row| row["name"] == "eddy").count();
        if count == 2 { way(&nodes[0], "eddy") } else { Err(routes.to_string()) }
    });
    let used = sides.iter().position(|side| *side == used.as_slice()).expect("one of the two");
    nodes[if used == 0 { 1 } else { 3 }].process_mut().kill();
    nodes[0].wait_for("route to eddy changed: the link to its first hop is gone");
    wait_for_way(&nodes[0], &sides[1 - used]);
    wait_for_way(&nodes[2], &[sides[1 - used][0], "bobby"]);
    assert_eq!(nodes[0].ask(&["trace", "eddy"]).code, Some(0));
}

#[test]
fn what_the_configuration_says_of_the_ways_is_taken_live() {
    let Some(sites) = sites(4, |from, to| from.abs_diff(to) != 2) else { return };
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let nodes = ring.start(4);
    nodes[0].wait_for_links(2);
    for through in ["donald", "peer-4"] {
        let text = std::fs::read_to_string(nodes[0].config()).expect("its configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config["routing"] = serde_json::json!({"via": {"eddy": through}});
        std::fs::write(nodes[0].config(), config.to_string()).expect("written");
        nodes[0].process().signal("HUP");
        wait_for_way(&nodes[0], &[through, "eddy"]);
        assert!(nodes[0].ask(&["status"]).done().contains("routing   "));
        let why = nodes[0].json(&["explain", "eddy"])["why"].to_string();
        assert!(why.contains(&format!("reached through {through} (routing.via)")), "{why}");
    }
}
