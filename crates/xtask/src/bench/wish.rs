//! What somebody who runs a benchmark asks for, by its words.

use super::{FIGURES, Figure, chat, crowd, ledger, ledger_net, proxy, routing, services, signal, tunnel};

const USAGE: &str = "usage: cargo xtask bench mesh|crowd|chat|routing|tunnel|proxy|signal|services|ledger|ledger-net [--small] [--rounds N] [--bin FOLDER], \
                     routing also with --outages N or --alone N, tunnel, services, ledger and \
                     ledger-net with --only PART[,PART], ledger-net with --blocks N and --chain FOLDER, tunnel with --beside RIVAL[,RIVAL]; or bench nat";

/// What is to be measured, and how.
pub(super) struct Wish<'a> {
    pub(super) what: &'a str,
    pub(super) figures: Vec<Figure>,
    pub(super) small: bool,
    pub(super) rounds: Option<usize>,
    /// Blocks of a chain.
    pub(super) blocks: Option<usize>,
    /// Where a chain is kept from one run to the next.
    pub(super) chain: Option<&'a str>,
    /// The folder with programs that are built already.
    pub(super) bin: Option<&'a str>,
    /// Nobody is measured beside the mesh.
    pub(super) alone: bool,
    /// The rivals to measure, if not all.
    pub(super) rivals: Option<&'a str>,
}

/// Reads the words behind `bench`.
pub(super) fn read(words: &[String]) -> Result<Wish<'_>, String> {
    let (what, rest) = words.split_first().ok_or(USAGE)?;
    let figures = match what.as_str() {
        "mesh" => FIGURES.to_vec(),
        "crowd" => crowd::FIGURES.to_vec(),
        "chat" => chat::FIGURES.to_vec(),
        "routing" => routing::FIGURES.to_vec(),
        "proxy" => proxy::FIGURES.to_vec(),
        "signal" => signal::FIGURES.to_vec(),
        "tunnel" => tunnel::PARTS.iter().map(|(_, figure)| *figure).collect(),
        "services" => services::PARTS.iter().map(|(_, figure)| *figure).collect(),
        "ledger" => ledger::PARTS.iter().map(|(_, figure)| *figure).collect(),
        "ledger-net" => ledger_net::PARTS.iter().map(|(_, figure)| *figure).collect(),
        _ => return Err(USAGE.to_owned()),
    };
    let mut wish = Wish {
        what,
        figures,
        small: false,
        rounds: None,
        blocks: None,
        chain: None,
        bin: None,
        alone: false,
        rivals: None,
    };
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "--small" => wish.small = true,
            "--rounds" => wish.rounds = Some(rounds(rest.next().ok_or(USAGE)?)?),
            "--outages" | "--alone" if what == "routing" => {
                wish.figures = routing::OUTAGES.to_vec();
                wish.rounds = Some(rounds(rest.next().ok_or(USAGE)?)?);
                wish.alone = word == "--alone";
            }
            "--bin" => wish.bin = Some(rest.next().ok_or(USAGE)?),
            "--beside" if what == "tunnel" => wish.rivals = Some(rest.next().ok_or(USAGE)?),
            "--only" if what == "tunnel" => wish.figures = parts(tunnel::PARTS, rest.next().ok_or(USAGE)?)?,
            "--only" if what == "services" => wish.figures = parts(services::PARTS, rest.next().ok_or(USAGE)?)?,
            "--only" if what == "ledger" => wish.figures = parts(ledger::PARTS, rest.next().ok_or(USAGE)?)?,
            "--only" if what == "ledger-net" => wish.figures = parts(ledger_net::PARTS, rest.next().ok_or(USAGE)?)?,
            "--chain" if what == "ledger-net" => wish.chain = Some(rest.next().ok_or(USAGE)?),
            "--blocks" if what == "ledger-net" => wish.blocks = Some(blocks(rest.next().ok_or(USAGE)?)?),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(wish)
}

/// At least one, and no more than pass in a night.
fn rounds(count: &str) -> Result<usize, String> {
    count.parse().ok().filter(|count| (1..=500).contains(count)).ok_or_else(|| format!("no count of rounds: {count}"))
}

/// Fewer than a disk of today holds five times.
fn blocks(count: &str) -> Result<usize, String> {
    let blocks = count.parse().ok().filter(|count| (2..=1_000_000).contains(count));
    blocks.ok_or_else(|| format!("no count of blocks: {count}"))
}

fn parts(all: &[(&str, Figure)], names: &str) -> Result<Vec<Figure>, String> {
    let known: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let find = |name| {
        let part = all.iter().find(|(known, _)| *known == name);
        part.map(|(_, figure)| *figure).ok_or_else(|| format!("no part {name}; there are {}", known.join(", ")))
    };
    names.split(',').map(find).collect()
}
