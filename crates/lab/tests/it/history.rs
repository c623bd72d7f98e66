//! The chat on disk: what was shown as sent is there after a kill, and who was away has it too.

use std::collections::BTreeSet;

use meshline_lab::{Member, Ring, soak, until};
use serde_json::Value;

/// Kills of one author in the small run and in the long one.
const KILLS: (usize, usize) = (5, 100);

fn rows(member: &Member) -> Result<Vec<Value>, String> {
    Ok(member.try_json(&["chat", "history"])?["messages"].as_array().cloned().unwrap_or_default())
}

fn texts(member: &Member) -> Result<Vec<String>, String> {
    Ok(rows(member)?.iter().filter_map(|message| message["text"].as_str().map(str::to_owned)).collect())
}

/// Without the numbers that are each member's own.
fn common(member: &Member) -> Vec<(Value, Value, Value)> {
    let rows = rows(member).expect("it runs");
    rows.iter().map(|message| (message["author"].clone(), message["text"].clone(), message["time"].clone())).collect()
}

#[test]
fn a_message_shown_as_sent_is_there_after_a_kill_and_on_its_way_again() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let mut nodes = ring.start(2);
    let mut sent = Vec::new();
    for kill in 0..if soak() { KILLS.1 } else { KILLS.0 } {
        nodes[0].wait_until_linked_to(&["donald"]);
        for n in 0..3 {
            let text = format!("message {n} before kill {kill}");
            assert_eq!(nodes[0].ask(&["chat", "send", &text]).code, Some(0));
            sent.push(text);
        }
        nodes[0].process_mut().kill();
        nodes[0].start();
        until("everything that was sent", || {
            let there = texts(&nodes[0])?;
            if there == sent { Ok(()) } else { Err(format!("{there:?} instead of {sent:?}")) }
        });
    }
    until("everything at the other end", || {
        let there = texts(&nodes[1])?;
        if there == sent { Ok(()) } else { Err(format!("{} of {} messages", there.len(), sent.len())) }
    });
    assert_eq!(common(&nodes[0]), common(&nodes[1]));
}

#[test]
fn who_joins_late_has_the_whole_history_once_and_in_the_order_of_the_others() {
    for flags in ["--nodes 3 --no-signal", "--nodes 3 --no-signal --topology ring"] {
        let ring = Ring::write(flags);
        let nodes = ring.start(2);
        nodes[0].wait_until_linked_to(&["donald"]);
        for n in 0..20 {
            nodes[n % 2].chat_to(&format!("message {n}"), 1);
        }
        let mut late = ring.node(3);
        late.start();
        until("the whole history", || match texts(&late)?.len() {
            20 => Ok(()),
            count => Err(format!("{count} messages")),
        });
        assert_eq!(common(&late), common(&nodes[0]));
        assert_eq!(common(&late), common(&nodes[1]));
        let once: BTreeSet<String> = texts(&late).expect("it runs").into_iter().collect();
        assert_eq!(once.len(), 20);
    }
}

#[test]
fn cursors_and_bounds_hold_over_a_restart() {
    let ring = Ring::write("--nodes 1 --no-signal");
    let mut node = ring.node(1);
    let text = std::fs::read_to_string(node.config()).expect("written");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["chat"] = serde_json::json!({"max_messages": 3});
    std::fs::write(node.config(), config.to_string()).expect("writable");
    node.start();
    until("it answers", || rows(&node));
    for n in 1..=5 {
        assert_eq!(node.ask(&["chat", "send", &format!("message {n}")]).code, Some(0));
    }
    let cursors = |member: &Member| -> Result<Vec<(Value, Value)>, String> {
        Ok(rows(member)?.iter().map(|row| (row["cursor"].clone(), row["text"].clone())).collect())
    };
    let before = cursors(&node).expect("it runs");
    assert_eq!(before.iter().map(|(cursor, _)| cursor.as_str()).collect::<Vec<_>>(), [Some("3"), Some("4"), Some("5")]);
    node.process_mut().kill();
    node.start();
    until("the same after the restart", || {
        let after = cursors(&node)?;
        if after == before { Ok(()) } else { Err(format!("{after:?}")) }
    });
    let newer = node.json(&["chat", "history", "--after", "4"]);
    assert_eq!(newer["messages"].as_array().map(Vec::len), Some(1));
}
