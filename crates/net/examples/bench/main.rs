//! The figures of one link, each beside its rival in the same run: `bench MODE [--rounds N] [--size N]`.
//!
//! | Mode | `--size` counts | Measures |
//! |---|---|---|
//! | `echo` | echoes a round | a 64-byte echo between two nodes, beside JSON lines over raw TCP |
//! | `oneway` | messages a round | 128-byte messages into a node, beside the same raw loop |
//! | `forward` | frames a round | datagrams over a node in the middle, beside a plain copy of the same bytes |
//! | `tunnel` | MiB a transfer | one stream through a node and direct, beside TLS through a copy and alone |
//! | `relay` | MiB a transfer | a proxy's pipe, beside a copy relay and a splice relay, and memory of a pair |
//! | `fair` | milliseconds a phase | nine members beside one that floods, on one proxy and on a copy relay |
//! | `quic` | MiB a round | a full link over QUIC, beside the same two nodes over TLS and TCP |
//! | `goodput` | nothing; `--rounds` seconds | what a node says of a link that is full |
//! | `idle` | links | memory of a node an idle link, beside bare tokio-rustls |
//! | `handshakes` | handshakes a round | processor time of a handshake with hello, beside bare tokio-rustls |
//!
//! `member`, `udp-send` and `udp-receive` are the ends of a stream whose cables somebody else cuts (`stream.rs`);
//! `pipe`, `tcp-…` and `socks` are the ends of tunnels between hosts (`ends.rs`).
//!
//! The other side is always a second process, this program again with one of the `serve-…` modes. Rounds of
//! meshline and of the rival alternate, because only figures of the same minute compare. The last line that is
//! printed is one JSON object with the result.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures, prints, and stops at the first surprise"
)]

mod child;
mod echo;
mod ends;
mod fairness;
mod figures;
mod forward;
mod goodput;
mod handshakes;
mod idle;
mod member;
mod oneway;
mod placement;
mod quic;
mod raw;
mod relay;
mod stack;
mod stream;
mod tunnel;
mod usage;

use std::os::unix::process::CommandExt;
use std::process::Command;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: usize,
    size: usize,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mode = words.first().map_or("", String::as_str);
    let number = |flag: &str, default: usize| {
        let at = words.iter().position(|word| word == flag);
        at.map_or(default, |at| words[at + 1].parse().expect("a number behind the flag"))
    };
    let text = |flag: &str| words.iter().position(|word| word == flag).map(|at| words[at + 1].as_str());
    let plan = |rounds, size| Plan { rounds: number("--rounds", rounds), size: number("--size", size) };
    match mode {
        "serve-stack" => block_on(stack::serve(number("--max-links", 64), number("--plain", 0) > 0)),
        "serve-proxy" => with_many_files(|| block_on(relay::serve_proxy(number("--relays", 16)))),
        "serve-relay-copy" => with_many_files(|| block_on(relay::serve_copy(text("--to").expect("--to")))),
        "serve-relay-splice" => with_many_files(|| relay::serve_splice(text("--to").expect("--to"))),
        "relay" => with_many_files(|| block_on(relay::run(plan(5, 1_024)))),
        "fair" => with_many_files(|| block_on(fairness::run(plan(5, 3_000)))),
        "serve-copy" => block_on(forward::serve_copy()),
        "serve-tunnel" => block_on(tunnel::serve(text("--middle"))),
        "serve-tcp-copy" => block_on(tunnel::serve_copy(text("--to").expect("--to"))),
        "tunnel" => block_on(tunnel::run(plan(5, 512))),
        "serve-raw" => block_on(raw::serve()),
        "member" => block_on(stream::member(&words)),
        "udp-send" => block_on(stream::udp_send(&words)),
        "udp-receive" => block_on(stream::udp_receive(&words)),
        "pipe" => block_on(ends::pipe(&words)),
        "tcp-echo" => block_on(ends::echo(&words)),
        "tcp-ask" => block_on(ends::ask(&words)),
        "tcp-take" => block_on(ends::take(&words)),
        "tcp-give" => block_on(ends::give(&words)),
        "socks" => block_on(ends::socks(&words)),
        "serve-bare" => block_on(stack::serve_bare()),
        "echo" => block_on(echo::run(plan(5, 2_000))),
        "oneway" => block_on(oneway::run(plan(5, 200_000))),
        "idle" => with_many_files(|| block_on(idle::run(plan(3, 1_000)))),
        "handshakes" => block_on(handshakes::run(plan(5, 490))),
        "goodput" => block_on(goodput::run(plan(5, 0))),
        "quic" => block_on(quic::run(plan(5, 256))),
        "forward" => block_on(forward::run(plan(5, 40_000))),
        _ => {
            println!("usage: bench quic|relay|fair|tunnel|forward|echo|oneway|idle|handshakes [--rounds N] [--size N]")
        }
    }
}

/// One thread, as in the programs.
fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// Starts this program over with as many open files as the system allows, which the children inherit.
fn with_many_files(work: impl FnOnce()) {
    const RAISED: &str = "MESHLINE_BENCH_RAISED";
    if std::env::var_os(RAISED).is_some() {
        return work();
    }
    let program = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n $(ulimit -H -n) && exec \"$0\" \"$@\""]).arg(program).args(std::env::args().skip(1));
    panic!("sh cannot be started: {}", shell.env(RAISED, "1").exec());
}
