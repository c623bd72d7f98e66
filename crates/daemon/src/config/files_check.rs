//! Judges the key and the membership a configuration names: whether they are there, private, and fit.

use std::path::Path;

use meshline_identity::{KeyPair, RecordError, verify};
use meshline_protocol::message::{Membership, Role};
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use super::member::{MemberConfig, NodeConfig};
use super::program::Program;
use super::review::Review;
use crate::files::{self, FileError};

/// How long before its end a membership is worth a warning, in microseconds: 30 days.
pub const EXPIRY_WARNING: i64 = 30 * DAY;

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Who a member is: what its files say.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its key.
    pub key: KeyPair,
    /// Its membership record, on a closed network.
    pub membership: Option<SignedRecord>,
}

/// Reads the key (making it if there is none) and the membership of a member.
///
/// # Errors
/// If a file cannot be read or written. Whether the two fit was judged by [`load`](super::load).
pub fn read_identity(config: &impl MemberConfig) -> Result<Identity, FileError> {
    let config = config.clone().into_node();
    let key = files::read_or_make_key(&config.key_file)?;
    let membership = match (&config.network, &config.membership) {
        (NetworkId::Closed(_), Some(path)) => Some(files::read_record(path)?),
        (NetworkId::Closed(_), None) | (NetworkId::Open(_), _) => None,
    };
    Ok(Identity { key, membership })
}

pub(super) fn check(config: &NodeConfig, role: Role, review: &mut Review) {
    super::ledger::check_files(config, review);
    let key = check_key(config, review);
    let Some(path) = &config.membership else { return };
    if config.network.is_open() {
        review.warn("/membership", "is not used on an open network");
        return;
    }
    match files::read_record(path) {
        Ok(record) => check_membership(config, role, &record, key, review),
        Err(error) => review.fault("/membership", asked(&error)),
    }
}

/// What is missing comes by joining.
fn asked(error: &FileError) -> String {
    let next = if error.is_missing() { "; `join` asks for a membership, with a key that it makes" } else { "" };
    format!("{error}{next}")
}

/// The id of the key, if there is one already.
fn check_key(config: &NodeConfig, review: &mut Review) -> Option<NodeId> {
    let path: &Path = &config.key_file;
    match files::read_key(path) {
        Ok(key) => {
            if let Some(mode) = files::too_open(path) {
                let message =
                    format!("{} can be read by others (mode {mode:03o}), expected 600: chmod 600 it", path.display());
                review.warn("/key_file", message);
            }
            Some(key.id())
        }
        Err(error) if error.is_missing() && config.network.is_open() => None,
        Err(error) => {
            review.fault("/key_file", asked(&error));
            None
        }
    }
}

/// As it is written.
fn name(role: &Role) -> String {
    serde_json::to_value(role).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

fn check_membership(config: &NodeConfig, role: Role, record: &SignedRecord, key: Option<NodeId>, review: &mut Review) {
    let membership = match read_membership(config, record) {
        Ok(membership) => membership,
        Err(error) => return review.fault("/membership", error.to_string()),
    };
    if let Some(key) = key.filter(|key| *key != membership.node) {
        let message = format!("found the membership of {}, expected that of the key file's {key}", membership.node);
        review.fault("/membership", message);
    }
    if membership.name != config.name {
        let message =
            format!("found \"{}\", expected the name in the membership, \"{}\"", config.name, membership.name);
        review.fault("/name", message);
    }
    if !membership.roles.contains(&role) {
        let granted: Vec<String> = membership.roles.iter().map(name).collect();
        let owner = Program::ALL.into_iter().find(|program| granted.iter().any(|role| role == program.name()));
        let hint = owner.map_or_else(String::new, |owner| format!(": is this the file of a {owner}?"));
        let message = format!("found the roles {}, expected {} among them{hint}", granted.join(", "), name(&role));
        review.fault("/membership", message);
    }
    let left = membership.expires.since(review.now);
    if left <= 0 {
        // It may be the clock of this machine that is wrong: whether it has ended is judged by the time of the members.
        let message = format!(
            "ended {} days ago, unless this machine's clock is wrong: have it renewed with config-tool invite",
            left / -DAY
        );
        review.warn("/membership", message);
    } else if left < EXPIRY_WARNING {
        let message = format!("ends in {} days: have it renewed with config-tool invite", left / DAY);
        review.warn("/membership", message);
    }
}

/// The membership, its end aside.
fn read_membership(config: &NodeConfig, record: &SignedRecord) -> Result<Membership, RecordError> {
    if config.network.key() != Some(record.by) {
        return Err(RecordError::Foreign);
    }
    verify(record, &config.network, UnixMicros::new(0))
}
