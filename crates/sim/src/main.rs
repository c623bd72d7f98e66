//! `meshline-sim`: runs scenarios, repeats runs from their logs, draws charts of outcomes.

#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read};
use std::process::ExitCode;

use meshline_sim::scenario::{
    self, EXAMPLE, FIGURES, Header, Journal, Machine, Nodes, Outcome, Play, Scenario, chart, print,
};

/// A word of the command line that is not understood, or something that went wrong: what is printed.
type Wrong = String;

const USAGE: &str = "Usage: meshline-sim SCENARIO.json [--seed N] [--nodes N] [--json] [--log FILE]
       meshline-sim --replay FILE [--json]
       meshline-sim chart FIGURE --out FILE.svg [--caption TEXT] OUTCOME.json...

Runs the network of a scenario in virtual time and says whether what it expects held (0), or not (1).

  --seed N       everything follows from it and the file; 1 if none is given
  --nodes N      so many nodes instead of those of the file
  --json         the outcome as JSON instead of tables
  --log FILE     what happens as JSON lines: links, messages, a digest of everything each second
  --replay FILE  runs what such a log tells of once more, and says at which line it differs
  chart          draws a figure of outcomes that were printed with --json and differ in the number of nodes";

/// Nodes hold much in small pieces, and threads give back what others took.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The words of a run.
#[derive(Debug, Default)]
struct Words {
    file: Option<String>,
    seed: Option<u64>,
    nodes: Option<Nodes>,
    json: bool,
    log: Option<String>,
    replay: Option<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        None | Some("--help" | "-h" | "help") => {
            let figures: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
            println!("{USAGE}\n\nFigures: {}.\n\nA scenario:\n\n{EXAMPLE}", figures.join(", "));
            return ExitCode::SUCCESS;
        }
        Some("chart") => draw(words.get(1..).unwrap_or_default()).map(|()| true),
        Some(_) => read_words(&words).and_then(|words| run(&words)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("meshline-sim: {wrong}");
            ExitCode::from(2)
        }
    }
}

fn read_words(words: &[String]) -> Result<Words, Wrong> {
    let mut read = Words::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or_else(|| format!("`{word}` wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("`{word} {text}`: not a number"));
        match word.as_str() {
            "--seed" => read.seed = Some(number(value()?)?),
            "--nodes" => read.nodes = Some(Nodes::try_from(number(value()?)?)?),
            "--json" => read.json = true,
            "--log" => read.log = Some(value()?),
            "--replay" => read.replay = Some(value()?),
            flag if flag.starts_with('-') => return Err(format!("there is no `{flag}`; --help says what there is")),
            file if read.file.is_none() => read.file = Some(file.to_owned()),
            more => return Err(format!("one scenario at a time: `{more}` is the second")),
        }
    }
    Ok(read)
}

/// Runs what the words say; whether everything held.
fn run(words: &Words) -> Result<bool, Wrong> {
    let (header, journal) = prepare(words)?;
    let mut play = Play::new(header.scenario, header.seed);
    let wrong = |error: std::io::Error| error.to_string();
    let mut journal = journal;
    journal.attach(&mut play);
    let mut progress = Progress::new();
    loop {
        let goes_on = play.step();
        progress.tell(&play, goes_on);
        journal.follow(&mut play).map_err(wrong)?;
        if !goes_on {
            break;
        }
    }
    journal.end(&mut play).map_err(wrong)?;
    let mut outcome = play.finish();
    // The system takes back what thousands of nodes held quicker than they would put it away one by one.
    std::mem::forget(play);
    outcome.machine = Some(machine());
    if words.json {
        println!("{}", serde_json::to_string(&outcome).map_err(|error| error.to_string())?);
    } else {
        print!("{}", print(&outcome));
        if let Some(file) = &words.replay {
            println!("the same run as that of {file}");
        }
    }
    Ok(outcome.broken.is_empty())
}

/// How far a run is, for whoever waits at a terminal: ten thousand nodes take many minutes.
struct Progress {
    is_watched: bool,
    told: u64,
}

impl Progress {
    fn new() -> Self {
        Self { is_watched: std::io::stderr().is_terminal(), told: 0 }
    }

    /// Once a virtual second, in place of what it said before; nothing is left at the end.
    fn tell(&mut self, play: &Play, goes_on: bool) {
        let now = play.world().now() / meshline_sim::SECOND;
        if !self.is_watched || (now == self.told && goes_on) {
            return;
        }
        self.told = now;
        let line = if goes_on { format!("{now} s, {} events", play.world().happened()) } else { String::new() };
        eprint!("\r{line}\x1b[K");
    }
}

fn prepare(words: &Words) -> Result<(Header, Journal), Wrong> {
    if let Some(file) = &words.replay {
        let from = File::open(file).map_err(|error| format!("{file}: {error}"))?;
        return Journal::compare(Box::new(BufReader::new(from))).map_err(|error| format!("{file}: {error}"));
    }
    let file = words.file.as_ref().ok_or("which scenario? --help shows one")?;
    let mut scenario: Scenario = scenario::read(file, &text(file)?).map_err(|fault| fault.to_string())?;
    scenario.nodes = words.nodes.unwrap_or(scenario.nodes);
    let header = Header::new(&scenario, words.seed.unwrap_or(1));
    let Some(log) = &words.log else { return Ok((header, Journal::none())) };
    let to = File::create(log).map_err(|error| format!("{log}: {error}"))?;
    let journal = Journal::write(Box::new(BufWriter::new(to)), &header).map_err(|error| format!("{log}: {error}"))?;
    Ok((header, journal))
}

fn text(file: &str) -> Result<String, Wrong> {
    let mut text = String::new();
    let mut from = File::open(file).map_err(|error| format!("{file}: {error}"))?;
    from.read_to_string(&mut text).map_err(|error| format!("{file}: {error}"))?;
    Ok(text)
}

/// Draws one figure.
fn draw(words: &[String]) -> Result<(), Wrong> {
    let (name, rest) = words.split_first().ok_or("which figure? --help lists them")?;
    let figure =
        FIGURES.iter().find(|figure| figure.name == name).ok_or_else(|| format!("there is no figure `{name}`"))?;
    let (mut out, mut caption, mut outcomes) = (None, String::new(), Vec::new());
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().cloned().ok_or_else(|| format!("`{word}` wants a value"));
        match word.as_str() {
            "--out" => out = Some(value()?),
            "--caption" => caption = value()?,
            file => {
                let outcome: Outcome =
                    serde_json::from_str(&text(file)?).map_err(|error| format!("{file}: {error}"))?;
                outcomes.push(outcome);
            }
        }
    }
    let out = out.ok_or("where to? --out FILE.svg")?;
    std::fs::write(&out, chart(figure, &outcomes, &caption)?).map_err(|error| format!("{out}: {error}"))
}

/// What this process has taken so far, as Linux tells it; nothing elsewhere.
fn machine() -> Machine {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    // Hundredths of a second: those in user and kernel mode are fields 14 and 15, the start after boot is 22.
    let stat = read("/proc/self/stat");
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(number).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0) / 100.0;
    let uptime = read("/proc/uptime").split_whitespace().next().map_or(0.0, number);
    let status = read("/proc/self/status");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next());
    Machine {
        cpu_s: field(14) + field(15),
        wall_s: uptime - field(22),
        peak_rss_bytes: peak.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1_024,
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}
