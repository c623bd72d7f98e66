//! How the way in use compares with the others.

use meshline_protocol::NodeId;

use super::words::{more, ms, percent, rate};
use super::{Facts, NEUTRAL};
use crate::report::{LinkEnds, LinkView, RouteRow};

/// A link that loses more than this is told about: below it, a lost message is chance.
pub(super) const LOSSY: f64 = 0.01;

/// A part of the cost that makes this share of it, in per cent, is the reason for it.
const MAIN_PERCENT: u64 = 40;

/// Why the way is as it is, a sentence a reason, the most important first.
pub(crate) fn why(facts: &Facts<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    match facts.best() {
        Some(best) => {
            reasons.push(best_way(facts, best));
            reasons.extend(steered(facts, best));
            reasons.push(next_best(facts, best));
            reasons.extend(direct_unused(facts, best));
        }
        None => reasons.push(no_way(facts)),
    }
    reasons.extend(one_sided(facts));
    reasons.extend(damped(facts));
    reasons.extend(facts.links.iter().flat_map(weights));
    reasons
}

fn best_way(facts: &Facts<'_>, best: &RouteRow) -> String {
    let cost = ms(best.cost);
    if let (1, Some(name)) = (best.path.len(), facts.through_name()) {
        return format!(
            "the link through {name}'s exit is used, as the configuration says (via): a message is expected to take {cost}"
        );
    }
    match best.path.len() {
        1 if facts.relayed => format!("the link through a proxy is used: a message is expected to take {cost}"),
        1 => format!("the direct link is used: a message is expected to take {cost}"),
        _ => {
            let links = facts.links.iter().map(|link| {
                let cost = link.cost.map_or_else(|| "unknown".to_owned(), ms);
                format!("{} to {} {cost}", link.from_name, link.to_name)
            });
            let over = facts.over(best);
            format!("the way over {over} is used: {cost} expected ({})", links.collect::<Vec<_>>().join(", "))
        }
    }
}

fn steered(facts: &Facts<'_>, best: &RouteRow) -> Option<String> {
    let through = facts.steered?;
    let name = (facts.name_of)(&through);
    Some(if best.path.first() == Some(&through) {
        format!("the configuration wants it reached through {name} (routing.via)")
    } else {
        format!("the configuration wants it reached through {name} (routing.via), but there is no way over {name} now")
    })
}

fn next_best(facts: &Facts<'_>, best: &RouteRow) -> String {
    let Some(next) = facts.ways.get(1) else { return "there is no other way".to_owned() };
    let way = match next.path.len() {
        1 => "the direct link".to_owned(),
        _ => format!("the way over {}", facts.over(next)),
    };
    let (cost, than) = (ms(next.cost), ms(best.cost));
    if next.cost < best.cost {
        format!("{way} would take {cost} instead of {than}, and is the spare one")
    } else {
        format!("the next best, {way}, would take {cost} instead of {than}: {}", more(best.cost, next.cost))
    }
}

/// The direct link is there and another way is taken.
fn direct_unused(facts: &Facts<'_>, best: &RouteRow) -> Option<String> {
    let direct = facts.direct.filter(|_| best.path.len() > 1)?;
    let (cost, view) = (direct.cost?, direct.there.as_ref()?);
    let name = &facts.peer.name;
    Some(format!("the direct link to {name} would take {}{}", ms(cost), main_reason(view)))
}

/// What makes a link as dear as it is.
fn main_reason(view: &LinkView) -> String {
    let plain = view.cost.saturating_mul(u64::from(NEUTRAL)) / u64::from(view.weight.max(1));
    if view.weight > NEUTRAL {
        return format!(", because it is to be avoided: that makes {} of {}", ms(view.cost), ms(plain));
    }
    if view.loss >= LOSSY {
        return format!(", because it loses {}", percent(view.loss));
    }
    let is_main = |part: u64| part.saturating_mul(100) >= plain.saturating_mul(MAIN_PERCENT);
    if is_main(view.rtt_us / 2) {
        return format!(", because its round trip takes {}", ms(view.rtt_us));
    }
    if view.goodput_bps > 0 {
        return format!(", because it brings {}", rate(view.goodput_bps));
    }
    String::new()
}

fn no_way(facts: &Facts<'_>) -> String {
    let name = &facts.peer.name;
    if facts.peer.left {
        format!("{name} said goodbye")
    } else if facts.advertises {
        format!("no chain of links that both of their ends claim leads to {name}")
    } else {
        format!("{name} has told nobody here of its links")
    }
}

/// Only one end claims the direct link.
fn one_sided(facts: &Facts<'_>) -> Option<String> {
    let direct = facts.direct.filter(|direct| direct.cost.is_none())?;
    let (claims, not) = match (&direct.there, &direct.back) {
        (Some(_), None) => (&direct.from_name, &direct.to_name),
        (None, Some(_)) => (&direct.to_name, &direct.from_name),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let relayed = facts.relayed || facts.ended().is_some_and(|end| end.transport == "relay");
    let link = if relayed { "link through a proxy" } else { "direct link" };
    Some(format!("only {claims} claims the {link} and {not} does not: it does not count"))
}

fn damped(facts: &Facts<'_>) -> Option<String> {
    let name = &facts.peer.name;
    facts.damped.then(|| format!("the direct link to {name} came and went too often: it is kept out of the ways until it has been steady for a while"))
}

/// What the ends of a link on the way would rather have.
fn weights(link: &LinkEnds) -> Vec<String> {
    let ends = [(&link.there, &link.from_name, &link.to_name), (&link.back, &link.to_name, &link.from_name)];
    let told = ends.into_iter().filter_map(|(view, author, other)| {
        let weight = view.as_ref()?.weight;
        match weight {
            NEUTRAL => None,
            0..NEUTRAL => Some(format!("{author} prefers its link to {other}: it counts {weight} % of its cost")),
            _ => Some(format!("{author} avoids its link to {other}: it counts {weight} % of its cost")),
        }
    });
    told.collect()
}

/// The members that a way passes in between.
pub(super) fn between(way: &RouteRow) -> &[NodeId] {
    way.path.split_last().map_or(&[], |(_, between)| between)
}
