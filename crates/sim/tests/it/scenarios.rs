//! The files of `scenarios/`, with few nodes: what they expect holds, and a run is repeated exactly by its log.

use std::cell::RefCell;
use std::io::{Cursor, Write};
use std::rc::Rc;

use meshline_sim::scenario::{
    self, Count, Deed, EXAMPLE, FIGURES, Header, Journal, Nodes, Outcome, Play, Scenario, Seconds, chart, print,
};

pub(crate) fn file(name: &str) -> Scenario {
    let path = format!("{}/scenarios/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the file is there");
    scenario::read(&path, &text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The scenario of a file with so many nodes. They have as few links each as those of the file.
fn small(name: &str, nodes: u64) -> Scenario {
    Scenario { nodes: Nodes::clamped(nodes), ..file(name) }
}

fn play(scenario: Scenario, seed: u64) -> Outcome {
    let mut play = Play::new(scenario, seed);
    while play.step() {}
    play.finish()
}

/// Plays it; everything it expects must hold.
fn holds(scenario: Scenario) -> Outcome {
    let outcome = play(scenario, meshline_sim::seed(1));
    println!("{}", print(&outcome));
    assert_eq!(outcome.broken, Vec::<String>::new(), "seed {}", outcome.seed);
    // Nobody ever has a link to each of the others, or it would be another mesh than the large ones.
    let most = u64::try_from(outcome.most_links).expect("few");
    assert!(most + 1 < outcome.nodes, "{most} links of {} nodes", outcome.nodes);
    outcome
}

#[test]
fn every_file_can_be_read_and_expects_something() {
    let folder = format!("{}/scenarios", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let scenario = file(name.trim_end_matches(".json"));
        let expects = scenario.expect.whole_within_s.is_some()
            && scenario.messages.iter().all(|messages| messages.coverage_percent.is_some());
        assert!(expects, "{name} expects nothing");
    }
    scenario::read("help", EXAMPLE).expect("what --help shows can be used");
}

#[test]
fn whatever_is_wrong_with_a_file_is_told_with_its_place() {
    let told = |text: &str| scenario::read("x.json", text).expect_err(text).to_string();
    assert_eq!(told("{\n \"nodes\": 1 }"), "x.json:2:13: nodes: 1 is not between 2 and 100000");
    let unknown = told("{\n \"nodes\": 5,\n \"start\": { \"by\": \"signal\", \"over\": 1 }\n}");
    assert!(unknown.starts_with("x.json:3:34: start.over: unknown field `over`"), "{unknown}");
    let deed = told("{ \"nodes\": 5, \"faults\": [\n { \"at_s\": 1, \"what\": { \"kil\": {} } }\n] }");
    assert!(deed.starts_with("x.json:2:") && deed.contains("faults[0].what") && deed.contains("`kil`"), "{deed}");
    let rows = told("{ \"nodes\": 5,\n \"network\": {\n \"regions\": [[1, 2]] } }");
    assert_eq!(rows, "x.json:3:1: network.regions: every one of the 1 rows must have 1 numbers");
}

#[test]
fn any_number_of_threads_does_the_same() {
    // One kind of member each that acts within a window of time, and one that is told of it from outside.
    for name in ["churn", "delayers", "sybils"] {
        let outcome = |threads: usize| {
            let mut scenario = small(name, 16);
            if let Some(sybils) = &mut scenario.sybils {
                sybils.members = Count::clamped(24);
            }
            let mut play = Play::with_threads(scenario, 7, threads);
            while play.world().now() < 20 * meshline_sim::SECOND && play.step() {}
            play.finish()
        };
        let one = outcome(1);
        assert!(one.events > 5_000, "{name}: {} events", one.events);
        assert_eq!(outcome(3), one, "{name}");
    }
}

#[test]
fn a_quiet_network_carries_what_is_said_to_all() {
    let mut scenario = small("quiet", 40);
    scenario.run_s = Seconds::clamped(60);
    let rest = scenario.rest.as_mut().expect("it rests");
    (rest.from_s, rest.for_s) = (Seconds::clamped(40), Seconds::clamped(15));
    scenario.messages[0].at_s = Seconds::clamped(20);
    let outcome = holds(scenario);
    let row = &outcome.messages[0];
    assert!(row.count == 10 && row.copies_mean >= 1.0 && row.hops_most >= 2, "{row:?}");
    let frames = row.frames.get("broadcast.flood").expect("they were sent");
    assert!((frames - row.copies_mean).abs() < 0.01, "{frames} frames, {} copies", row.copies_mean);
    let rest = outcome.rest.expect("it was weighed");
    assert!(rest.bytes_a_minute > 0.0 && rest.kinds.contains_key("time"), "{rest:?}");
}

#[test]
fn all_choose_their_links_anew_twice_and_everything_said_meanwhile_reaches_all() {
    let mut scenario = Scenario { nodes: Nodes::clamped(20), ..file("rebuild") };
    scenario.messages[0].count = Count::clamped(40);
    scenario.messages[0].at_s = Seconds::clamped(145);
    scenario.messages[1].count = Count::clamped(30);
    holds(scenario);
}

#[test]
fn half_of_the_nodes_die_and_those_that_live_hear_everything() {
    holds(small("dies-50-reset", 24));
    holds(small("dies-50-silent", 24));
}

/// The first fault begins and the messages of each group are said at these times, and the world ends then: a small mesh has
/// settled sooner than a large one.
fn hastened(mut scenario: Scenario, (fault_s, says_s, run_s): (u64, &[u64], u64)) -> Scenario {
    scenario.run_s = Seconds::clamped(run_s);
    scenario.faults.iter_mut().for_each(|fault| fault.at_s = Seconds::clamped(fault_s));
    for (messages, at_s) in scenario.messages.iter_mut().zip(says_s) {
        messages.at_s = Seconds::clamped(*at_s);
    }
    scenario
}

#[test]
fn halves_that_were_parted_for_an_hour_become_one_again_and_hear_what_was_said_in_either() {
    // What is said in the first minutes is under way for an hour at most.
    holds(hastened(small("parted-hour", 24), (30, &[300, 3_700], 3_730)));
}

#[test]
fn one_node_in_ten_dies_and_comes_back_each_minute_and_what_is_said_meanwhile_reaches_all() {
    let mut scenario = hastened(small("churn", 30), (30, &[40, 200], 240));
    match &mut scenario.faults[0].what {
        Deed::Churn(churn) => churn.for_s = Seconds::clamped(150),
        other => panic!("{other}"),
    }
    scenario.messages[0].every_ms = Count::clamped(10_000);
    holds(scenario);
}

#[test]
fn one_member_in_five_drops_or_delays_what_it_should_pass_on_and_it_reaches_all_others() {
    for name in ["droppers", "delayers"] {
        holds(hastened(small(name, 30), (20, &[30], 60)));
    }
}

#[test]
fn clocks_that_are_off_by_up_to_a_minute_keep_nobody_out() {
    holds(hastened(small("clocks", 20), (60, &[40], 130)));
}

/// A place to write to that can be looked into afterwards.
#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Plays with a journal to the end.
fn follow(mut journal: Journal, header: Header) -> std::io::Result<()> {
    let mut play = Play::new(header.scenario, header.seed);
    journal.attach(&mut play);
    while play.step() {
        journal.follow(&mut play)?;
    }
    journal.end(&mut play)
}

fn brief() -> Scenario {
    let mut scenario = small("dies-30-reset", 12);
    scenario.run_s = Seconds::clamped(30);
    scenario.faults[0].at_s = Seconds::clamped(15);
    scenario.messages.truncate(1);
    scenario.messages[0].at_s = Seconds::clamped(16);
    scenario.messages[0].within_s = Seconds::clamped(8);
    scenario
}

#[test]
fn a_log_proves_that_a_run_is_repeated_and_shows_where_another_differs() {
    let (paper, header) = (Paper::default(), Header::new(&brief(), 3));
    follow(Journal::write(Box::new(paper.clone()), &header).expect("paper"), header).expect("paper takes all");
    let written = paper.0.borrow().clone();
    let again = |bytes: Vec<u8>| {
        let (header, journal) = Journal::compare(Box::new(Cursor::new(bytes))).expect("a journal");
        follow(journal, header)
    };
    again(written.clone()).expect("the same run");
    let text = String::from_utf8(written).expect("text");
    assert!(text.contains("\"event\":\"link_up\"") && text.contains("\"event\":\"shown\""), "{text:.2000}");
    let other_seed = again(text.replacen("\"seed\":3", "\"seed\":4", 1).into_bytes()).expect_err("another run");
    assert!(other_seed.to_string().starts_with("line "), "{other_seed}");
    let cut = text.trim_end().rsplit_once('\n').expect("many lines").0.to_owned();
    let longer = again(cut.into_bytes()).expect_err("a line is missing");
    assert!(longer.to_string().contains("it was nothing"), "{longer}");
}

#[test]
fn charts_show_what_outcomes_hold_and_nothing_else() {
    let outcome = |nodes, copies_mean| {
        let row = scenario::MessageRow { copies_mean, ..Default::default() };
        Outcome { nodes, messages: vec![row], ..Outcome::default() }
    };
    let copies = FIGURES.iter().find(|figure| figure.name == "copies").expect("it is there");
    let svg = chart(copies, &[outcome(1_000, 1.5), outcome(100, 1.0)], "one & two").expect("drawn");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("one &amp; two"), "{svg}");
    assert_eq!(svg.matches("<circle").count(), 4, "two outcomes on two curves");
    let rest = FIGURES.iter().find(|figure| figure.name == "control").expect("it is there");
    assert!(chart(rest, &[outcome(100, 1.0)], "").is_err(), "no outcome was weighed");
    let machine = scenario::Machine { cpu_s: 30.0, wall_s: 60.0, peak_rss_bytes: 100 << 20 };
    let ran = |nodes| Outcome { virtual_s: 600.0, machine: Some(machine), ..outcome(nodes, 1.0) };
    let cpu = FIGURES.iter().find(|figure| figure.name == "cpu").expect("it is there");
    // 30 s of 100 nodes in ten minutes are 30 ms a node and minute.
    let svg = chart(cpu, &[ran(100), ran(1_000)], "").expect("drawn");
    assert!(svg.contains(">30</text>") && svg.matches("<circle").count() == 2, "{svg}");
}
