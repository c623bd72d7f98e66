//! What the disk takes to keep a few bytes. A message is on two disks, one after the other, before it is seen: its
//! author answers for it, and its reader shows nothing that a crash could take back.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use crate::bench::Bench;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;

/// What the system writes at least.
const BLOCK: [u8; 4096] = [0; 4096];

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let scratch = Scratch::new("disk")?;
    let mut file = File::create(scratch.path().join("blocks")).map_err(|error| error.to_string())?;
    let mut millis = Vec::new();
    for _ in 0..bench.size(200, 50) {
        let began = Instant::now();
        file.write_all(&BLOCK).and_then(|()| file.sync_data()).map_err(|error| error.to_string())?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    let share = |percent: usize| millis.get(millis.len() * percent / 100).copied().unwrap_or(f64::NAN);
    let value = format!("{:.1} ms, p99 {:.1} ms", share(50), share(99));
    println!("fdatasync of a block: {value}");
    Ok(vec![Row::new("fdatasync of an appended block where the nodes keep theirs, p50", value, "")])
}
