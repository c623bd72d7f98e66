//! What scripts rest on: the documents of `--json`, the exit codes, and what stands on which stream.

use std::process::Command;
use std::time::Duration;

use meshline_lab::{Answer, Member, Ring, has_tool, program};
use serde_json::Value;

/// The members a document must have, whatever else it has.
#[track_caller]
fn has(document: &Value, schema: &str, members: &str) {
    if !schema.is_empty() {
        assert_eq!(document["schema"], format!("meshline/{schema}/1"), "{document}");
    }
    let object = document.as_object().expect("an object");
    for member in members.split_whitespace() {
        assert!(object.contains_key(member), "no {member} in {document}");
    }
}

fn pair() -> (Ring, Vec<Member>) {
    let ring = Ring::write("--nodes 2 --topology ring --no-signal");
    let nodes = ring.start(2);
    for node in &nodes {
        node.wait_for_ring(2);
    }
    (ring, nodes)
}

#[test]
fn every_document_has_its_schema_and_its_members() {
    let (_ring, nodes) = pair();
    let [bobby, donald] = nodes.as_slice() else { panic!("two nodes") };
    let status = bobby.status();
    has(&status, "status", "id name network version state topology uptime_ms links ring nat time limits");
    has(&status["time"], "", "offset_us error_us members network_us");
    has(&status["ring"], "", "next previous length complete");
    assert_eq!((&status["state"], &status["topology"]), (&"connected".into(), &"ring".into()));
    assert_eq!((&status["ring"]["length"], &status["ring"]["complete"]), (&2.into(), &true.into()));
    let link = "peer name transport direction address rtt_us jitter_us loss goodput_bps goodput_in_bps clock_offset_us \
                clock_error_us sent_bytes received_bytes up_ms bearers";
    has(&status["links"][0], "", link);
    assert_eq!(status["links"][0]["peer"], donald.id());
    assert_eq!(status["links"][0]["transport"], "tcp");

    let peers = bobby.json(&["peers"]);
    has(&peers, "peers", "peers");
    has(&peers["peers"][0], "", "id name reachable direct via path hops cost");
    let row = &peers["peers"][0];
    assert_eq!((&row["reachable"], &row["direct"], &row["hops"]), (&true.into(), &true.into(), &1.into()), "{row}");
    assert_eq!(row["path"], serde_json::json!([donald.id()]));

    let sent = bobby.chat("hello");
    has(&sent, "message", "cursor author name text time delivered_to");
    assert_eq!((&sent["delivered_to"], &sent["text"]), (&1.into(), &"hello".into()));
    donald.read("hello");
    let history = donald.json(&["chat", "history"]);
    has(&history, "messages", "messages");
    let message = &history["messages"][0];
    has(message, "", "cursor author name text time delivered_to");
    assert_eq!((&message["author"], &message["name"]), (&bobby.id().into(), &"bobby".into()));
    bobby.chat_to("again", 1);
    donald.read("again");
    let cursor = message["cursor"].as_str().expect("text");
    let after = donald.json(&["chat", "history", "--after", cursor]);
    assert_eq!(after["messages"].as_array().map(Vec::len), Some(1), "{after}");

    has(&bobby.json(&["explain", "donald"]), "explain", "id name reachable summary attempts");
    has(&bobby.json(&["wait", "--for", "path=donald:direct"]), "wait", "done reason");
    has(&bobby.json(&["page"]), "page", "url");
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let (ring, mut nodes) = pair();
    let id = nodes[1].id();
    let [bobby, donald] = nodes.as_mut_slice() else { panic!("two nodes") };
    let rows: &[(i32, &[&str])] = &[
        (0, &["status"]),
        (0, &["wait", "--for", "ready"]),
        (0, &["wait", "--for", "peers=1"]),
        (0, &["explain", &id[..8]]),
        (0, &["explain", &id]),
        (1, &["wait", "--for", "peers=7", "--timeout", "200ms"]),
        (2, &["wait", "--for", "nonsense"]),
        (2, &["no-such-verb"]),
        (4, &["explain", "nobody"]),
        (4, &["explain", &id[..7]]),
        (5, &["apply", "node-2.membership.json"]),
    ];
    for (code, words) in rows {
        let own = ring.path().join(words.last().expect("words"));
        let path = own.to_string_lossy();
        let words: Vec<&str> = words.iter().map(|word| if word.ends_with(".json") { &*path } else { *word }).collect();
        let answer = bobby.ask(&words);
        assert_eq!(answer.code, Some(*code), "{words:?}: {answer:?}");
        assert_eq!(answer.stdout.is_empty(), *code != 0, "results on stdout: {words:?}: {answer:?}");
        assert_eq!(answer.stderr.is_empty(), *code == 0, "complaints on stderr: {words:?}: {answer:?}");
    }
    assert!(donald.process_mut().terminate() < Duration::from_secs(5));
    for words in [&["status"][..], &["peers"], &["chat", "history"], &["explain", "bobby"]] {
        assert_eq!(donald.ask(words).code, Some(3), "{words:?}");
    }
    std::fs::write(donald.config(), "{\"nmae\": 1}").expect("writable");
    for words in [&["status"][..], &["run"]] {
        let answer = donald.ask(words);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains("did you mean"), "{answer:?}");
    }
}

#[test]
fn results_go_to_standard_output_and_logs_to_standard_error() {
    let (_ring, nodes) = pair();
    let follow = nodes[1].ask(&["wait", "--json"]);
    assert_eq!(follow.stderr, "");
    assert!(serde_json::from_str::<Value>(&follow.stdout).is_ok(), "{follow:?}");
}

#[test]
fn each_of_the_five_programs_prints_its_completions_and_its_manual_page() {
    let ask = |name: &str, words: &[&str]| {
        let mut command = Command::new(program(name));
        command.args(words);
        Answer::of(command).done()
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["signal-server", "node", "view", "proxy", "config-tool"] {
        for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
            let script = ask(name, &["completions", shell]);
            let line = script.lines().find(|line| line.contains(mark)).unwrap_or_else(|| panic!("{name}: {script}"));
            assert!(line.contains(name), "{name}: {line}");
            if shell == "bash" && has_tool("bash") {
                let file = folder.path().join(name);
                std::fs::write(&file, &script).expect("written");
                let mut check = Command::new("bash");
                check.arg("-n").arg(&file);
                let _ = Answer::of(check).done();
            }
        }
        let page = ask(name, &["man"]).replace("\\-", "-");
        assert!(page.lines().any(|line| line.starts_with(&format!(".TH {name} "))), "{page}");
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
}
