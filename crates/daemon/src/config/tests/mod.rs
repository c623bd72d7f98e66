mod disk;
mod faults;
mod gateway;
mod lan;
mod layers;
mod ledger;
mod routing;
mod shape;
mod via;

use std::path::Path;

use meshline_protocol::UnixMicros;

use super::{ConfigError, Document, Effective, Input, Settings, evaluate};

const NOW: UnixMicros = UnixMicros::new(1_800_000_000_000_000);

fn document(text: &str) -> Document {
    Document::parse(Path::new("/etc/mesh/node-1.json"), text).expect("JSON")
}

fn input(text: &str) -> Input {
    Input { file: Some(document(text)), state_home: "/state".into(), ..Input::default() }
}

fn evaluated<T: Settings>(text: &str) -> Result<Effective<T>, ConfigError> {
    evaluate(&input(text), NOW)
}

/// The faults as the user reads them, without the path of the file.
fn faults<T: Settings>(text: &str) -> Vec<String> {
    let error = evaluated::<T>(text).expect_err("it is wrong");
    error.findings.iter().map(|finding| finding.to_string().replace("/etc/mesh/node-1.json:", "")).collect()
}
