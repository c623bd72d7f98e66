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
use std::thread::JoinHandle;
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

impl Seen {
    fn words(&self) -> String {
        format!("{:.0}/s each, {:.0} % of what was said", self.rate, self.share * 100.0)
    }
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

/// A process that tells what it reads.
struct Source {
    input: Option<ChildStdin>,
    _running: Running,
}

impl Source {
    fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let input = child.stdin.take();
        Ok(Self { input, _running: Running::from(child) })
    }

    fn say(&mut self, text: &str) -> bool {
        self.input.as_mut().is_some_and(|input| input.write_all(text.as_bytes()).is_ok())
    }

    /// Says as much as it takes until told to stop.
    fn feed(&mut self) -> Feed {
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count, mut input) = (Arc::clone(&stop), Arc::clone(&taken), self.input.take());
        let block = LINE.repeat(64);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed)
                && input.as_mut().is_some_and(|input| input.write_all(block.as_bytes()).is_ok())
            {
                count.fetch_add(64, Ordering::Relaxed);
            }
            input
        });
        Feed { stop, taken, thread }
    }
}

/// Lines on their way to a source.
struct Feed {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    thread: JoinHandle<Option<ChildStdin>>,
}

impl Feed {
    fn end(self) -> Option<ChildStdin> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().flatten()
    }
}

/// A source and its readers, for so many seconds.
fn measure(source: &mut Source, readers: Vec<Command>, seconds: f64) -> Result<Seen, String> {
    let readers = readers.into_iter().map(Counted::start).collect::<Result<Vec<_>, _>>()?;
    // A line now and then until all of them read.
    wait("all read", Duration::from_millis(200), || {
        source.say(LINE) && readers.iter().all(|reader| reader.lines() > 0)
    })?;
    let feed = source.feed();
    std::thread::sleep(Duration::from_millis(500));
    let counts = || readers.iter().map(Counted::lines).collect::<Vec<_>>();
    let (began, before, source_before) = (Instant::now(), counts(), feed.taken.load(Ordering::Relaxed));
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let (passed, after) = (began.elapsed().as_secs_f64(), counts());
    let source_rate = (feed.taken.load(Ordering::Relaxed) - source_before) as f64 / passed;
    source.input = feed.end();
    let rates: Vec<f64> = after.iter().zip(before).map(|(after, before)| (after - before) as f64 / passed).collect();
    Ok(Seen { rate: median(&rates), share: median(&rates) / source_rate })
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, true)?;
    let _signal = ring.start_signal()?;
    let _nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let scratch = Scratch::new("readings")?;
    let mut source = Command::new(bench.bin.join("view"));
    source.args(["run", "--topic", "bench", "--stdin", "--config"]).arg(ring.file("view.json"));
    let mut source = Source::start(source)?;
    let mut rival = Broker::start(&scratch)?.map(Rival::start).transpose()?;
    let socket = ring.socket(1);
    wait("the topic is known", Duration::from_millis(50), || is_known(&socket, "bench"))?;
    let counts = READERS.iter().take(bench.size(READERS.len(), 2));
    counts.map(|count| beside(bench, &ring, (&mut source, rival.as_mut()), *count)).collect()
}

/// A mosquitto and what speaks to it.
struct Rival {
    broker: Broker,
    source: Source,
}

impl Rival {
    fn start(broker: Broker) -> Result<Self, String> {
        let mut source = broker.client("mosquitto_pub");
        source.arg("-l");
        Ok(Self { source: Source::start(source)?, broker })
    }

    fn measure(&mut self, count: usize, seconds: f64) -> Result<Seen, String> {
        let readers = (0..count).map(|_| self.broker.client("mosquitto_sub")).collect();
        measure(&mut self.source, readers, seconds)
    }
}

/// Whether a node knows the topic, and a way to it.
pub(super) fn is_known(socket: &Path, topic: &str) -> bool {
    let found = api::document(socket, &format!("/api/v1/services?name={topic}"));
    found.is_some_and(|body| body.contains("\"member\"") && !body.contains("\"cost\":null"))
}

fn beside(
    bench: &Bench,
    ring: &Ring,
    (source, mut rival): (&mut Source, Option<&mut Rival>),
    count: usize,
) -> Result<Row, String> {
    let seconds = if bench.small { 0.5 } else { 2.0 };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds(5, 2) {
        let reader = || {
            let mut command = Command::new(bench.bin.join("node"));
            command.args(["read", "bench", "--follow", "--config"]).arg(ring.file("node-1.json"));
            command
        };
        let mesh = measure(source, (0..count).map(|_| reader()).collect(), seconds)?;
        println!("{count} readers, round {round}: {}", mesh.words());
        ours.push(mesh);
        if let Some(rival) = &mut rival {
            let seen = rival.measure(count, seconds)?;
            println!("{count} readers, round {round}, mosquitto: {}", seen.words());
            theirs.push(seen);
        }
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    let figure = format!("Readings of {} bytes, one view to {count} readers at a node", LINE.len() - 1);
    let row = Row::new(figure, middle(&ours).words(), "");
    if theirs.is_empty() {
        return Ok(row);
    }
    Ok(row.beside(format!("mosquitto, QoS 0: {}", middle(&theirs).words()), median(&ratios)))
}

fn middle(all: &[Seen]) -> Seen {
    let of = |value: fn(&Seen) -> f64| median(&all.iter().map(value).collect::<Vec<_>>());
    Seen { rate: of(|seen| seen.rate), share: of(|seen| seen.share) }
}
