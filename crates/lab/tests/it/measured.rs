//! What nodes say of links of known quality, held against what the cable does.

use std::ops::RangeInclusive;
use std::time::Duration;

use meshline_lab::{Cable, Carried, Lab, LaidCable, Process, Site, program, soak, until};
use serde_json::Value;

/// How long each direction is in use.
const USE_S: u64 = 10;

/// A start on a busy machine, and a time of use.
const LIMIT: Duration = Duration::from_secs(USE_S + 15);

const PORT: u16 = 6001;

/// Bytes of one.
const FULL_FRAME: u64 = 1_514;

/// A cable in both directions.
#[derive(Clone, Copy, Debug)]
struct Line {
    mbit: u32,
    delay_ms: u32,
    loss_percent: f64,
}

impl Line {
    /// Between what the shortest round trip may be said to be, in microseconds: right to a tenth or half a millisecond.
    /// The rate takes its time too, for the frames by which it can be measured: from SYN and its answer, 74 bytes each,
    /// to a short message over TLS and its confirmation, 256 together.
    fn rtts_us(self) -> RangeInclusive<f64> {
        let with = |bytes: f64| 2000.0 * f64::from(self.delay_ms) + bytes * 8.0 / f64::from(self.mbit);
        let (least, most) = (with(148.0), with(256.0));
        least - (0.1 * least).max(500.0)..=most + (0.1 * most).max(500.0)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} Mbit/s, {} ms, loss {} %", self.mbit, self.delay_ms, self.loss_percent)
    }
}

/// Two programs at the ends of a cable.
struct Ends {
    cable: LaidCable,
    loads: [Process; 2],
}

impl Ends {
    #[track_caller]
    fn new(lab: &Lab, line: Line) -> Self {
        let sites = [lab.site_apart(), lab.site_apart()];
        let is =
            Cable::new().rate_mbit(line.mbit.into()).delay_ms(line.delay_ms.into()).loss_percent(line.loss_percent);
        let cable = lab.cable(&sites[0], &sites[1], is);
        let start = |site: &Site, peer: Option<&Site>| {
            let mut command = site.bound_command(program("lab-load"));
            command.args([Some(site), peer].into_iter().flatten().map(|site| format!("{}:{PORT}", site.address())));
            let load = Process::start("lab-load", command);
            load.wait_for("ready");
            load
        };
        let first = start(&sites[0], None);
        let loads = [first, start(&sites[1], Some(&sites[0]))];
        Self { cable, loads }
    }

    /// What an end says of the link, after it did what it was told.
    #[track_caller]
    fn told(&mut self, end: usize, order: &str) -> Value {
        let mark = self.loads[end].mark();
        self.loads[end].say(order);
        self.answer(end, mark)
    }

    #[track_caller]
    fn answer(&self, end: usize, mark: usize) -> Value {
        let (_, line) = self.loads[end].wait_within(mark, "{", LIMIT);
        serde_json::from_str(&line).expect("JSON")
    }

    /// Waits until the least round trip of the unused link is right.
    #[track_caller]
    fn rest(&mut self, end: usize, rtts_us: &RangeInclusive<f64>) {
        until(&format!("the least round trip is {rtts_us:?} µs"), || {
            let mark = self.loads[end].mark();
            self.loads[end].say("tell");
            let (_, line) = self.loads[end].wait_within(mark, "", LIMIT);
            let row: Value = serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?;
            let said = row["min_rtt_us"].as_f64().ok_or_else(|| row.to_string())?;
            if rtts_us.contains(&said) { Ok(()) } else { Err(row.to_string()) }
        });
    }

    /// Waits until what was queued is there: no full frame for some twenty looks, a second or more.
    #[track_caller]
    fn drain(&mut self) {
        let (mut last, mut quiet) = ([0; 2], 0);
        until("the line is at rest", || {
            let bytes = self.cable.carried().map(|carried| carried.bytes);
            let moved = bytes[0] - last[0] + bytes[1] - last[1];
            (last, quiet) = (bytes, if moved < FULL_FRAME { quiet + 1 } else { 0 });
            if quiet >= 20 { Ok(()) } else { Err(format!("{moved} bytes since the last look")) }
        });
    }

    /// The share of frames with data that did not get there since then.
    #[track_caller]
    fn loss_since(&mut self, before: [Carried; 2], from: usize) -> f64 {
        let now = self.cable.carried();
        let lost = now[from].data_lost - before[from].data_lost;
        let arrived = now[from].data - before[from].data;
        let count = |frames: u64| f64::from(u32::try_from(frames).unwrap_or(u32::MAX));
        count(lost) / count(lost + arrived).max(1.0)
    }
}

/// Whether a figure is within 15 % of the truth.
fn is_near(row: &Value, key: &str, truth: f64) -> bool {
    row[key].as_f64().is_some_and(|said| (said - truth).abs() <= 0.15 * truth)
}

/// Uses both directions of a line, one after the other, and says what was told wrongly.
fn faults(lab: &Lab, line: Line) -> Vec<String> {
    let mut ends = Ends::new(lab, line);
    let mut faults = Vec::new();
    for end in [0, 1] {
        ends.rest(end, &line.rtts_us());
    }
    for from in [0, 1] {
        let before = ends.cable.carried();
        let near = ends.told(from, &format!("send {USE_S}"));
        let (lost, truth) = (near["loss"].as_f64().unwrap_or(1.0), ends.loss_since(before, from));
        let far = ends.told(1 - from, "tell");
        eprintln!(
            "{line}, direction {from}: sent {:.3}, received {:.3} Mbit/s, loss {lost:.4} of {truth:.4}",
            near["goodput_bps"].as_f64().unwrap_or(0.0) / 1e6,
            far["goodput_in_bps"].as_f64().unwrap_or(0.0) / 1e6,
        );
        let bps = 1e6 * f64::from(line.mbit);
        if line.loss_percent == 0.0 && !(is_near(&near, "goodput_bps", bps) && is_near(&far, "goodput_in_bps", bps)) {
            faults.push(format!("{line}, direction {from}: {near} {far}"));
        }
        if (lost - truth).abs() > 0.02 {
            faults.push(format!("{line}, direction {from}: loss {lost} of {truth}"));
        }
        ends.drain();
    }
    faults
}

#[test]
fn what_is_said_of_links_is_what_their_cables_do() {
    let Some(lab) = Lab::with_cables() else { return };
    let clean = |mbit, delay_ms| Line { mbit, delay_ms, loss_percent: 0.0 };
    let lossy = Line { mbit: 10, delay_ms: 20, loss_percent: 4.0 };
    if soak() {
        let lines = [1, 10, 100].into_iter().flat_map(|mbit| [1, 20, 100].map(|delay_ms| clean(mbit, delay_ms)));
        let faults: Vec<String> = lines.chain([lossy]).flat_map(|line| faults(&lab, line)).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        return;
    }
    // Slow lines take little of the processor: they can be used at once.
    let lines = [clean(1, 20), clean(10, 100), clean(10, 1), lossy];
    let faults: Vec<String> = std::thread::scope(|scope| {
        let lab = &lab;
        let used = lines.map(|line| scope.spawn(move || faults(lab, line)));
        used.into_iter().flat_map(|used| used.join().expect("it ends")).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}
