//! Readings of a small device: asked for by name, followed through restarts, and nobody's burden but the reader's.

use std::fs::File;
use std::io::Write;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::{Duration, Instant};

use meshline_lab::{Lab, Member, Process, Ring, Site, program, skipped, soak, until};
use serde_json::{Value, json};

/// Two nodes and a view that publishes with these flags.
fn publishing(flags: &[&str]) -> (Ring, Vec<Member>, Member) {
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    let mut view = ring.view();
    view.start_with(flags);
    view.wait_for_links(1);
    (ring, nodes, view)
}

/// Waits until a member reads a topic; what it printed.
#[track_caller]
fn read(member: &Member, words: &[&str]) -> String {
    until(&format!("{} reads {words:?}", member.name()), || {
        let answer = member.ask(&[&["read"], words].concat());
        if answer.code == Some(0) { Ok(answer.stdout) } else { Err(format!("{:?} {}", answer.code, answer.stderr)) }
    })
}

fn following(member: &Member, words: &[&str]) -> Process {
    let mut command = Command::new(program("node"));
    command.arg("read").args(words).args(["--follow", "--config"]).arg(member.config());
    Process::start("read", command)
}

#[test]
fn the_last_reading_of_a_command_is_read_by_its_name_and_stands_in_the_directory() {
    let (_ring, nodes, view) =
        publishing(&["--topic", "temp", "--exec", "echo 21.5; echo '{\"c\":22}'", "--every", "1s", "--history", "100"]);
    assert_eq!(read(&nodes[0], &["temp"]).trim(), r#"{"c":22}"#);
    let lines = read(&nodes[1], &["temp", "--history", "2", "--json"]);
    let values: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(values.len(), 2, "{lines}");
    assert!(values.iter().all(|line| line["schema"] == "meshline/reading/1" && line["topic"] == "temp"), "{lines}");
    until("the directory has it", || {
        let services = nodes[0].try_json(&["services", "--kind", "_meshtopic._tcp"])?;
        let row = &services["services"][0];
        if row["name"] == "temp" && !row["text"]["last"].is_null() { Ok(()) } else { Err(services.to_string()) }
    });
    assert_eq!(nodes[0].ask(&["read", "nothing"]).code, Some(4));
    drop(view);
}

#[test]
fn what_is_typed_is_read_line_by_line_and_the_last_of_it_stays_when_the_input_ends() {
    let (_ring, nodes, mut view) = publishing(&["--topic", "said", "--stdin"]);
    view.process_mut().say("21.5");
    assert_eq!(read(&nodes[0], &["said"]).trim(), "21.5");
    let follower = following(&nodes[1], &["said"]);
    follower.wait_for("21.5");
    view.process_mut().say("{\"c\":22}");
    follower.wait_for("{\"c\":22}");
    view.process_mut().close_input();
    view.chat_to("it runs on", 2);
    assert_eq!(read(&nodes[0], &["said"]).trim(), "{\"c\":22}");
}

#[test]
fn whoever_may_not_read_a_topic_is_refused_and_it_is_not_told() {
    let ring = Ring::write("--nodes 2 --no-signal");
    ring.configure(1, &serde_json::json!({"topics": [{"name": "secret", "exec": "echo 1", "allow": ["donald"]}]}));
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    let mut view = ring.view();
    view.start();
    view.wait_for_links(1);
    assert_eq!(read(&nodes[1], &["secret"]).trim(), "1");
    let refused = view.ask(&["read", "secret@bobby"]);
    assert!([Some(4), Some(5)].contains(&refused.code), "{refused:?}");
    assert_eq!(refused.stdout, "");
    assert!(!view.json(&["services"]).to_string().contains("secret"), "nor does the directory tell of it");
}

/// Whether a member that may not read a topic is told nothing but that.
#[track_caller]
fn refused(member: &Member, topic: &str) {
    let answer = member.ask(&["read", topic]);
    assert!([Some(4), Some(5)].contains(&answer.code), "{} reads {topic}: {answer:?}", member.name());
    assert_eq!(answer.stdout, "", "{} reads {topic}", member.name());
}

#[test]
fn each_topic_of_a_view_has_rules_of_its_own() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    let mut view = ring.view();
    let path = ring.path().join("attic.jsonl");
    std::fs::write(&path, "2\n").expect("written");
    let cellar = json!({"name": "cellar", "exec": "echo 1", "every_s": 1, "allow": ["bobby"]});
    view.configure(&json!({"topics": [cellar, {"name": "attic", "file": path, "allow": ["donald"]}]}));
    view.start();
    view.wait_for_links(2);
    for (reader, topic, value, other) in [(&nodes[0], "cellar", "1", "attic"), (&nodes[1], "attic", "2", "cellar")] {
        assert_eq!(read(reader, &[topic]).trim(), value);
        refused(reader, other);
        refused(reader, &format!("{other}@{}", view.name()));
    }
    // By flags, in place of those of the file.
    view.process_mut().terminate();
    view.start_with(&["--topic", "door", "--exec", "echo 3", "--every", "1s", "--readers", "donald"]);
    view.wait_for_links(2);
    assert_eq!(read(&nodes[1], &["door"]).trim(), "3");
    refused(&nodes[0], "door");
    refused(&nodes[1], "attic");
}

#[test]
fn a_follower_goes_on_after_its_topic_was_away() {
    let flags = ["--topic", "temp", "--exec", "date +%s%N", "--every", "1s"];
    let (_ring, nodes, mut view) = publishing(&flags);
    read(&nodes[0], &["temp"]);
    let follower = following(&nodes[0], &["temp"]);
    follower.wait_for("1");
    view.process_mut().kill();
    follower.wait_for("trying again");
    let mark = follower.mark();
    view.start_with(&flags);
    follower.wait_after(mark, "the topic began anew");
    let (_, line) = follower.wait_after(mark, "1");
    println!("goes on with {line}");
}

/// A file of readings that a topic follows; what is said there are numbers.
struct Numbers(File);

impl Numbers {
    fn say(&mut self, numbers: RangeInclusive<u64>) {
        let lines: String = numbers.map(|number| format!("{number}\n")).collect();
        self.0.write_all(lines.as_bytes()).expect("written");
    }
}

/// Two nodes, of which the first publishes numbers as the topic `count`; on hosts of their own, if there are some.
fn counting(sites: &[Site]) -> (Ring, Vec<Member>, Numbers) {
    let ring = match sites.first() {
        Some(first) => Ring::write_on(sites, first, "--no-signal"),
        None => Ring::write("--nodes 2 --no-signal"),
    };
    let path = ring.path().join("numbers.jsonl");
    let numbers = Numbers(File::create(&path).expect("made"));
    ring.configure(1, &json!({"topics": [{"name": "count", "file": path, "allow": ["*"]}]}));
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    (ring, nodes, numbers)
}

/// What a follower printed: nothing twice, nothing out of its order, and what it missed is as many as are not there. How
/// many those are.
#[track_caller]
fn whole(follower: &Process, last: u64) -> u64 {
    let (mut next, mut missed) = (1, 0);
    for line in follower.since(0) {
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        assert_eq!(line.get("began_anew"), None, "it is the same run");
        if let Some(gap) = line["missed"].as_u64() {
            (next, missed) = (next + gap, missed + gap);
        } else {
            assert_eq!(line["value"].as_u64(), Some(next), "after {missed} missed");
            next += 1;
        }
    }
    assert_eq!(next, last + 1);
    missed
}

#[test]
fn a_follower_whose_node_was_away_goes_on_behind_what_it_has_seen() {
    let (_ring, mut nodes, mut numbers) = counting(&[]);
    numbers.say(1..=1);
    read(&nodes[1], &["count"]);
    let follower = following(&nodes[1], &["count", "--json"]);
    follower.wait_for("\"value\":1}");
    nodes[1].process_mut().kill();
    follower.wait_for("trying again");
    numbers.say(2..=500);
    nodes[1].start();
    follower.wait_for("\"value\":500}");
    assert_eq!(whole(&follower, 500), 0, "all of it was kept meanwhile");
}

#[test]
fn a_follower_sleeps_through_a_cut_that_nobody_sees_and_names_what_it_missed() {
    if !soak() {
        return skipped("half a minute of silence: MESHLINE_SOAK=1");
    }
    let Some(lab) = Lab::new() else { return };
    let sites: Vec<Site> = (0..2).map(|_| lab.site()).collect();
    let (_ring, nodes, mut numbers) = counting(&sites);
    numbers.say(1..=1);
    read(&nodes[1], &["count"]);
    let follower = following(&nodes[1], &["count", "--json"]);
    let mut command = Command::new(program("node"));
    command.args(["services", "--watch", "--json", "--config"]).arg(nodes[1].config());
    let watcher = Process::start("services", command);
    watcher.wait_for("meshline/services/1");
    follower.wait_for("\"value\":1}");
    for (from, to) in [(2, 20), (21, 5_000)] {
        sites[1].cut();
        let mark = follower.mark();
        numbers.say(from..=to);
        follower.wait_after(mark, "trying again");
        sites[1].mend();
        follower.wait_for(&format!("\"value\":{to}}}"));
    }
    let missed = whole(&follower, 5_000);
    println!("{missed} readings missed");
    assert!(missed > 0, "more than is kept");
    let told: Vec<String> = watcher.since(0).into_iter().filter(|line| line.contains("service-event")).collect();
    let twice = told.windows(2).find(|pair| {
        ["added", "removed"].iter().any(|word| pair.iter().all(|line| line.contains(&format!("\"event\":\"{word}\""))))
    });
    assert_eq!(twice, None, "{told:?}");
}

#[test]
fn a_fast_topic_holds_up_nobody_and_a_reader_that_stops_is_told_what_it_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("readings.jsonl");
    std::fs::write(&path, "").expect("written");
    let file = path.to_str().expect("a path");
    let (_ring, nodes, view) = publishing(&["--topic", "fast", "--file", file]);
    let mut out = File::options().append(true).open(&path).expect("there");
    out.write_all(b"0\n").expect("written");
    read(&nodes[0], &["fast"]);
    let stopped = following(&nodes[0], &["fast", "--json"]);
    stopped.wait_for("meshline/reading/1");
    stopped.signal("STOP");
    let sampled = following(&nodes[1], &["fast", "--json", "--every", "500ms"]);
    sampled.wait_for("meshline/reading/1");
    // More than a pipe, a socket and a tunnel hold.
    for burst in 0..40_u32 {
        let lines: String = (1..=5_000).map(|number| format!("{{\"burst\":{burst},\"number\":{number}}}\n")).collect();
        out.write_all(lines.as_bytes()).expect("written");
    }
    nodes[0].chat_to("while readings come", 2);
    view.chat_to("from where they come", 2);
    sampled.wait_for("\"burst\":39,\"number\":5000");
    stopped.signal("CONT");
    let told = stopped.wait_for("\"missed\":");
    println!("{told}");
    stopped.wait_for("\"burst\":39,\"number\":5000");
}

/// Lines that come every ten milliseconds, and how often: ten thousand a second for three seconds.
const LINES: u64 = 100;
const TICKS: u64 = 300;

/// The one in the middle.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn ten_thousand_readings_a_second_slow_neither_another_topic_nor_the_chat() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    crate::all_linked(&nodes);
    let mut view = ring.view();
    let path = ring.path().join("slow.jsonl");
    let mut slow = Numbers(File::create(&path).expect("made"));
    let fast = json!({"name": "fast", "stdin": true, "allow": ["*"]});
    view.configure(&json!({"topics": [fast, {"name": "slow", "file": path, "allow": ["*"]}]}));
    view.start();
    view.wait_for_links(2);
    slow.say(1..=1);
    view.process_mut().say("1");
    read(&nodes[0], &["slow"]);
    let live = following(&nodes[0], &["fast", "--json"]);
    // One at a reader of both topics, one at a member that has nothing to do with the fast one.
    let readers = [following(&nodes[0], &["slow", "--json"]), following(&nodes[1], &["slow", "--json"])];
    for reader in [&live, &readers[0], &readers[1]] {
        reader.wait_for("\"value\":1}");
    }
    let (mut seen, mut said, mut number) = (Vec::new(), Vec::new(), 1);
    std::thread::scope(|scope| {
        let source = view.process_mut();
        let flood = scope.spawn(move || {
            let begin = Instant::now();
            for tick in 0..TICKS {
                let lines: Vec<String> = (1..=LINES).map(|line| (1 + tick * LINES + line).to_string()).collect();
                source.say(&lines.join("\n"));
                let next = begin + Duration::from_millis(10 * (tick + 1));
                std::thread::sleep(next.saturating_duration_since(Instant::now())); // paced: so many a second
            }
        });
        while !flood.is_finished() || number < 4 {
            number += 1;
            let began = Instant::now();
            slow.say(number..=number);
            readers.iter().for_each(|reader| drop(reader.wait_for(&format!("\"value\":{number}}}"))));
            seen.push(began.elapsed());
            let began = Instant::now();
            nodes[1].chat_to(&format!("meanwhile {number}"), 2);
            said.push(began.elapsed());
        }
    });
    let last = 1 + TICKS * LINES;
    live.wait_for(&format!("\"value\":{last}}}"));
    let missed = whole(&live, last);
    readers.iter().for_each(|reader| assert_eq!(whole(reader, number), 0, "none of the slow topic"));
    let (seen, said) = (median(seen), median(said));
    println!("seen after {seen:?}, said within {said:?}, {missed} of {last} missed");
    let generous = Duration::from_secs(1);
    assert!(seen < generous && said < generous, "a reading of the other topic {seen:?}, a message {said:?}");
    // A tenth of a second is kept: on a busy machine a reader may not run for as long.
    assert!(missed == 0 || !soak(), "{missed} of {last} missed");
}

/// Half of a hundredth of a core.
const ASLEEP: f64 = 0.005;

/// A build without optimisation takes so many times longer for the same.
const SLOWER: f64 = if cfg!(debug_assertions) { 2.0 } else { 1.0 };

#[test]
fn a_view_sleeps_while_its_cable_is_cut_and_goes_on_when_it_is_mended() {
    let Some(lab) = Lab::new() else { return };
    let (home, away) = (lab.site(), lab.site());
    let ring = Ring::write_on(std::slice::from_ref(&home), &home, "--no-signal");
    let path = ring.path().join("numbers.jsonl");
    let mut numbers = Numbers(File::create(&path).expect("made"));
    numbers.say(1..=1);
    let nodes = ring.start(1);
    let mut view = ring.view();
    view.move_to(&away);
    view.start_with(&["--topic", "count", "--file", path.to_str().expect("a path")]);
    view.wait_for_links(1);
    read(&nodes[0], &["count"]);
    let follower = following(&nodes[0], &["count", "--json"]);
    follower.wait_for("\"value\":1}");
    away.cut();
    let gone = until("the view notices", || {
        let links = view.try_json(&["status"])?["links"].as_array().map_or(0, Vec::len);
        if links == 0 { Ok(Instant::now()) } else { Err(format!("{links} links")) }
    });
    let mark = follower.mark();
    numbers.say(2..=20);
    let before = view.process().cpu();
    follower.wait_after(mark, "trying again");
    let (used, over) = ((view.process().cpu() - before).as_secs_f64(), gone.elapsed().as_secs_f64());
    println!("{:.2} % of a core over {over:.1} s", 100.0 * used / over);
    assert!(over > 3.0, "too short to tell: {over} s");
    assert!(used / over < ASLEEP * SLOWER, "{used} s on a processor in {over} s");
    away.mend();
    follower.wait_for("\"value\":20}");
    assert_eq!(whole(&follower, 20), 0, "all of it was kept meanwhile, by the same run");
}
