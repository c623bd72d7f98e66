//! The program between two TAP devices: one loop for both directions and for its orders.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tappers::{Interface, linux::Tap};

use super::line::Line;
use super::soft::{Translator, Verdict};
use super::{Cable, Order};

/// Larger than any frame of a device whose MTU nobody raised.
const MAX_FRAME: usize = 2048;

/// Frames taken from one side before the other and the clock are looked at: half a millisecond at a gigabit.
const BATCH: usize = 32;

/// The system wakes a sleeper some microseconds late; the last ones are waited for awake.
const AWAKE: Duration = Duration::from_micros(20);

/// Joins two TAP devices it makes in its network namespace under these names, until its input ends. It says `ready`
/// when they are there; whoever started it moves them to where they belong.
///
/// # Errors
/// If the system allows no TAP devices, or one of them goes.
pub fn run_cable(names: [&str; 2]) -> std::io::Result<()> {
    // Without it every sleep takes up to 50 µs longer.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let [first, second] = names;
    let taps = [open(first)?, open(second)?];
    let now = Instant::now();
    let lines = [Line::new(0, Cable::new(), now), Line::new(1, Cable::new(), now)];
    let mut orders = BufReader::new(File::from(std::io::stdin().as_fd().try_clone_to_owned()?));
    writeln!(std::io::stdout(), "ready")?;
    let mut joint = Joint { taps, lines, nat: None };
    while let Some(ready) = joint.wait(&orders)? {
        if ready && !joint.obey(&mut orders)? {
            return Ok(());
        }
        joint.carry()?;
    }
    Ok(())
}

fn open(name: &str) -> std::io::Result<Tap> {
    let tap = Tap::new_named(Interface::new(name)?)?;
    tap.set_nonblocking(true)?;
    Ok(tap)
}

/// Line 0 goes from tap 0 to tap 1.
struct Joint {
    taps: [Tap; 2],
    lines: [Line; 2],
    /// Tap 1 is inside.
    nat: Option<Translator>,
}

impl Joint {
    /// Waits until something is to be done; whether there are orders, `None` if a device is gone.
    fn wait(&self, orders: &BufReader<File>) -> std::io::Result<Option<bool>> {
        let due = self.lines.iter().filter_map(Line::due).min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()).saturating_sub(AWAKE));
        let left = left.map(|left| Timespec::try_from(left).unwrap_or_default());
        let [first, second] = &self.taps;
        let mut fds = [
            PollFd::new(first, PollFlags::IN),
            PollFd::new(second, PollFlags::IN),
            PollFd::new(orders.get_ref(), PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [first, second, orders] = fds.map(|fd| fd.revents());
        let is_gone = (first | second).contains(PollFlags::ERR);
        Ok((!is_gone).then_some(!orders.is_empty()))
    }

    /// Follows an order; whether there may be more.
    fn obey(&mut self, orders: &mut BufReader<File>) -> std::io::Result<bool> {
        let mut text = String::new();
        if orders.read_line(&mut text)? == 0 {
            return Ok(false);
        }
        match serde_json::from_str(&text)? {
            Order::Tell => {}
            Order::Set { direction, cable } => {
                let lines = self.lines.iter_mut().enumerate();
                lines.filter(|(side, _)| direction.covers(*side)).for_each(|(_, line)| line.set(cable));
            }
            Order::Translate { soft, address } => self.nat = Some(Translator::new(soft, address)),
        }
        let carried = self.lines.each_ref().map(Line::carried);
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&carried)?)?;
        Ok(true)
    }

    fn carry(&mut self) -> std::io::Result<()> {
        let [first, second] = &self.taps;
        let [forth, back] = &mut self.lines;
        let nat = &mut self.nat;
        take(first, |frame, now| {
            if nat.as_mut().is_none_or(|nat| nat.arrives(frame, now)) {
                forth.take(frame, now);
            }
        })?;
        take(second, |frame, now| match nat.as_mut().map_or(Verdict::Pass, |nat| nat.leaves(frame, now)) {
            Verdict::Pass => back.take(frame, now),
            Verdict::Back => forth.take(frame, now),
            Verdict::Drop => {}
        })?;
        for (line, to) in [(forth, second), (back, first)] {
            let now = Instant::now();
            while let Some(frame) = line.poll(now) {
                // A device that is not up takes none, as a host that is off.
                let _ = to.send(&frame);
            }
        }
        Ok(())
    }
}

fn take(tap: &Tap, mut carry: impl FnMut(&mut [u8], Instant)) -> std::io::Result<()> {
    let mut frame = [0; MAX_FRAME];
    for _ in 0..BATCH {
        match tap.recv(&mut frame) {
            Ok(len) => carry(frame.get_mut(..len).unwrap_or_default(), Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
