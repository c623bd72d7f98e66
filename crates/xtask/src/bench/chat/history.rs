//! A full history: how long from the navigation to its newest message on the screen, beside the same page with a history
//! of one screen; and how long the API takes to tell all of it, beside a bare server with the same bytes.
//!
//! It is written by as many members as its number needs, each within what an author may send, and comes to the node
//! that is looked at as messages do. Then all but one end.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bare::Bare;
use super::page::{Opened, ratio};
use crate::bench::process::{Running, wait};
use crate::bench::ring::Ring;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;
use crate::bench::{Bench, api, median};

/// Between a refusal and the next attempt: an author may send 20 a second once the first 256 are out.
const PAUSE: Duration = Duration::from_millis(50);

/// A history of one screen.
const FEW: usize = 50;

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let many = bench.size(10_000, 200);
    let writers = if bench.small { 2 } else { 8 };
    let full = Filled::new(bench, writers, many)?;
    let small = Filled::new(bench, 2, FEW)?;
    let mut rows = open(bench, &full, &small)?;
    rows.push(read(bench, &full)?);
    Ok(rows)
}

/// A node with a history, alone.
struct Filled {
    ring: Ring,
    _node: Running,
    count: usize,
    newest: String,
}

impl Filled {
    fn new(bench: &Bench, writers: u16, count: usize) -> Result<Self, String> {
        let ring = Ring::write(bench, writers, false)?;
        let mut nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
        ring.wait_linked()?;
        let began = Instant::now();
        write(&ring, count / usize::from(writers))?;
        let has_all = || api::messages(&ring.socket(1), count).len() == count;
        wait("the node has all messages", Duration::from_millis(200), has_all)?;
        println!("{count} messages by {writers} members: written in {:.1} s", began.elapsed().as_secs_f64());
        nodes.truncate(1);
        wait("all others have gone", Duration::from_millis(20), || api::links(&ring.socket(1)) == 0)?;
        let newest = api::messages(&ring.socket(1), 1).pop().unwrap_or_default();
        let newest = newest.get("cursor").map(Value::to_string).unwrap_or_default().trim_matches('"').to_owned();
        let node = nodes.pop().ok_or("there is no node")?;
        Ok(Self { ring, _node: node, count, newest })
    }

    /// Opens its page once more, until the newest message is painted.
    fn open(&self, bench: &Bench, opened: &mut Opened) -> Result<bool, String> {
        opened.open(bench, &self.ring.page(1)?, &format!("article[data-cursor=\"{}\"]", self.newest))
    }
}

/// Every member writes so many at once.
fn write(ring: &Ring, each: usize) -> Result<(), String> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = ring.numbers().map(|number| scope.spawn(move || write_at(ring, number, each))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer panicked".to_owned())?)
    })
}

fn write_at(ring: &Ring, number: u16, count: usize) -> Result<(), String> {
    let socket = ring.socket(number);
    for message in 1..=count {
        let text = format!("This is message {message} of member {number}, about as long as messages of a talk are.");
        wait("the node takes a message", PAUSE, || api::say(&socket, &text))?;
    }
    Ok(())
}

fn open(bench: &Bench, full: &Filled, small: &Filled) -> Result<Vec<Row>, String> {
    let (mut ours, mut theirs) = (Opened::default(), Opened::default());
    for _ in 0..bench.size(7, 2) {
        if !full.open(bench, &mut ours)? || !small.open(bench, &mut theirs)? {
            return Ok(Vec::new());
        }
    }
    println!("open with {}: {}; with {FEW}: {}", full.count, ours.millis("painted"), theirs.millis("painted"));
    let figure = format!("Navigation to newest message painted, {} messages", full.count);
    let row = Row::new(figure, ours.millis("painted"), "");
    let beside = format!("the same page with {FEW} messages: {}", theirs.millis("painted"));
    Ok(vec![row.beside(beside, ratio(&ours.all("painted"), &theirs.all("painted")))])
}

fn read(bench: &Bench, full: &Filled) -> Result<Row, String> {
    let (address, token) = (full.ring.http(1), full.ring.token(1)?);
    let path = format!("/api/v1/chat?limit={}", full.count);
    let body = api::get_at(&address, &path, &token).ok_or("the node does not tell its history")?;
    let scratch = Scratch::new("history")?;
    let file = scratch.path().join("history.json");
    fs::write(&file, &body).map_err(|error| error.to_string())?;
    let bare = Bare::serve(bench, &file)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.size(21, 5) {
        ours.push(millis(|| api::get_at(&address, &path, &token))?);
        theirs.push(millis(|| api::get_at(&bare.address, "/", &token))?);
    }
    let told = |all: &[f64]| format!("{:.1} ms", median(all));
    println!("GET {path}, {} bytes: {}; bare hyper {}", body.len(), told(&ours), told(&theirs));
    let figure = format!("GET {path}, {:.2} MB", body.len() as f64 / 1e6);
    Ok(Row::new(figure, told(&ours), "").beside(format!("bare hyper: {}", told(&theirs)), ratio(&ours, &theirs)))
}

fn millis(ask: impl Fn() -> Option<String>) -> Result<f64, String> {
    let began = Instant::now();
    ask().ok_or("no answer")?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
