//! Large networks by several threads: what nodes do within one window of time is done at once.
//!
//! Nothing that a node sends arrives sooner than the least latency. What happens within a window as short as that is therefore
//! of each node alone: what is due is gathered, every node does its part up to the end of the window, with its own timers
//! in between, and what all of them want done is done afterwards in the order of time and of nodes. How many threads share the
//! work changes nothing of what comes out. (Conservative synchronisation with lookahead: Chandy and Misra, 1979.)

use std::sync::{Arc, Mutex, PoisonError};

use meshline_mesh::{Input as Mesh, LinkId};
use meshline_protocol::Frame;
use meshline_services::{Input, Output, Stack};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::host::Host;
use crate::world::World;

/// Fewer things to do in a window are not worth a thread, which takes as long to wake as some of them.
const WORTH_A_THREAD: usize = 32;

/// Timers that fire so often on end, each within [`SPIN`] microseconds of the one before, show that a node asks to be
/// woken for nothing: two seconds of what a node makes of a time that is past.
const MAX_SPINS: u32 = 2_000;
const SPIN: u64 = 1_000;

/// How inputs reach their nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At once.
    #[default]
    Direct,
    /// They are put down for the nodes, not before this time.
    Gathered(u64),
}

/// The windows of a world, if it has any.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Threads that share the work; 0 where everything is done as it comes.
    threads: usize,
    /// Those beside the one that plays. They stay, and what they allocated with them.
    others: Option<ThreadPool>,
    pub(crate) mode: Mode,
    /// Nodes that have something to do.
    touched: Vec<usize>,
}

/// Something that a node is to handle.
#[derive(Debug)]
pub(crate) struct Errand {
    at: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Input(Input),
    /// A frame, which may still be on its way to others.
    Frame(LinkId, Arc<Frame>),
}

/// What one node wants done after one input.
#[derive(Debug)]
struct Step {
    at: u64,
    node: usize,
    outputs: Vec<Output>,
}

/// What came of a part of the nodes.
#[derive(Debug, Default)]
struct Done {
    steps: Vec<Step>,
    wakes: u64,
}

impl World {
    /// From now on nodes do what is due within the least latency of each other at once, shared by so many threads. What
    /// comes out is the same for any number of them, but not the same as without windows.
    pub fn in_windows(&mut self, threads: usize) {
        self.windows.threads = threads.max(1);
        // Without them this one does all.
        self.windows.others =
            (threads > 1).then(|| ThreadPoolBuilder::new().num_threads(threads - 1).build().ok()).flatten();
    }

    pub(crate) fn has_windows(&self) -> bool {
        self.windows.threads > 0 && self.network.latency.0 > 0
    }

    /// Lets everything happen that is due until a time.
    pub(crate) fn run_windows(&mut self, end: u64) {
        loop {
            let next = self.schedule.next_at().map(|at| at.max(self.now));
            let start = if self.windows.touched.is_empty() { next } else { Some(self.now) };
            let Some(start) = start.filter(|start| *start <= end) else { break };
            let limit = end.min(start + self.network.latency.0 - 1);
            let timers = self.gather(limit);
            let nodes = self.touched();
            let done = self.share(&nodes, limit);
            self.schedule.note_wakes(timers, done.iter().map(|part| part.wakes).sum());
            self.carry_out(done, &nodes, limit);
        }
        self.now = end;
    }

    /// Puts down for each node what is due for it; how many timers there were.
    fn gather(&mut self, limit: u64) -> u64 {
        self.windows.mode = Mode::Gathered(0);
        let mut timers = 0;
        while let Some((at, due)) = self.schedule.pop(limit) {
            self.now = self.now.max(at);
            timers += u64::from(matches!(due, crate::schedule::Due::Timer(_)));
            self.happen(due);
        }
        self.windows.mode = Mode::Direct;
        timers
    }

    /// Puts an input down, if they are gathered; it is handed back otherwise.
    pub(crate) fn put_down(&mut self, node: usize, input: Input) -> Option<Input> {
        let Mode::Gathered(least) = self.windows.mode else { return Some(input) };
        self.put_errand(node, Errand { at: self.now.max(least), what: What::Input(input) });
        None
    }

    /// The same for a frame, which is handed back as its own.
    pub(crate) fn put_frame_down(&mut self, node: usize, link: LinkId, frame: Arc<Frame>) -> Option<Frame> {
        let Mode::Gathered(least) = self.windows.mode else { return Some(owned(frame)) };
        self.put_errand(node, Errand { at: self.now.max(least), what: What::Frame(link, frame) });
        None
    }

    fn put_errand(&mut self, node: usize, errand: Errand) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.errands.push(errand);
            self.windows.touched.push(node);
        }
    }

    /// The timer of a node fires; whether it is left to the window.
    pub(crate) fn leave_timer(&mut self, node: usize) -> bool {
        let is_gathered = self.windows.mode != Mode::Direct;
        if is_gathered {
            self.host_mut(node).timer = None;
            self.windows.touched.push(node);
        }
        is_gathered
    }

    fn touched(&mut self) -> Vec<usize> {
        let mut nodes = std::mem::take(&mut self.windows.touched);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Has the nodes do their part.
    fn share(&mut self, nodes: &[usize], limit: u64) -> Vec<Done> {
        let busy = pick(&mut self.hosts, nodes);
        let all: usize = busy.iter().map(|(_, host)| 1 + host.errands.len()).sum();
        let threads = self.windows.threads.min(all / WORTH_A_THREAD).max(1);
        let queue = Mutex::new(busy.into_iter());
        let mut done: Vec<Done> = (1..threads).map(|_| Done::default()).collect();
        let own = match &self.windows.others {
            Some(others) if threads > 1 => others.in_place_scope(|scope| {
                done.iter_mut().for_each(|done| scope.spawn(|_| *done = work(&queue, limit)));
                work(&queue, limit)
            }),
            _ => work(&queue, limit),
        };
        done.push(own);
        done
    }

    /// Does what they want done.
    fn carry_out(&mut self, done: Vec<Done>, nodes: &[usize], limit: u64) {
        let mut steps: Vec<Step> = done.into_iter().flat_map(|part| part.steps).collect();
        steps.sort_by_key(|step| (step.at, step.node));
        // Whatever a node is given in return reaches it after the window.
        self.windows.mode = Mode::Gathered(limit);
        for step in steps {
            self.now = step.at;
            for output in step.outputs {
                self.output(step.node, output);
            }
        }
        self.windows.mode = Mode::Direct;
        self.now = limit;
        for node in nodes {
            self.set_timer(*node);
        }
    }
}

/// The hosts of some nodes, in order.
fn pick<'a>(hosts: &'a mut [Host], nodes: &[usize]) -> Vec<(usize, &'a mut Host)> {
    let (mut left, mut passed) = (hosts.iter_mut(), 0);
    let one = |node: &usize| {
        let host = left.nth(node - passed)?;
        passed = node + 1;
        Some((*node, host))
    };
    nodes.iter().map_while(one).collect()
}

/// Takes one host after the other, until none is left. None waits long for another thread, however much each has to do.
fn work<'a>(queue: &Mutex<impl Iterator<Item = (usize, &'a mut Host)>>, limit: u64) -> Done {
    let mut done = Done::default();
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    while let Some((node, host)) = next() {
        host.work(node, limit, &mut done);
    }
    done
}
fn owned(frame: Arc<Frame>) -> Frame {
    Arc::try_unwrap(frame).unwrap_or_else(|shared| (*shared).clone())
}

impl Host {
    /// Handles what was put down, and the timers in between, up to a time.
    fn work(&mut self, node: usize, limit: u64, done: &mut Done) {
        let errands = std::mem::take(&mut self.errands);
        let mut now = 0;
        for Errand { at, what } in errands {
            self.wake_until(node, (&mut now, at), done);
            now = now.max(at);
            let input = match what {
                What::Input(input) => input,
                What::Frame(link, frame) => Input::Mesh(Mesh::Frame { link, frame: owned(frame) }),
            };
            self.handle(node, now, input, done);
        }
        self.wake_until(node, (&mut now, limit), done);
    }

    /// Fires the timers that are due by a time.
    fn wake_until(&mut self, node: usize, (now, limit): (&mut u64, u64), done: &mut Done) {
        while let Some(at) = self.due_at(*now).filter(|at| *at <= limit) {
            *now = at;
            self.count_spin(node, at);
            done.wakes += 1;
            self.handle(node, at, Input::Mesh(Mesh::Timeout), done);
        }
    }

    /// When the node wants to be woken, in virtual time, but not before now.
    pub(crate) fn due_at(&self, now: u64) -> Option<u64> {
        let mono = self.stack.as_ref().and_then(Stack::poll_timeout)?;
        Some(now.max(self.booted_at.saturating_add(mono.0)))
    }

    /// # Panics
    /// If the node wants to be woken again and again.
    pub(crate) fn count_spin(&mut self, node: usize, at: u64) {
        self.spins = if at.saturating_sub(self.spun_at) <= SPIN { self.spins + 1 } else { 0 };
        self.spun_at = at;
        assert!(self.spins < MAX_SPINS, "node {node} wants to be woken again and again at {at}");
    }

    fn handle(&mut self, node: usize, at: u64, input: Input, done: &mut Done) {
        let now = self.now(at);
        let Some(stack) = self.stack.as_mut() else { return };
        stack.handle_input(input, now);
        let mut outputs = Vec::new();
        while let Some(output) = stack.poll_output() {
            match output {
                Output::Keep { ticket, write } if self.disk.delay == 0 => {
                    self.disk.put(ticket, write);
                    let Some(ticket) = ticket else { continue };
                    let result = self.disk.flush(ticket);
                    stack.handle_input(Input::Kept { ticket, result }, now);
                }
                other @ (Output::Mesh(_) | Output::Reply { .. } | Output::Keep { .. } | Output::Event(_)) => {
                    outputs.push(other);
                }
            }
        }
        if !outputs.is_empty() {
            done.steps.push(Step { at, node, outputs });
        }
    }
}
