//! What somebody could change, in plain words.

use super::why::{LOSSY, between};
use super::words::{ms, percent, rate, span};
use super::{Facts, NEUTRAL, ago, was_linked};
use crate::report::{AttemptRow, LinkEnds};
use crate::routing::ASSUMED_KBPS;

/// Clocks that differ by more than this are worth setting: signed records are judged by the time.
const CLOCK_WORTH_US: u64 = 5_000_000;

/// What systems say when their own table of routes has none: no packet was sent.
const NO_ROUTE: [&str; 2] = ["Network is unreachable", "unreachable network"];

/// Ends of links that somebody wanted.
const WANTED: [&str; 4] = ["duplicate_link", "not_needed", "revoked", "shutting_down"];

/// What would help, a sentence each.
pub(crate) fn advice(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(ended(facts));
    found.extend(listening(facts));
    found.extend(attempts(facts));
    found.extend(facts.direct.into_iter().chain(facts.links).flat_map(|link| avoided(facts, link)));
    found.extend(lossy(facts));
    found.extend(flapping(facts));
    found.extend(clock(facts));
    found.extend(unmeasured(facts));
    found.extend(single(facts));
    found.dedup();
    found
}

/// A link that was there is missing: who of those that it takes may have died.
fn ended(facts: &Facts<'_>) -> Option<String> {
    let end = facts.ended().filter(|end| !facts.peer.left && !WANTED.contains(&end.outcome))?;
    let name = &facts.peer.name;
    let Some((proxy, linked)) = &facts.proxy else {
        return Some(format!("{}: see whether it runs", was_linked(name, end)));
    };
    let start = format!("the link with {name} through {proxy} ended {} ago ({})", ago(end), end.outcome);
    Some(if *linked {
        format!("{start}, and {proxy} is linked: see whether {name} runs and reaches it")
    } else {
        format!("{start}, and {proxy} is not linked either: see whether it runs")
    })
}

/// Whoever cannot be dialled needs somebody in between.
fn listening(facts: &Facts<'_>) -> Option<String> {
    let name = &facts.peer.name;
    if (facts.peer.direct && !facts.relayed) || facts.peer.left || !facts.peer.addresses.is_empty() {
        return None;
    }
    // Whoever was linked has what it takes.
    if facts.ended().is_some() {
        return None;
    }
    Some(match (facts.listens, facts.views) {
        (false, (true, true)) => format!(
            "this member and {name} are both views: neither listens, so they meet only over others; that is as it should be if one of those is always there"
        ),
        (false, _) => format!(
            "neither this node nor {name} listens: give one of them a listen address that the other reaches, or both a proxy"
        ),
        (true, _) => format!(
            "{name} has no address others can reach: give it a listen address or a proxy, or see that it reaches this node's"
        ),
    })
}

/// What the last attempt at a direct link says about how to make the next one succeed.
fn attempts(facts: &Facts<'_>) -> Option<String> {
    if facts.peer.direct && !facts.relayed {
        return None;
    }
    let is_dial =
        |attempt: &&AttemptRow| !matches!(attempt.transport, "relay" | "inbound") && attempt.lasted_ms.is_none();
    let last = facts.attempts.iter().rfind(is_dial)?;
    let (name, address) = (&facts.peer.name, &last.address);
    match last.outcome {
        "unreachable" if NO_ROUTE.iter().any(|words| last.detail.contains(words)) => Some(format!(
            "this host has no route to {address}: give it one, or both this node and {name} a proxy that they reach"
        )),
        "unreachable" => Some(format!(
            "nothing answers at {address}: see that {name} runs, that this is its address, and that no firewall is in between"
        )),
        "identity_mismatch" => {
            Some(format!("another key than that of {name} answers at {address}: somebody else has that address now"))
        }
        "not_member" | "record_expired" => {
            Some(format!("the membership is not accepted at {address}: have it renewed with config-tool invite"))
        }
        "wrong_network" => Some(format!("the member at {address} is of another network: correct the address")),
        "wrong_version" => Some(format!("the member at {address} speaks another version: update the older one")),
        "tls_failed" | "tls_required" => {
            Some(format!("what answers at {address} is no member, or one with \"plain\" links: correct the address"))
        }
        "too_many_links" => Some(format!("{name} has no room for another link: raise its max_links")),
        "handshake_timeout" | "link_timeout" => {
            Some(format!("{address} takes connections and does not answer: see how busy {name} is"))
        }
        _ => None,
    }
}

fn avoided(facts: &Facts<'_>, link: &LinkEnds) -> Vec<String> {
    let ends = [(&link.there, &link.from_name, &link.to_name), (&link.back, &link.to_name, &link.from_name)];
    let is_on_the_way = facts.links.iter().any(|other| (other.from, other.to) == (link.from, link.to));
    let told = ends.into_iter().filter_map(|(view, author, other)| {
        view.as_ref().filter(|view| view.weight > NEUTRAL)?;
        let although = if is_on_the_way { ", and used all the same because nothing else leads there" } else { "" };
        Some(format!("the link between {author} and {other} is avoided by the configuration of {author}{although}"))
    });
    told.collect()
}

/// Loss that makes a detour faster, or that is on the way.
fn lossy(facts: &Facts<'_>) -> Vec<String> {
    let loss = |link: &LinkEnds| {
        let of = |view: &Option<crate::report::LinkView>| view.as_ref().map_or(0.0, |view| view.loss);
        of(&link.there).max(of(&link.back))
    };
    let Some(best) = facts.best() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(direct) = facts.direct.filter(|direct| best.path.len() > 1 && loss(direct) >= LOSSY) {
        let over: Vec<String> = between(best).iter().map(facts.name_of).collect();
        let (lost, name) = (percent(loss(direct)), &facts.peer.name);
        found.push(format!("loss of {lost} on the link to {name} makes the way over {} faster", over.join(", ")));
    }
    for link in facts.links.iter().filter(|link| loss(link) >= LOSSY) {
        let (from, to, lost) = (&link.from_name, &link.to_name, percent(loss(link)));
        found.push(format!("the link between {from} and {to} loses {lost}: look at the line between them"));
    }
    found
}

fn flapping(facts: &Facts<'_>) -> Option<String> {
    let name = &facts.peer.name;
    facts.damped.then(|| format!("the link to {name} breaks again and again: look at the line, or at its log"))
}

fn clock(facts: &Facts<'_>) -> Option<String> {
    let (offset, error) = facts.clock?;
    let differs = offset.unsigned_abs().saturating_sub(error);
    let name = &facts.peer.name;
    let side = if offset > 0 { "ahead of" } else { "behind" };
    (differs >= CLOCK_WORTH_US).then(|| {
        format!("the clock of {name} is {} {side} this one's: set whichever is wrong", span(offset.unsigned_abs()))
    })
}

/// Links on the way whose cost rests on a guess.
fn unmeasured(facts: &Facts<'_>) -> Vec<String> {
    let is_unknown = |link: &&LinkEnds| link.there.as_ref().is_some_and(|view| view.goodput_bps == 0);
    let told = facts.links.iter().filter(is_unknown).map(|link| {
        let (from, to, guess) = (&link.from_name, &link.to_name, rate(ASSUMED_KBPS * 1_000));
        format!(
            "what the link from {from} to {to} carries was never measured: it counts as {guess} until there is traffic, or a probe if both allow it (routing.probe)"
        )
    });
    told.collect()
}

/// All hangs on one member.
fn single(facts: &Facts<'_>) -> Option<String> {
    let best = facts.best().filter(|best| best.path.len() > 1)?;
    let others = facts.ways.iter().skip(1);
    let always = |hop: &&meshline_protocol::NodeId| others.clone().all(|way| way.path.contains(hop));
    let names: Vec<String> = between(best).iter().filter(always).map(facts.name_of).collect();
    if names.is_empty() {
        return None;
    }
    let (names, name, cost) = (names.join(" and "), &facts.peer.name, ms(best.cost));
    Some(format!("all ways to {name} pass {names} ({cost} at best): another link would keep it reachable without"))
}
