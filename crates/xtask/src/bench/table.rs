//! The table that is pasted into docs/BENCHMARKS.md.

/// One figure.
pub(super) struct Row {
    pub(super) figure: String,
    pub(super) value: String,
    pub(super) aim: &'static str,
    /// The rival or the ceiling, measured in the same run.
    pub(super) rival: String,
    pub(super) ratio: Option<f64>,
}

impl Row {
    /// A figure without a rival.
    pub(super) fn new(figure: impl Into<String>, value: impl Into<String>, aim: &'static str) -> Self {
        Self { figure: figure.into(), value: value.into(), aim, rival: String::new(), ratio: None }
    }

    pub(super) fn beside(self, rival: impl Into<String>, ratio: f64) -> Self {
        Self { rival: rival.into(), ratio: Some(ratio), ..self }
    }

    /// A figure beside something that it is not a part or a multiple of.
    pub(super) fn with(self, rival: impl Into<String>) -> Self {
        Self { rival: rival.into(), ..self }
    }
}

pub(super) fn print(rows: &[Row]) {
    println!("| Figure | Value | Aim | Beside it, in the same run | Ratio |");
    println!("|---|---|---|---|---|");
    for Row { figure, value, aim, rival, ratio } in rows {
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        println!("| {figure} | {value} | {aim} | {rival} | {ratio} |");
    }
}
