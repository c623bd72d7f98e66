//! `network`: a new network, and what commands share that write files.

use std::path::Path;

use anyhow::Result;
use meshline_daemon::exit::Stop;
use meshline_daemon::files;
use meshline_protocol::NetworkId;
use serde_json::{Value, json};

use crate::cli::{NetworkArgs, OutArgs};
use crate::members::Authority;
use crate::report::Report;

/// Says what `network.json` is.
pub(crate) const SCHEMA: &str = "meshline/network/1";

/// `network.json`: what everybody may know of a network.
pub(crate) fn document(network: &NetworkId, key: &NetworkId, names: &[String]) -> Value {
    let mut document = json!({ "schema": SCHEMA, "network": network, "open": network.is_open(), "members": names });
    if network != key
        && let Some(members) = document.as_object_mut()
    {
        // An open network has no use for its key yet; with it the network can be closed later.
        members.insert("key".to_owned(), json!(key));
    }
    document
}

/// Makes a network.
pub(crate) fn run(args: &NetworkArgs) -> Result<Report> {
    let out = &args.out.out;
    let key_path = out.with_extension("key");
    let authority = Authority::new(&key_path)?;
    let files = authority.files()?;
    refuse_overwriting(&args.out, files.iter().map(|(path, ..)| path).chain([out]))?;
    for (path, bytes, access) in &files {
        files::write(path, bytes, *access)?;
    }
    let document = document(authority.network(), authority.network(), &[]);
    files::write(out, format!("{document:#}\n").as_bytes(), files::Access::Public)?;
    let text = format!(
        "Network {}\nIts key is in {}: whoever has it decides who is a member. Keep it off the nodes.\n\
         Next: config-tool node --network-key {} --name NAME --out FILE, or on another host  node join.",
        authority.network(),
        key_path.display(),
        key_path.display()
    );
    Ok(Report::new("network")
        .with("out", out)
        .with("network", authority.network())
        .with("network_key", &key_path)
        .text(text))
}

/// Nothing is written over unless the user says so.
pub(crate) fn refuse_overwriting<'a, P: AsRef<Path> + ?Sized + 'a>(
    out: &OutArgs,
    paths: impl IntoIterator<Item = &'a P>,
) -> Result<(), Stop> {
    if out.force {
        return Ok(());
    }
    match paths.into_iter().map(AsRef::as_ref).find(|path| path.exists()) {
        Some(path) => Err(Stop::usage(format!("{} is there already; --force writes over it", path.display()))),
        None => Ok(()),
    }
}
