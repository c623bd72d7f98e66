//! A run on disk as JSON lines: what it was, what happened, and a digest of everything each second. Read again, it proves
//! that another run is the same.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::play::Play;
use super::types::Scenario;
use crate::SECOND;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `meshline/run/1`.
    pub schema: String,
    /// The program's version: another one may do other things.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// What was run.
    pub scenario: Scenario,
}

impl Header {
    /// That of a run.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { schema: "meshline/run/1".to_owned(), version, seed, scenario: scenario.clone() }
    }
}

/// Where the lines go.
enum Sink {
    Nowhere,
    Written(Box<dyn Write>),
    Compared { lines: Box<dyn Iterator<Item = io::Result<String>>>, line: usize },
}

/// The lines of a run.
pub struct Journal {
    sink: Sink,
    second: u64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal").field("second", &self.second).finish_non_exhaustive()
    }
}

impl Journal {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self { sink: Sink::Nowhere, second: 0 }
    }

    /// One that is written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(mut to: Box<dyn Write>, header: &Header) -> io::Result<Self> {
        serde_json::to_writer(&mut to, header)?;
        to.write_all(b"\n")?;
        Ok(Self { sink: Sink::Written(to), second: 0 })
    }

    /// One that was written before; what was run comes first.
    ///
    /// # Errors
    /// If it is not one.
    pub fn compare(from: Box<dyn BufRead>) -> io::Result<(Header, Self)> {
        let mut lines = from.lines();
        let first = lines.next().ok_or_else(|| io::Error::other("the journal is empty"))??;
        let header = serde_json::from_str(&first)?;
        Ok((header, Self { sink: Sink::Compared { lines: Box::new(lines), line: 1 }, second: 0 }))
    }

    /// Has a run tell what this needs.
    pub fn attach(&self, play: &mut Play) {
        if !matches!(self.sink, Sink::Nowhere) {
            play.world.watch.told = Some(Vec::new());
        }
    }

    /// Takes in what has happened in a run since the last time.
    ///
    /// # Errors
    /// What the disk says, or where another run was different.
    pub fn follow(&mut self, play: &mut Play) -> io::Result<()> {
        if let Some(told) = play.world.watch.told.as_mut().map(std::mem::take) {
            play.world.watch.told = Some(Vec::new());
            for one in told {
                let other = one.other.map(|other| format!(",\"other\":{other}")).unwrap_or_default();
                let code = one.code.map(|code| format!(",\"code\":\"{}\"", code.name())).unwrap_or_default();
                self.line(&format!(
                    "{{\"at_us\":{},\"node\":{},\"event\":\"{}\"{other}{code}}}",
                    one.at, one.node, one.what
                ))?;
            }
        }
        let second = play.world.now() / SECOND;
        if second > self.second {
            self.second = second;
            let (at, events, digest) = (play.world.now(), play.world.happened(), play.world.digest());
            self.line(&format!("{{\"at_us\":{at},\"events\":{events},\"digest\":\"{digest:016x}\"}}"))?;
        }
        Ok(())
    }

    /// The run is over.
    ///
    /// # Errors
    /// As [`Journal::follow`].
    pub fn end(mut self, play: &mut Play) -> io::Result<()> {
        self.second = 0;
        self.follow(play)?;
        match &mut self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Written(to) => to.flush(),
            Sink::Compared { lines, line } => match lines.next() {
                None => Ok(()),
                Some(more) => Err(io::Error::other(format!("line {}: the run was longer: {}", *line + 1, more?))),
            },
        }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        match &mut self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Written(to) => writeln!(to, "{text}"),
            Sink::Compared { lines, line } => {
                *line += 1;
                let before = lines.next().transpose()?.unwrap_or_else(|| "nothing".to_owned());
                if before == text {
                    return Ok(());
                }
                Err(io::Error::other(format!("line {line} differs: it was {before}, now it is {text}")))
            }
        }
    }
}
