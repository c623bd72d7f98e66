//! A member whose host reaches one other alone, and links to a third and to the signal server through that one's exit.

use meshline_lab::{Member, Ring, until};
use serde_json::{Value, json};

use crate::routes::sites;

const BOBBY: usize = 0;
const DONALD: usize = 1;
const EDDY: usize = 2;

/// The row of bobby's link with eddy.
fn link(bobby: &Member) -> Result<Value, String> {
    let status = bobby.try_json(&["status"])?;
    let row = status["links"].as_array().into_iter().flatten().find(|row| row["name"] == "eddy").cloned();
    row.ok_or_else(|| status["links"].to_string())
}

#[track_caller]
fn wait_for_link(bobby: &Member) {
    until("bobby is linked to eddy through donald", || match link(bobby)? {
        row if row["via_name"] == "donald" => Ok(()),
        row => Err(row.to_string()),
    });
}

#[test]
fn a_member_that_reaches_one_other_alone_links_and_announces_itself_through_it() {
    let Some(sites) = sites(3, |from, to| from.abs_diff(to) == 1) else { return };
    let ring = Ring::write_on(&sites, &sites[EDDY], "");
    let eddy = format!("{}/32", sites[EDDY].address());
    let donald = format!("{}:{}", sites[DONALD].address(), ring.port(2));
    ring.configure(1, &json!({"via": "donald", "peers": [donald]}));
    ring.configure(2, &json!({"exit": {"rules": [{"allow": ["bobby"], "networks": [eddy], "ports": ["6000-6003"]}]}}));
    let signal = ring.start_signal();
    let mut nodes = ring.start(3);
    wait_for_link(&nodes[BOBBY]);
    assert!(nodes[BOBBY].ask(&["status"]).done().contains(" via donald"), "people read it too");
    let explained = nodes[BOBBY].json(&["explain", "eddy"]);
    assert_eq!(explained["summary"], "eddy is linked through donald's exit");
    until("bobby is announced", || {
        let said = signal.since(0);
        let is_it = |line: &&String| line.contains("announced") && line.contains("bobby");
        said.iter().find(is_it).map(|_| ()).ok_or_else(|| said.join("\n"))
    });
    nodes[BOBBY].chat_to("through donald", 2);

    nodes[DONALD].process_mut().kill();
    until("bobby knows why eddy is away", || {
        let explained = nodes[BOBBY].try_json(&["explain", "eddy"])?;
        let last = explained["attempts"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        let told = last["detail"].as_str().unwrap_or_default().contains("donald, through whom it goes (via), is away");
        if last["outcome"] == "no_route" && told { Ok(()) } else { Err(last.to_string()) }
    });
    nodes[DONALD].start();
    wait_for_link(&nodes[BOBBY]);
    nodes[EDDY].chat_to("there again", 2);
}
