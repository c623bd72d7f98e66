//! "Did you mean": the nearest of the words that are possible.

/// How alike two words must be (Jaro-Winkler, 0 to 1) before one is offered for the other.
const ALIKE: f64 = 0.75;

/// The word most like `found`, if any is like it at all.
pub(super) fn nearest<'a>(found: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&found, word), word))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// `; did you mean "…"?` or nothing.
pub(super) fn did_you_mean<'a>(found: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    nearest(found, words).map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default()
}
