//! What a message to all costs and how far it goes, along the tree, flooded, and pushed, on the same links. Prints one JSON
//! object a line.
//!
//! `spread NODES LINKS METHOD MESSAGES [SEED] [--dead PERCENT] [--drop PERCENT] [--delay PERCENT] [--promise PERCENT]
//! [--jitter MS]`
//!
//! Links take 5 ms one way and up to 45 more, or `--jitter`. METHOD is `tree`, `flood` or a number: pushed to so many. The first line is the first message, before there is a tree;
//! the second is all of MESSAGES from random nodes together, one after the other is over; with faults a third and a fourth
//! show the first message after them and the next MESSAGES.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measuring program")]

use meshline_sim::spread::{Conduct, Method, Outcome, Setting, Spread};

fn argument<T: std::str::FromStr>(at: usize, otherwise: T) -> T {
    std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn number(flag: &str) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    arguments.next().map_or(0, |text| text.parse().expect("a number"))
}

fn method() -> Method {
    match std::env::args().nth(3).as_deref() {
        Some("flood") => Method::Flood,
        Some("tree") | None => Method::Tree,
        Some(count) => Method::Push(count.parse().expect("tree, flood or a number")),
    }
}

fn print(what: &str, setting: &Setting, outcomes: &[Outcome]) {
    let count = outcomes.len() as f64;
    let mean = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
    let worst = |of: &dyn Fn(&Outcome) -> u64| outcomes.iter().map(of).max().unwrap_or(0);
    println!(
        "{{\"what\":\"{what}\",\"nodes\":{},\"links\":{},\"method\":\"{:?}\",\"messages\":{},\"missed\":{},\
         \"copies_per_node\":{:.4},\"announced_per_node\":{:.2},\"asked\":{:.1},\"grafts\":{:.1},\"prunes\":{:.1},\"places\":{:.1},\
         \"mean_hops\":{:.2},\"last_hops\":{:.2},\"last_hops_worst\":{},\"last_ms\":{:.0},\"last_ms_worst\":{}}}",
        setting.nodes,
        setting.links,
        setting.method,
        outcomes.len(),
        outcomes.iter().map(|outcome| outcome.alive - outcome.reached).sum::<usize>(),
        mean(&Outcome::copies_per_node),
        mean(&Outcome::announcements_per_node),
        mean(&|outcome| outcome.asked as f64),
        mean(&|outcome| outcome.grafts as f64),
        mean(&|outcome| outcome.prunes as f64),
        mean(&|outcome| outcome.places as f64),
        mean(&|outcome| outcome.mean_hops),
        mean(&|outcome| f64::from(outcome.last_hops)),
        worst(&|outcome| u64::from(outcome.last_hops)),
        mean(&|outcome| outcome.last_us as f64) / 1e3,
        worst(&|outcome| outcome.last_us) / 1_000,
    );
}

fn say(spread: &mut Spread, messages: usize) -> Vec<Outcome> {
    let one = |_| {
        let source = spread.any_honest();
        spread.publish(source)
    };
    (0..messages).map(one).collect()
}

fn main() {
    let messages = argument(4, 100);
    let jitter = if std::env::args().any(|flag| flag == "--jitter") { number("--jitter") } else { 45 };
    let setting = Setting {
        nodes: argument(1, 1_000),
        links: argument(2, 8),
        method: method(),
        seed: argument(5, 1),
        delay: (5_000, jitter * 1_000),
    };
    let mut spread = Spread::new(&setting);
    print("first", &setting, &say(&mut spread, 1));
    // The tree takes its shape with the first few.
    say(&mut spread, 10);
    print("quiet", &setting, &say(&mut spread, messages));
    let (dead, drop, delay, promise) = (number("--dead"), number("--drop"), number("--delay"), number("--promise"));
    if dead + drop + delay + promise > 0 {
        spread.kill(dead);
        spread.corrupt(drop, Conduct::Drops);
        spread.corrupt(delay, Conduct::Delays(5 * meshline_sim::SECOND));
        spread.corrupt(promise, Conduct::Promises);
        print("first after", &setting, &say(&mut spread, 1));
        print("after", &setting, &say(&mut spread, messages));
    }
}
