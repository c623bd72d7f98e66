//! Curves of cost against the number of nodes, as SVG: plain shapes and text, readable on light and dark.

use std::fmt::Write;

use super::outcome::Outcome;

/// A curve: its name and what it shows of an outcome.
type Curve = (&'static str, fn(&Outcome) -> Option<f64>);

/// A chart that can be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// How it is asked for.
    pub name: &'static str,
    title: &'static str,
    unit: &'static str,
    curves: &'static [Curve],
}

/// The charts there are.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "control",
        title: "What a node sends at rest",
        unit: "bytes a minute",
        curves: &[
            ("all", |outcome| Some(outcome.rest.as_ref()?.bytes_a_minute)),
            ("time", |outcome| kinds(outcome, "time")),
            ("gossip", |outcome| kinds(outcome, "gossip")),
            ("routing", |outcome| kinds(outcome, "routing")),
            ("addresses", |outcome| kinds(outcome, "peers")),
        ],
    },
    Figure {
        name: "state",
        title: "What a node holds",
        unit: "entries",
        curves: &[
            ("members", |outcome| Some(outcome.state.as_ref()?.members_mean)),
            ("advertisements", |outcome| Some(outcome.state.as_ref()?.advertisements_mean)),
            ("ways", |outcome| Some(outcome.state.as_ref()?.routes_mean)),
        ],
    },
    Figure {
        name: "copies",
        title: "Copies of a message for each node it reached",
        unit: "copies",
        curves: &[
            ("on average", |outcome| Some(outcome.messages.first()?.copies_mean)),
            ("the worst message", |outcome| Some(outcome.messages.first()?.copies_most)),
        ],
    },
    Figure {
        name: "hops",
        title: "Links on the way of a message",
        unit: "links",
        curves: &[
            ("to the last node at most", |outcome| Some(f64::from(outcome.messages.first()?.hops_most))),
            ("to the last node", |outcome| Some(outcome.messages.first()?.hops_last_mean)),
            ("on average", |outcome| Some(outcome.messages.first()?.hops_mean)),
        ],
    },
    Figure {
        name: "cpu",
        title: "Processor time that a simulated node takes in a minute",
        unit: "milliseconds",
        curves: &[("all of the run", |outcome| {
            Some(outcome.machine?.cpu_s * 1e3 * 60.0 / (outcome.nodes as f64 * outcome.virtual_s))
        })],
    },
    Figure {
        name: "memory",
        title: "Memory that a simulated node takes at most",
        unit: "KiB",
        curves: &[("all of the program", |outcome| {
            Some(outcome.machine?.peak_rss_bytes as f64 / (1_024.0 * outcome.nodes as f64))
        })],
    },
    Figure {
        name: "recovery",
        title: "Until those that lived are one mesh again",
        unit: "seconds",
        curves: &[
            ("the start", |outcome| recovery(outcome, "the start")),
            ("after the fault", |outcome| outcome.recoveries.get(1)?.whole_s),
        ],
    },
];

fn kinds(outcome: &Outcome, prefix: &str) -> Option<f64> {
    let kinds = &outcome.rest.as_ref()?.kinds;
    let of_prefix = kinds.iter().filter(|(kind, _)| kind.split('.').next() == Some(prefix));
    let bytes: f64 = of_prefix.map(|(_, (_, bytes))| bytes).sum();
    (bytes > 0.0).then_some(bytes)
}

fn recovery(outcome: &Outcome, what: &str) -> Option<f64> {
    outcome.recoveries.iter().find(|row| row.what == what)?.whole_s
}

/// The size of the picture and of the margins around the curves: left, top, right, bottom.
const SIZE: (f64, f64) = (720.0, 400.0);
const MARGIN: [f64; 4] = [80.0, 48.0, 150.0, 56.0];

/// Readable on white and on black, and apart from each other for most eyes.
const COLOURS: [&str; 5] = ["#1f77b4", "#d95f02", "#2a9d5c", "#b05fc4", "#8a8a2b"];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}\
.grid{stroke:#8884;stroke-width:1}.axis{stroke:#888;stroke-width:1}.back{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.back{fill:#15181c}}";

/// Places on the picture: nodes to the right by their logarithm, values upwards from nothing.
struct Frame {
    nodes: (f64, f64),
    most: f64,
}

impl Frame {
    fn x(&self, nodes: f64) -> f64 {
        let [left, _, right, _] = MARGIN;
        let width = SIZE.0 - left - right;
        let (least, most) = (self.nodes.0.ln(), self.nodes.1.ln());
        if most <= least { left + width / 2.0 } else { left + width * (nodes.ln() - least) / (most - least) }
    }

    fn y(&self, value: f64) -> f64 {
        let [_, top, _, bottom] = MARGIN;
        SIZE.1 - bottom - (SIZE.1 - top - bottom) * value / self.most
    }
}

/// Draws a chart of the outcomes that have what it shows; `caption` says which command made them.
///
/// # Errors
/// If none has it.
pub fn chart(figure: &Figure, outcomes: &[Outcome], caption: &str) -> Result<String, String> {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| outcome.nodes);
    let points = |of: fn(&Outcome) -> Option<f64>| -> Vec<(f64, f64)> {
        sorted.iter().filter_map(|outcome| Some((outcome.nodes as f64, of(outcome)?))).collect()
    };
    let curves: Vec<(&str, Vec<(f64, f64)>)> =
        figure.curves.iter().map(|(name, of)| (*name, points(*of))).filter(|(_, points)| !points.is_empty()).collect();
    let all = || curves.iter().flat_map(|(_, points)| points.iter().copied());
    let least = all().map(|(nodes, _)| nodes).fold(f64::INFINITY, f64::min);
    let most = all().map(|(nodes, _)| nodes).fold(0.0, f64::max);
    let highest = all().map(|(_, value)| value).fold(0.0, f64::max);
    if curves.is_empty() {
        return Err(format!("none of the outcomes has what `{}` shows", figure.name));
    }
    let step = step(highest / 5.0);
    let frame = Frame { nodes: (least, most), most: step * (highest / step).ceil().max(1.0) };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = axes(&mut out, figure, &frame, step, caption);
    let _ = ticks(&mut out, &frame, all().map(|(nodes, _)| nodes).collect());
    for (number, (name, points)) in curves.iter().enumerate() {
        let _ = curve(&mut out, &frame, number, name, points);
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// A round number near a value: 1, 2 or 5 with zeros.
fn step(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= value).unwrap_or(power)
}

fn axes(out: &mut String, figure: &Figure, frame: &Frame, step: f64, caption: &str) -> std::fmt::Result {
    let [left, top, right, bottom] = MARGIN;
    let (width, height) = SIZE;
    let (end, base) = (width - right, height - bottom);
    write!(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">")?;
    writeln!(out, "<title>{}</title><desc>{}</desc><style>{STYLE}</style>", figure.title, escaped(caption))?;
    writeln!(out, "<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>")?;
    writeln!(out, "<text class=\"title\" x=\"{left}\" y=\"24\">{}</text>", figure.title)?;
    let mut value = 0.0;
    while value <= frame.most * 1.001 {
        let y = frame.y(value);
        writeln!(out, "<path class=\"grid\" d=\"M{left} {y:.1}H{end}\"/>")?;
        writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 8.0, y + 4.0, short(value))?;
        value += step;
    }
    writeln!(out, "<path class=\"axis\" d=\"M{left} {top}V{base}H{end}\" fill=\"none\"/>")?;
    let middle = f64::midpoint(left, end);
    writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">nodes</text>", height - 12.0)?;
    writeln!(out, "<text x=\"8\" y=\"{}\">{}</text>", top - 8.0, figure.unit)
}

fn ticks(out: &mut String, frame: &Frame, mut nodes: Vec<f64>) -> std::fmt::Result {
    nodes.sort_by(f64::total_cmp);
    nodes.dedup();
    let base = SIZE.1 - MARGIN[3];
    for nodes in nodes {
        let x = frame.x(nodes);
        writeln!(out, "<path class=\"axis\" d=\"M{x:.1} {base}v5\"/>")?;
        writeln!(out, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", base + 20.0, short(nodes))?;
    }
    Ok(())
}

fn curve(out: &mut String, frame: &Frame, number: usize, name: &str, points: &[(f64, f64)]) -> std::fmt::Result {
    let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or("#888");
    let places: Vec<(f64, f64)> = points.iter().map(|(nodes, value)| (frame.x(*nodes), frame.y(*value))).collect();
    let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", line.join(" "))?;
    for (x, y) in &places {
        writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>")?;
    }
    let (x, y) = (SIZE.0 - MARGIN[2] + 16.0, MARGIN[1] + 8.0 + 20.0 * number as f64);
    writeln!(out, "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>", y - 6.0)?;
    writeln!(out, "<text x=\"{}\" y=\"{y}\">{name}</text>", x + 20.0)
}

/// A number as people write it.
fn short(value: f64) -> String {
    if value >= 10_000.0 || (value >= 1_000.0 && value % 100.0 == 0.0) {
        let thousands = value / 1_000.0;
        return if thousands.fract() == 0.0 { format!("{thousands:.0}k") } else { format!("{thousands:.1}k") };
    }
    if value.fract().abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
