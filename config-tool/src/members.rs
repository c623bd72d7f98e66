//! The network key, and beside it what it has signed so far: `network.seq` and `members.json`.
//!
//! A sequence is on the disk before the record that carries it, so that no two records ever share one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use meshline_daemon::config::now;
use meshline_daemon::exit::{Exit, Stop};
use meshline_daemon::files::{self, Access};
use meshline_identity::{KeyPair, Sequence, sign};
use meshline_protocol::message::{Membership, RecordText, Revocation, Role};
use meshline_protocol::{Bounded, Name, NetworkId, NodeId, SignedRecord, UnixMicros};
use serde::{Deserialize, Serialize};

/// A day in microseconds.
pub(crate) const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Characters of an id that suffice to name a member.
const MIN_PREFIX: usize = 8;

/// Says what `members.json` is.
pub(crate) const SCHEMA: &str = "meshline/members/1";

/// `members.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberList {
    pub(crate) schema: String,
    pub(crate) network: NetworkId,
    pub(crate) members: Vec<IssuedMembership>,
}

/// The last membership of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedMembership {
    pub(crate) id: NodeId,
    pub(crate) name: Name,
    pub(crate) roles: Vec<Role>,
    pub(crate) seq: UnixMicros,
    pub(crate) expires: UnixMicros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<UnixMicros>,
}

impl IssuedMembership {
    fn is_in_force(&self, now: UnixMicros) -> bool {
        self.revoked.is_none() && self.expires > now
    }
}

/// What a new member is given.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) node: NodeId,
    pub(crate) name: Name,
    pub(crate) roles: Vec<Role>,
    pub(crate) days: u16,
}

/// The one who may sign for a network.
#[derive(Debug)]
pub(crate) struct Authority {
    key_path: PathBuf,
    key: KeyPair,
    sequence: Sequence,
    list: MemberList,
}

impl Authority {
    /// A new network whose key goes to `key_path`. Nothing is written yet.
    pub(crate) fn new(key_path: &Path) -> Result<Self> {
        let key = files::new_key()?;
        let list = MemberList { schema: SCHEMA.to_owned(), network: NetworkId::Closed(key.id()), members: Vec::new() };
        Ok(Self { key_path: key_path.to_path_buf(), key, sequence: Sequence::default(), list })
    }

    /// Opens the network of a key file.
    pub(crate) fn open(key_path: &Path) -> Result<Self> {
        let key = files::read_key(key_path).map_err(|error| Stop::usage(format!("network key: {error}")))?;
        let network = NetworkId::Closed(key.id());
        let sequence = Sequence::after(read_sequence(&sequence_path(key_path))?);
        let list = read_list(&list_path(key_path), &network)?;
        Ok(Self { key_path: key_path.to_path_buf(), key, sequence, list })
    }

    pub(crate) fn network(&self) -> &NetworkId {
        &self.list.network
    }

    /// The files this keeps: key, sequence and list.
    pub(crate) fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>, Access)>> {
        let pem = self.key.to_pem().context("the network key")?;
        let list = format!("{:#}\n", serde_json::to_value(&self.list)?);
        Ok(vec![
            (self.key_path.clone(), pem.into_bytes(), Access::Private),
            (sequence_path(&self.key_path), format!("{}\n", self.sequence.last().get()).into_bytes(), Access::Private),
            (list_path(&self.key_path), list.into_bytes(), Access::Public),
        ])
    }

    /// Signs a membership, in memory.
    pub(crate) fn admit(&mut self, grant: &Grant) -> Result<SignedRecord> {
        self.refuse_foreign_name(grant)?;
        let now = now();
        let membership = Membership {
            kind: Membership::TYPE.to_owned(),
            network: self.list.network.clone(),
            seq: self.sequence.next(now),
            expires: now.offset(i64::from(grant.days) * DAY),
            node: grant.node,
            name: grant.name.clone(),
            roles: Bounded::from_first(grant.roles.iter().copied()),
        };
        self.remember(&membership);
        Ok(sign(&membership, &self.key)?)
    }

    /// Signs the end of a membership, in memory.
    pub(crate) fn expel(&mut self, node: NodeId) -> Result<SignedRecord> {
        let now = now();
        let seq = self.sequence.next(now);
        let year = now.offset(365 * DAY);
        let member = self.list.members.iter_mut().find(|member| member.id == node);
        let expires = member.map_or(year, |member| {
            member.revoked = Some(seq);
            member.expires
        });
        let revocation = Revocation {
            kind: Revocation::TYPE.to_owned(),
            network: self.list.network.clone(),
            seq,
            // Beyond the end of what it ends: a wrong clock must not bring the member back.
            expires: expires.max(now).offset(DAY),
            node,
        };
        Ok(sign(&revocation, &self.key)?)
    }

    /// A sequence for another record.
    pub(crate) fn next_seq(&mut self, now: UnixMicros) -> UnixMicros {
        self.sequence.next(now)
    }

    /// Signs a record, in memory.
    pub(crate) fn sign<T: RecordText>(&self, text: &T) -> Result<SignedRecord> {
        Ok(sign(text, &self.key)?)
    }

    /// Puts sequence and list on the disk; a record goes out only after this.
    pub(crate) fn save(&self) -> Result<()> {
        for (path, bytes, access) in self.files()?.into_iter().skip(1) {
            files::write(&path, &bytes, access)?;
        }
        Ok(())
    }

    /// The member that is meant: a full id, the beginning of one, or a name.
    pub(crate) fn find(&self, text: &str) -> Result<NodeId, Stop> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = &self.list.members;
        let now = now();
        // A name is one member's at a time; those who had it before are found by their ids.
        let has_name = |member: &&IssuedMembership| member.name.as_str() == text && member.is_in_force(now);
        let named: Vec<NodeId> = all.iter().filter(has_name).map(|member| member.id).collect();
        let begun = all.iter().map(|member| member.id);
        let begun = begun.filter(|id| text.len() >= MIN_PREFIX && id.to_string().starts_with(text));
        let mut found = if named.is_empty() { begun.collect() } else { named };
        found.sort_unstable();
        match found.as_slice() {
            [id] => Ok(*id),
            [] => Err(Stop::new(Exit::NoPeer, self.unknown(text))),
            many => {
                let ids: Vec<String> = many.iter().map(|id| format!("\n  {id}")).collect();
                Err(Stop::usage(format!("\"{text}\" could be any of these members:{}", ids.concat())))
            }
        }
    }

    fn unknown(&self, text: &str) -> String {
        let list = list_path(&self.key_path);
        format!(
            "no member \"{text}\" in {}: expected a name, a full id, or {MIN_PREFIX} or more characters of one",
            list.display()
        )
    }

    /// A name is one member's alone for as long as its membership is in force.
    fn refuse_foreign_name(&self, grant: &Grant) -> Result<(), Stop> {
        let now = now();
        let taken = |member: &&IssuedMembership| {
            member.name == grant.name && member.id != grant.node && member.is_in_force(now)
        };
        let Some(owner) = self.list.members.iter().find(taken) else { return Ok(()) };
        let message = format!(
            "the name \"{}\" belongs to {}: choose another with --name, or revoke that member first",
            grant.name, owner.id
        );
        Err(Stop::new(Exit::Refused, message))
    }

    fn remember(&mut self, membership: &Membership) {
        self.list.members.retain(|member| member.id != membership.node);
        self.list.members.push(IssuedMembership {
            id: membership.node,
            name: membership.name.clone(),
            roles: membership.roles.to_vec(),
            seq: membership.seq,
            expires: membership.expires,
            revoked: None,
        });
    }
}

fn sequence_path(key_path: &Path) -> PathBuf {
    key_path.with_extension("seq")
}

fn list_path(key_path: &Path) -> PathBuf {
    key_path.with_file_name("members.json")
}

/// The last sequence kept in a file; none if there is no such file.
pub(crate) fn read_sequence(path: &Path) -> Result<UnixMicros> {
    match files::read(path) {
        Ok(text) => {
            let number = text.trim().parse::<u64>().ok();
            let valid = number.and_then(|number| UnixMicros::try_from(number).ok());
            valid.ok_or_else(|| Stop::usage(format!("{}: expected a number of microseconds", path.display())).into())
        }
        Err(error) if error.is_missing() => Ok(UnixMicros::default()),
        Err(error) => Err(error.into()),
    }
}

fn read_list(path: &Path, network: &NetworkId) -> Result<MemberList> {
    let text = match files::read(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => {
            return Ok(MemberList { schema: SCHEMA.to_owned(), network: network.clone(), members: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let list: MemberList = serde_json::from_str(&text)
        .map_err(|error| Stop::usage(format!("{}: not a list of members: {error}", path.display())))?;
    if list.network != *network {
        let message = format!("{} belongs to the network {}, not to {network}", path.display(), list.network);
        return Err(Stop::usage(message).into());
    }
    Ok(list)
}
