//! Two nodes at the ends of a cable: what it does to frames, they measure.

use std::time::Duration;

use meshline_lab::{Cable, Direction, Lab, Member, Ring, until, within};

/// Idle links ask every 15 s and are dead 6.5 s after an ask that nobody answers; the rest is for a busy machine.
const SILENT_CUT: Duration = Duration::from_millis(21_500 + 2_500);

/// The best round trip of the link to a neighbour, in microseconds.
fn rtt_us(node: &Member, name: &str) -> Result<u64, String> {
    let status = node.try_json(&["status"])?;
    let links = status["links"].as_array().cloned().unwrap_or_default();
    let link = links.iter().find(|link| link["name"] == name).ok_or("no link")?;
    link["rtt_us"].as_u64().ok_or_else(|| format!("not measured: {link}"))
}

#[test]
fn two_nodes_feel_their_cable_lose_it_in_one_direction_and_get_it_back() {
    let Some(lab) = Lab::with_cables() else { return };
    let sites = [lab.site_apart(), lab.site_apart()];
    let mut cable = lab.cable(&sites[0], &sites[1], Cable::new().rate_mbit(10).delay_ms(20));
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let nodes = ring.start(2);
    nodes[0].wait_until_linked_to(&["donald"]);
    let rtt = until("the round trip is measured", || rtt_us(&nodes[0], "donald"));
    assert!(rtt >= 40_000, "{rtt} µs over a cable of 20 ms");
    nodes[1].chat_to("there", 1);

    cable.cut(Direction::Forth);
    for node in &nodes {
        within(SILENT_CUT, "the link is gone", || match node.linked() {
            linked if linked.is_empty() => Ok(()),
            linked => Err(format!("{linked:?}")),
        });
    }
    let [forth, back] = cable.carried();
    assert!(forth.swallowed > 0 && back.swallowed == 0, "{forth:?} {back:?}");
    cable.mend(Direction::Forth);
    nodes[0].wait_until_linked_to(&["donald"]);
    nodes[0].chat_to("there again", 1);
}
