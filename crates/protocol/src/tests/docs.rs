//! The examples in `docs/PROTOCOL.md` are the golden samples. `MESHLINE_BLESS=1` rewrites them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- golden:";
const END: &str = "<!-- /golden -->";

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A sample as it stands on the page. A raw body has no line feed of its own at its end.
fn example(name: &str) -> String {
    let sample = read(&home().join(format!("golden/{name}.json")));
    format!("```json\n{}\n```\n", sample.trim_end_matches('\n'))
}

/// The page with the right example between each pair of marks, and the names it gives examples of.
fn filled(page: &str) -> (String, BTreeSet<String>) {
    let (mut out, mut names, mut rest) = (String::new(), BTreeSet::new(), page);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").expect("the mark is closed");
        let (_, after) = after.split_once(END).expect("the example ends");
        out.push_str(&format!("{before}{BEGIN}{name} -->\n{}{END}", example(name)));
        names.insert(name.to_owned());
        rest = after;
    }
    (out + rest, names)
}

#[test]
fn the_protocol_page_shows_every_sample_as_it_stands() {
    let path = home().join("../../docs/PROTOCOL.md");
    let (wanted, shown) = filled(&read(&path));
    if std::env::var_os("MESHLINE_BLESS").is_some() {
        std::fs::write(&path, &wanted).expect("written");
    }
    assert_eq!(read(&path), wanted, "MESHLINE_BLESS=1 rewrites the examples");
    let samples: BTreeSet<String> = std::fs::read_dir(home().join("golden"))
        .expect("there")
        .map(|entry| entry.expect("readable").path().file_stem().expect("named").to_string_lossy().into_owned())
        .collect();
    assert_eq!(shown, samples, "samples without an example on the page");
}

#[test]
fn the_protocol_page_names_every_refusal() {
    let page = read(&home().join("../../docs/PROTOCOL.md"));
    for code in crate::Code::ALL {
        assert!(page.contains(&format!("| `{}` |", code.name())), "{} is missing", code.name());
    }
}
