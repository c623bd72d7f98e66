//! An outcome for people.

use std::fmt::Write;

use super::outcome::{MessageRow, Outcome, StateRow};

/// The outcome as tables.
#[must_use]
pub fn print(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, outcome);
    text
}

fn write(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Outcome { about, nodes, max_links, seed, .. } = outcome;
    writeln!(out, "{about}\n{nodes} nodes, {max_links} links each, seed {seed}\n")?;
    writeln!(out, "{:<44} {:>9} {:>11} {:>7} {:>7}", "one mesh after", "from", "took", "nodes", "pieces")?;
    for row in &outcome.recoveries {
        let took = row.whole_s.map_or_else(|| "never".to_owned(), |s| format!("{s:.1} s"));
        writeln!(out, "{:<44} {:>7.0} s {took:>11} {:>7} {:>7}", row.what, row.from_s, row.nodes, row.pieces)?;
    }
    if !outcome.messages.is_empty() {
        writeln!(
            out,
            "\n{:<16} {:>9} {:>14} {:>8} {:>18} {:>26}",
            "messages", "reached", "copies (most)", "repairs", "hops / last / most", "p50 / p99 / last, ms"
        )?;
        outcome.messages.iter().try_for_each(|row| message(out, row))?;
    }
    if let Some(rest) = &outcome.rest {
        writeln!(
            out,
            "\nat rest, a node and minute: {:.0} bytes, {:.1} frames",
            rest.bytes_a_minute, rest.frames_a_minute
        )?;
        for (kind, (frames, bytes)) in &rest.kinds {
            writeln!(out, "  {kind:<28} {frames:>10.2} frames {bytes:>12.0} bytes")?;
        }
    }
    if let Some(state) = &outcome.state {
        writeln!(
            out,
            "\na node holds (of {} asked): {:.0} members (at most {}), {:.0} advertisements (at most {}), {:.0} ways",
            state.sampled,
            state.members_mean,
            state.members_most,
            state.advertisements_mean,
            state.advertisements_most,
            state.routes_mean
        )?;
        writeln!(out, "links: {} to {}, {:.1} on average", state.links_least, state.links_most, state.links_mean)?;
        honest_links(out, state)?;
    }
    writeln!(out, "\n{:.0} s, {} events, digest {}", outcome.virtual_s, outcome.events, outcome.digest)?;
    if let Some(machine) = &outcome.machine {
        let mib = machine.peak_rss_bytes / (1 << 20);
        writeln!(out, "{:.1} s of processor, {:.1} s on the wall, {mib} MiB at most", machine.cpu_s, machine.wall_s)?;
    }
    match outcome.broken.as_slice() {
        [] => writeln!(out, "everything held"),
        broken => broken.iter().try_for_each(|sentence| writeln!(out, "BROKEN: {sentence}")),
    }
}

fn honest_links(out: &mut String, state: &StateRow) -> std::fmt::Result {
    let rows = [
        ("links to honest nodes", state.honest_least, state.honest_mean),
        ("those that a node made itself", state.own_honest_least, state.own_honest_mean),
    ];
    for (what, least, mean) in rows {
        if let (Some(least), Some(mean)) = (least, mean) {
            writeln!(out, "{what}: {least} at least, {mean:.1} on average")?;
        }
    }
    Ok(())
}

fn message(out: &mut String, row: &MessageRow) -> std::fmt::Result {
    writeln!(
        out,
        "{:<16} {:>7.2} % {:>14} {:>8.3} {:>18} {:>26}",
        format!("{} at {} s", row.count, row.at_s),
        row.coverage_percent,
        format!("{:.3} ({:.3})", row.copies_mean, row.copies_most),
        row.repairs_mean,
        format!("{:.1} / {:.1} / {}", row.hops_mean, row.hops_last_mean, row.hops_most),
        format!("{:.0} / {:.0} / {:.0}", row.p50_ms, row.p99_ms, row.last_ms),
    )?;
    let frames: Vec<String> = row.frames.iter().map(|(kind, frames)| format!("{kind} {frames:.3}")).collect();
    if frames.is_empty() { Ok(()) } else { writeln!(out, "  frames a message and node: {}", frames.join(", ")) }
}
