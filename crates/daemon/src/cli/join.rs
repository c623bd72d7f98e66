//! `join`: a request to become a member, made where the key is.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use meshline_identity::JoinRequest;
use meshline_protocol::message::Role;
use serde_json::json;

use super::place::Place;
use crate::config::{Flags, MemberConfig, now};
use crate::files;
use crate::output::print;

/// Where the request goes and what it says.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// File to write the request to
    #[arg(long, value_name = "FILE", env = "MESHLINE_OUT", default_value = "request.json")]
    out: PathBuf,
    /// Id of the closed network to join, if there is no configuration file yet
    #[arg(long, value_name = "ID", env = "MESHLINE_NETWORK")]
    network: Option<String>,
    /// Private key; made if it is not there
    #[arg(long, value_name = "FILE", env = "MESHLINE_KEY_FILE")]
    key_file: Option<PathBuf>,
}

pub(super) fn run<T: MemberConfig>(args: &JoinArgs, place: &Place) -> anyhow::Result<()> {
    let flags = Flags::new()
        .set("/network", args.network.clone())
        .set("/key_file", args.key_file.clone())
        // A membership file to come: the request is what it will be made from.
        .set("/membership", args.network.as_ref().map(|_| "membership.json"));
    let config = place.locate::<T>(flags)?.into_node();
    anyhow::ensure!(
        !config.network.is_open(),
        "{} is an open network: there is nothing to be invited to",
        config.network
    );
    if let Some(folder) = config.key_file.parent() {
        files::make_folder(folder)?;
    }
    let key = files::read_or_make_key(&config.key_file)?;
    let is_exit = !config.exit.rules.is_empty();
    let roles: Vec<Role> = std::iter::once(T::ROLE).chain(is_exit.then_some(Role::Exit)).collect();
    let request = JoinRequest::sign(config.network.clone(), config.name.clone(), &roles, &key, now())?;
    files::write_record(&args.out, &request).context("the request was not written")?;
    let out = args.out.display();
    if place.json {
        let document =
            json!({"schema": "meshline/join/1", "request": args.out, "id": key.id(), "key_file": config.key_file});
        print(&document.to_string())?;
    } else {
        print(&format!("{out} asks for the membership of {} ({}).", config.name, key.id()))?;
        print(&format!("Next, where network.key is: config-tool invite {out} --out membership.json"))?;
    }
    Ok(())
}
