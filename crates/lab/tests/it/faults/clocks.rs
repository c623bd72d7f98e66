//! Members whose clocks are a minute ahead and a minute behind, among those that are right.

use meshline_lab::{Member, until};
use serde_json::Value;

use super::{Crowd, network, numbers, texts};
use crate::clock::shift;

/// How far each clock is off, in seconds. Most are right, so whoever has a few links knows the time by them.
const OFF_S: [i64; 6] = [0, 60, 0, -60, 0, 0];

/// Waits until a member knows the time: no further from the truth than it says.
#[track_caller]
fn wait_for_time(node: &Member, off_s: i64) {
    until(&format!("{} knows by how much it is off", node.name()), || {
        let time = node.try_json(&["status"])?["time"].clone();
        let number = |name: &str| time[name].as_i64().ok_or_else(|| time.to_string());
        let (offset, error, members) = (number("offset_us")?, number("error_us")?, number("members")?);
        let is_right = members > 1 && (offset + off_s * 1_000_000).abs() <= error;
        if is_right { Ok(()) } else { Err(time.to_string()) }
    });
}

/// Nothing was refused for its date.
#[track_caller]
fn took_all(node: &Member) {
    let refused = node.status()["refused"].clone();
    let dated =
        ["record_early", "record_expired", "record_outdated"].map(|code| refused.get(code).and_then(Value::as_u64));
    assert_eq!(dated, [None; 3], "{}: {refused}", node.name());
}

#[test]
fn clocks_a_minute_ahead_and_behind_agree_on_the_time_and_on_the_order_of_what_is_said() {
    let ring = network(OFF_S.len(), &[]);
    let mut nodes: Vec<Member> = numbers(OFF_S.len()).map(|number| ring.node(number)).collect();
    for (node, off_s) in nodes.iter_mut().zip(OFF_S).filter(|(_, off_s)| *off_s != 0) {
        if !shift(node, &format!("{off_s:+}")) {
            return;
        }
    }
    nodes.iter_mut().for_each(Member::start);
    let mut crowd = Crowd { nodes, links: super::LINKS, said: Vec::new() };
    crowd.meet(&ring);
    for (node, off_s) in crowd.nodes.iter().zip(OFF_S) {
        wait_for_time(node, off_s);
    }
    // Whoever says something has read what was said before: so it stands behind that, whatever its clock says.
    for (turn, from) in [1, 3, 2, 3, 1, 0].into_iter().enumerate() {
        crowd.say(from, &format!("turn {turn}"));
        crowd.wait_until_read(&crowd.all());
    }
    for node in &crowd.nodes {
        assert_eq!(texts(node).expect("it runs"), crowd.said, "{}", node.name());
        took_all(node);
    }
}
