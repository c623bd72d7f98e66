//! First paint of the page in a fresh browser, in turns with a static page of 50 KiB from a bare server, and the weight
//! of all files that it loads.

use std::fmt::Write;
use std::fs;

use super::bare::Bare;
use super::page::{Opened, ratio};
use crate::bench::Bench;
use crate::bench::api;
use crate::bench::process::wait;
use crate::bench::ring::Ring;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;

/// The rival's page.
const STATIC_BYTES: usize = 50 * 1024;

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, false)?;
    let _nodes = (ring.start(1)?, ring.start(2)?);
    let pause = std::time::Duration::from_millis(5);
    wait("the node has its link", pause, || api::links(&ring.socket(1)) == 1)?;
    let scratch = Scratch::new("page")?;
    let file = scratch.path().join("static.html");
    fs::write(&file, static_page()).map_err(|error| error.to_string())?;
    let bare = Bare::serve(bench, &file)?;
    let (url, bare_url) = (ring.page(1)?, format!("http://{}/", bare.address));
    let (mut ours, mut theirs) = (Opened::default(), Opened::default());
    for _ in 0..bench.size(9, 2) {
        let is_there = ours.open(bench, &url, "#state[data-state=connected]")?;
        if !is_there || !theirs.open(bench, &bare_url, "p")? {
            return Ok(Vec::new());
        }
    }
    println!("first paint: page {}, static {}", ours.millis("first"), theirs.millis("first"));
    Ok(rows(&ours, &theirs))
}

fn rows(ours: &Opened, theirs: &Opened) -> Vec<Row> {
    let first = ratio(&ours.all("first"), &theirs.all("first"));
    let kib = |name| ours.median(name) / 1024.0;
    let weight = format!(
        "{:.1} KiB in {:.0} files, {:.1} KiB with heads",
        kib("packed"),
        ours.median("files"),
        kib("transferred")
    );
    vec![
        Row::new("Page weight, gzip", weight, "≤ 60 KiB"),
        Row::new("First contentful paint, fresh browser", ours.millis("first"), "≤ 200 ms")
            .beside(format!("static page of 50 KiB: {}", theirs.millis("first")), first),
        Row::new("… until it says \"connected\"", ours.millis("painted"), ""),
    ]
}

/// As much text as the page has files.
fn static_page() -> String {
    let mut page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>static</title>".to_owned();
    page.push_str("<link rel=\"icon\" href=\"data:,\">");
    for number in 0.. {
        if page.len() >= STATIC_BYTES {
            break;
        }
        // Nothing fails when the target is memory.
        let _ = write!(page, "<p>Paragraph {number}: the quick brown fox jumps over the lazy dog.</p>");
    }
    page
}
