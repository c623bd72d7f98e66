//! Readings a second that one source tells to one and to ten readers, in turns with `mosquitto_pub` and `mosquitto_sub`
//! over mosquitto (QoS 0). Both sources are fed lines on standard input as fast as they take them, all readers are command
//! lines whose output is counted.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bench::process::{Running, wait};
use crate::bench::ring::Ring;
use crate::bench::scratch::{Scratch, free_ports};
use crate::bench::table::Row;
use crate::bench::{Bench, api, median};

const READERS: &[usize] = &[1, 3, 10];

/// What is said: as long as a small reading with its time.
const LINE: &str = "{\"time\":1795305600,\"value\":21.53}\n";

/// A mosquitto on loopback.
pub(super) struct Broker {
    pub(super) running: Running,
    port: u16,
}

impl Broker {
    /// `None`, said in a line, where there is none.
    pub(super) fn start(scratch: &Scratch) -> Result<Option<Self>, String> {
        let path =
            ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
        let Some(path) = path else {
            println!("skipped: no mosquitto beside it (Debian: mosquitto, mosquitto-clients)");
            return Ok(None);
        };
        let port = free_ports(1)?;
        let file = scratch.path().join("mosquitto.conf");
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n");
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let running = Running::start(Command::new(path).arg("-c").arg(&file))?;
        wait("mosquitto listens", Duration::from_millis(5), || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Some(Self { running, port }))
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", "bench"]);
        command
    }
}

/// Readings a second at a reader, the middle of all, and the share that reached it of what the source took.
struct Seen {
    rate: f64,
    share: f64,
}

/// The lines that a process has printed.
struct Counted {
    lines: Arc<AtomicU64>,
    _running: Running,
}

impl Counted {
    fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("no output")?;
        let lines = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut out = BufReader::with_capacity(256 * 1024, out);
            // It ends with the process.
            while let Ok(chunk) = out.fill_buf()
                && !chunk.is_empty()
            {
                let (length, found) = (chunk.len(), chunk.iter().filter(|byte| **byte == b'\n').count());
                count.fetch_add(found as u64, Ordering::Relaxed);
                out.consume(length);
            }
        });
        Ok(Self { lines, _running: child.into() })
    }

    fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}

/// Feeds a source until told to stop; the lines it took.
fn feed(mut input: ChildStdin, stop: &Arc<AtomicBool>) -> Arc<AtomicU64> {
    let (stop, taken) = (Arc::clone(stop), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&taken);
    let block = LINE.repeat(64);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) && input.write_all(block.as_bytes()).is_ok() {
            count.fetch_add(64, Ordering::Relaxed);
        }
    });
    taken
}

/// A source and its readers, for so many seconds.
fn measure(
    mut source: Command,
    is_there: impl Fn() -> bool,
    readers: Vec<Command>,
    seconds: f64,
) -> Result<Seen, String> {
    source.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = source.spawn().map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let _running = Running::from(child);
    wait("the source is known", Duration::from_millis(50), is_there)?;
    let readers = readers.into_iter().map(Counted::start).collect::<Result<Vec<_>, _>>()?;
    // A line now and then until all of them read.
    wait("all read", Duration::from_millis(200), || {
        input.write_all(LINE.as_bytes()).is_ok() && readers.iter().all(|reader| reader.lines() > 0)
    })?;
    let stop = Arc::new(AtomicBool::new(false));
    let taken = feed(input, &stop);
    std::thread::sleep(Duration::from_millis(500));
    let counts = |_: ()| readers.iter().map(Counted::lines).collect::<Vec<_>>();
    let (began, before, source_before) = (Instant::now(), counts(()), taken.load(Ordering::Relaxed));
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let (passed, after) = (began.elapsed().as_secs_f64(), counts(()));
    let source_rate = (taken.load(Ordering::Relaxed) - source_before) as f64 / passed;
    stop.store(true, Ordering::Relaxed);
    let rates: Vec<f64> = after.iter().zip(before).map(|(after, before)| (after - before) as f64 / passed).collect();
    Ok(Seen { rate: median(&rates), share: median(&rates) / source_rate })
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, true)?;
    let _signal = ring.start_signal()?;
    let _nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let scratch = Scratch::new("readings")?;
    let Some(broker) = Broker::start(&scratch)? else { return Ok(Vec::new()) };
    READERS.iter().take(bench.size(3, 2)).map(|count| beside(bench, &ring, &broker, *count)).collect()
}

/// Whether a node knows the topic, and a way to it.
fn is_known(socket: &Path) -> bool {
    let found = api::document(socket, "/api/v1/services?name=bench");
    found.is_some_and(|body| body.contains("\"bench\"") && !body.contains("\"cost\":null"))
}

fn beside(bench: &Bench, ring: &Ring, broker: &Broker, count: usize) -> Result<Row, String> {
    let seconds = if bench.small { 0.5 } else { 3.0 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds(5, 2) {
        let mut source = Command::new(bench.bin.join("view"));
        source.args(["run", "--topic", "bench", "--stdin", "--config"]).arg(ring.file("view.json"));
        let reader = || {
            let mut command = Command::new(bench.bin.join("node"));
            command.args(["read", "bench", "--follow", "--config"]).arg(ring.file("node-1.json"));
            command
        };
        let socket = ring.socket(1);
        let mesh = measure(source, || is_known(&socket), (0..count).map(|_| reader()).collect(), seconds)?;
        let mut source = broker.client("mosquitto_pub");
        source.arg("-l");
        let rival = measure(source, || true, (0..count).map(|_| broker.client("mosquitto_sub")).collect(), seconds)?;
        println!(
            "{count} readers, round {round}: {:.0}/s ({:.0} % of what was said), mosquitto {:.0}/s ({:.0} %)",
            mesh.rate,
            mesh.share * 100.0,
            rival.rate,
            rival.share * 100.0
        );
        ours.push(mesh);
        theirs.push(rival);
    }
    let of = |all: &[Seen], value: fn(&Seen) -> f64| median(&all.iter().map(value).collect::<Vec<_>>());
    let text = |all: &[Seen]| {
        format!("{:.0}/s each, {:.0} % of what was said", of(all, |s| s.rate), of(all, |s| s.share) * 100.0)
    };
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    let figure = format!("Readings of {} bytes, one view to {count} readers at a node", LINE.len() - 1);
    Ok(Row::new(figure, text(&ours), "").beside(format!("mosquitto, QoS 0: {}", text(&theirs)), median(&ratios)))
}
