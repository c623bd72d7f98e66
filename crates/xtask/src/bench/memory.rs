//! Memory of an idle node with four links.

use std::time::Duration;

use super::process::Running;
use super::ring::Ring;
use super::table::Row;
use super::{Bench, median};

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 5, true)?;
    let _signal = ring.start_signal()?;
    let nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    std::thread::sleep(Duration::from_secs(5));
    let mib: Vec<f64> = nodes.iter().map(Running::rss_mib).collect();
    let most = mib.iter().copied().fold(0.0, f64::max);
    let value = format!("{:.1} MiB (at most {most:.1})", median(&mib));
    println!("memory of an idle node: {value}");
    Ok(vec![Row::new("RSS of an idle node with 4 links, after 5 s", value, "≤ 12 MiB")])
}
