//! What one member that floods takes from nine that want little of the same proxy, and what each gets if all want as much as
//! there is; beside the same through a copy relay, which knows nothing of members.
//!
//! The ends are plain sockets, as in `relay`: what is measured is whose turn it is in the proxy.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Plan;
use crate::child::Served;
use crate::figures::{median, percentile, rounded};
use crate::relay::through_proxy;

/// Members that want little, each with a partner of its own.
const HONEST: u32 = 9;

/// Streams of the one that floods, each to another partner.
const STREAMS: u32 = 8;

/// What one of the nine asks for, how often, and what it gets: half of a megabit in a tenth of a second.
const QUESTION: usize = 64;
const EVERY: Duration = Duration::from_millis(10);
const ANSWER: usize = 64 * 1024;

/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;

/// After so long without a byte a phase that was ended is over.
const SILENCE: Duration = Duration::from_millis(300);

type Ends = (StdStream, StdStream);

/// All pairs of one relay.
struct Crowd {
    honest: Vec<Ends>,
    flood: Vec<Ends>,
}

/// What the nine had of a phase.
#[derive(Default)]
struct Light {
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    mbit: Vec<f64>,
}

pub(crate) async fn run(plan: Plan) {
    let proxy = Served::start(&["serve-proxy", "--relays", "32"]);
    let ours = Crowd { honest: pairs(&proxy, 2, false).await, flood: pairs(&proxy, 1, true).await };
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let copy = Served::start(&["serve-relay-copy", "--to", &to]);
    let plain = |count: u32| (0..count).map(|_| plain_pair(&copy, &listener)).collect();
    let rival = Crowd { honest: plain(HONEST), flood: plain(STREAMS) };
    let crowds = [("proxy", ours), ("copy", rival)];
    crowds.iter().for_each(|(_, crowd)| crowd.prepare());
    let span = Duration::from_millis(u64::try_from(plan.size).unwrap());
    let mut figures = crowds.each_ref().map(|_| ([Light::default(), Light::default()], Vec::new()));
    for round in 0..plan.rounds {
        for turn in 0..crowds.len() {
            let at = (turn + round) % crowds.len();
            let crowd = &crowds[at].1;
            for (nth, with_flood) in [false, true].into_iter().enumerate() {
                figures[at].0[nth].note(crowd.light(with_flood, span));
            }
            figures[at].1.push(crowd.greedy(span));
        }
    }
    report(crowds.each_ref().map(|(name, _)| *name).into_iter().zip(figures));
}

/// Pairs through the proxy: of members of their own, or all of them of the first one.
async fn pairs(proxy: &Served, first: u32, of_one: bool) -> Vec<Ends> {
    let mut all = Vec::new();
    let (count, partners) = if of_one { (STREAMS, 100) } else { (HONEST, 200) };
    for nth in 0..count {
        let member = if of_one { first } else { first + nth };
        all.push(through_proxy(proxy, [member, partners + nth]).await);
    }
    all
}

fn plain_pair(copy: &Served, listener: &StdListener) -> Ends {
    (StdStream::connect(copy.address).unwrap(), listener.accept().unwrap().0)
}

impl Crowd {
    fn prepare(&self) {
        for (near, far) in self.honest.iter().chain(&self.flood) {
            for end in [near, far] {
                end.set_nodelay(true).unwrap();
                end.set_read_timeout(Some(SILENCE)).unwrap();
            }
        }
    }

    /// The nine ask and are answered for a while, beside the flood or without it: times in microseconds, and Mbit/s of all.
    fn light(&self, with_flood: bool, span: Duration) -> (Vec<u64>, f64) {
        let (stop, times) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for (near, far) in self.flood.iter().filter(|_| with_flood) {
                scope.spawn(|| give(near, &stop));
                scope.spawn(|| take(far, &stop));
            }
            for (near, far) in &self.honest {
                scope.spawn(|| answer(far, &stop));
                scope.spawn(|| {
                    let asked = ask(near, span);
                    times.lock().unwrap().extend(asked);
                });
            }
            thread::sleep(span);
            stop.store(true, Ordering::Relaxed);
        });
        let times = times.into_inner().unwrap();
        let mbit = (times.len() * ANSWER) as f64 * 8.0 / span.as_secs_f64() / 1e6;
        (times, mbit)
    }

    /// All give as much as goes: how many times as much as one of the nine the one with several streams gets.
    fn greedy(&self, span: Duration) -> f64 {
        let stop = AtomicBool::new(false);
        let [flood, honest] = [AtomicU64::new(0), AtomicU64::new(0)];
        thread::scope(|scope| {
            for (ends, count) in [(&self.flood, &flood), (&self.honest, &honest)] {
                for (near, far) in ends {
                    scope.spawn(|| give(near, &stop));
                    scope.spawn(|| count.fetch_add(take(far, &stop), Ordering::Relaxed));
                }
            }
            thread::sleep(span);
            stop.store(true, Ordering::Relaxed);
        });
        let of = |count: AtomicU64| count.into_inner() as f64;
        of(flood) * f64::from(HONEST) / of(honest)
    }
}

fn give(mut to: &StdStream, stop: &AtomicBool) {
    let piece = vec![5; PIECE];
    while !stop.load(Ordering::Relaxed) {
        to.write_all(&piece).unwrap();
    }
}

/// Takes until there is nothing more after the end of the phase; how much came before it.
fn take(mut from: &StdStream, stop: &AtomicBool) -> u64 {
    let (mut piece, mut taken) = (vec![0; 4 * PIECE], 0);
    loop {
        match from.read(&mut piece) {
            Ok(0) => panic!("a pipe ended"),
            Ok(count) if !stop.load(Ordering::Relaxed) => taken += count as u64,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && stop.load(Ordering::Relaxed) => return taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("a pipe broke: {error}"),
        }
    }
}

fn answer(mut far: &StdStream, stop: &AtomicBool) {
    let (mut question, answer) = ([0; QUESTION], vec![7; ANSWER]);
    let mut filled = 0;
    loop {
        match far.read(&mut question[filled..]) {
            Ok(0) => panic!("a pipe ended"),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock && stop.load(Ordering::Relaxed) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("a pipe broke: {error}"),
        }
        if filled == QUESTION {
            far.write_all(&answer).unwrap();
            filled = 0;
        }
    }
}

/// Asks at a steady pace; whoever is late asks at once, and leaves none out that fits.
fn ask(mut near: &StdStream, span: Duration) -> Vec<u64> {
    let (mut answer, began) = (vec![0; ANSWER], Instant::now());
    // A slow answer is a figure, not an end.
    near.set_read_timeout(None).unwrap();
    let (mut times, mut due) = (Vec::new(), Duration::ZERO);
    while due < span && began.elapsed() < span {
        thread::sleep(due.saturating_sub(began.elapsed()));
        let asked = Instant::now();
        near.write_all(&[1; QUESTION]).unwrap();
        near.read_exact(&mut answer).unwrap();
        times.push(u64::try_from(asked.elapsed().as_micros()).unwrap());
        due += EVERY;
    }
    near.set_read_timeout(Some(SILENCE)).unwrap();
    times
}

impl Light {
    fn note(&mut self, (mut times, mbit): (Vec<u64>, f64)) {
        self.p50_us.push(percentile(&mut times, 0.5));
        self.p99_us.push(percentile(&mut times, 0.99));
        self.mbit.push(mbit);
    }

    fn row(&self) -> Value {
        let of = |values: &Vec<f64>| rounded(median(values.iter().copied()), 1);
        json!({ "p50_us": of(&self.p50_us), "p99_us": of(&self.p99_us), "mbit": of(&self.mbit) })
    }
}

fn report(figures: impl Iterator<Item = (&'static str, ([Light; 2], Vec<f64>))>) {
    let mut result = serde_json::Map::new();
    for (name, ([alone, flooded], parts)) in figures {
        let part = rounded(median(parts), 2);
        let row = json!({ "alone": alone.row(), "flooded": flooded.row(), "part": part });
        println!("{name:6} {row}");
        result.insert(name.to_owned(), row);
    }
    println!("{}", Value::Object(result));
}
