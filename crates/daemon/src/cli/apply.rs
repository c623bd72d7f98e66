//! `apply`: a membership for this member, or a revocation or a rebuild for all.

use std::path::Path;

use meshline_protocol::SignedRecord;
use meshline_protocol::message::Membership;
use serde_json::Value;

use super::place::Place;
use crate::config::{Flags, MemberConfig};
use crate::exit::{Exit, Stop};
use crate::files;
use crate::output::print;

pub(super) async fn run<T: MemberConfig>(file: &Path, place: &Place) -> anyhow::Result<()> {
    let record = files::read_record(file)?;
    let config = place.locate::<T>(Flags::new())?.into_node();
    let membership = serde_json::from_str::<Membership>(&record.signed).ok();
    let kept = match (&membership, &config.membership) {
        (Some(_), Some(path)) => {
            check_own(&record, &config)?;
            files::write_record(path, &record)?;
            Some(path)
        }
        (Some(_), None) => return Err(Stop::usage("the configuration has no `membership` file to keep it in").into()),
        (None, _) => None,
    };
    let told: anyhow::Result<Value> =
        place.client::<T>()?.post("/api/v1/records", &serde_json::to_value(&record)?).await;
    match (told, kept) {
        (Ok(answer), _) if place.json => print(&answer.to_string())?,
        (Ok(answer), _) => print(answer.get("result").and_then(Value::as_str).unwrap_or("done"))?,
        (Err(error), Some(path)) if Exit::of(error.chain()) == Exit::NoDaemon => {
            print(&format!("kept in {}; the member is not running and will use it when it starts", path.display()))?;
        }
        (Err(error), _) => return Err(error),
    }
    Ok(())
}

/// A membership is kept only if it is this member's own.
fn check_own(record: &SignedRecord, config: &crate::config::NodeConfig) -> anyhow::Result<()> {
    let membership: Membership =
        meshline_identity::verify(record, &config.network, crate::config::now()).map_err(|error| {
            Stop::new(Exit::Refused, format!("the membership was refused: {error} ({})", error.code().name()))
        })?;
    let own = files::read_or_make_key(&config.key_file)?.id();
    if config.network.key() != Some(record.by) || membership.node != own {
        return Err(Stop::new(Exit::Refused, "the membership is another member's or another network's").into());
    }
    Ok(())
}
