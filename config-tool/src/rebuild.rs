//! `rebuild`: a record at whose instant all members choose their links anew, or the end of one.

use std::path::Path;

use anyhow::Result;
use meshline_daemon::config::now;
use meshline_daemon::exit::{Exit, Stop};
use meshline_daemon::files::{self, Access};
use meshline_identity::{
    KeyPair, MAX_REBUILD_AHEAD, MAX_REBUILD_LATE, MAX_REBUILD_REASON, RebuildWord, RevocationList, Sequence, Verifier,
    judge_rebuild, sign, verify,
};
use meshline_protocol::message::{Membership, RebuildAbort, RebuildOrder, RecordText, Role};
use meshline_protocol::{NetworkId, SignedRecord, UnixMicros};

use crate::cli::RebuildArgs;
use crate::members::{Authority, read_sequence};
use crate::network::refuse_overwriting;
use crate::report::Report;

/// An instant must be so far ahead, in microseconds: the file has to be brought to a member, and to spread.
const LEAST_LEAD: i64 = 5_000_000;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// Who signs.
enum Signer {
    /// The network.
    Network(Authority),
    /// A member whose membership says that it may.
    Member { key: KeyPair, network: NetworkId, membership: SignedRecord, sequence: Sequence },
}

impl Signer {
    fn open(args: &RebuildArgs) -> Result<Self> {
        let Some(key_path) = &args.member_key else { return Ok(Self::Network(Authority::open(&args.network_key)?)) };
        let key = files::read_key(key_path).map_err(|error| Stop::usage(format!("member key: {error}")))?;
        let Some(membership_path) = &args.membership else {
            return Err(Stop::usage("--member-key needs the --membership that grants it the role rebuild").into());
        };
        let membership = files::read_record(membership_path).map_err(|error| Stop::usage(error.to_string()))?;
        let network = check_membership(&key, &membership, membership_path)?;
        let sequence = Sequence::after(read_sequence(&key_path.with_extension("rebuild-seq"))?);
        Ok(Self::Member { key, network, membership, sequence })
    }

    fn network(&self) -> &NetworkId {
        match self {
            Self::Network(authority) => authority.network(),
            Self::Member { network, .. } => network,
        }
    }

    fn membership(&self) -> Option<SignedRecord> {
        match self {
            Self::Network(_) => None,
            Self::Member { membership, .. } => Some(membership.clone()),
        }
    }

    fn next_seq(&mut self, now: UnixMicros) -> UnixMicros {
        match self {
            Self::Network(authority) => authority.next_seq(now),
            Self::Member { sequence, .. } => sequence.next(now),
        }
    }

    fn sign<T: RecordText>(&self, text: &T) -> Result<SignedRecord> {
        match self {
            Self::Network(authority) => authority.sign(text),
            Self::Member { key, .. } => Ok(sign(text, key)?),
        }
    }

    /// A sequence is on disk before its record goes out.
    fn save(&self, args: &RebuildArgs) -> Result<()> {
        match self {
            Self::Network(authority) => authority.save(),
            Self::Member { sequence, .. } => {
                let Some(key_path) = &args.member_key else { return Ok(()) };
                let text = format!("{}\n", sequence.last().get());
                files::write(&key_path.with_extension("rebuild-seq"), text.as_bytes(), Access::Private)?;
                Ok(())
            }
        }
    }
}

fn check_membership(key: &KeyPair, record: &SignedRecord, path: &Path) -> Result<NetworkId, Stop> {
    let refused = |why: String| Stop::new(Exit::Refused, format!("{}: {why}", path.display()));
    let network = NetworkId::Closed(record.by);
    let membership: Membership = verify(record, &network, now()).map_err(|error| refused(error.to_string()))?;
    if membership.node != key.id() {
        return Err(refused(format!("the membership is {}'s, not that of the key", membership.node)));
    }
    if !membership.roles.contains(&Role::Rebuild) {
        return Err(refused(format!(
            "{} has not the role rebuild: invite it anew with --roles node,rebuild, or sign with the network key",
            membership.name
        )));
    }
    Ok(network)
}

/// Signs one.
pub(crate) fn run(args: &RebuildArgs) -> Result<Report> {
    refuse_overwriting(&args.out, [&args.out.out])?;
    let mut signer = Signer::open(args)?;
    if let Some(path) = &args.abort {
        return abort(args, path, &mut signer);
    }
    let Some(at) = args.at else { return Err(Stop::usage("--at says when: for instance --at now+30s").into()) };
    let now = now();
    let at = at.resolve(now);
    check_instant(at, now)?;
    let seq = signer.next_seq(now);
    if seq >= at {
        let message = "the last sequence of this key is ahead of this host's clock: set the clock, or wait";
        return Err(Stop::usage(message).into());
    }
    let order = RebuildOrder {
        kind: RebuildOrder::TYPE.to_owned(),
        network: signer.network().clone(),
        seq,
        expires: at.offset(i64::from(args.late_minutes) * 60_000_000),
        at,
        nonce: nonce(&files::random_bytes()?),
        dry_run: args.dry_run,
        reason: reason(args)?,
        membership: signer.membership(),
    };
    let record = signer.sign(&order)?;
    // Whatever it is, it is found here and not by the members.
    judge(&record, signer.network(), now)?;
    signer.save(args)?;
    files::write_record(&args.out.out, &record)?;
    Ok(told(args, &order, &record, now))
}

fn told(args: &RebuildArgs, order: &RebuildOrder, record: &SignedRecord, now: UnixMicros) -> Report {
    let out = args.out.out.display();
    let lead = order.at.since(now) / 1_000_000;
    let what = if order.dry_run { "tells what it would change" } else { "chooses its links anew" };
    let text = format!(
        "In {lead} s by this host's clock every member {what}, once this has spread: run  node apply {out}  on any member."
    );
    Report::new("rebuild")
        .with("out", &args.out.out)
        .with("network", &order.network)
        .with("by", record.by)
        .with("seq", order.seq)
        .with("at", order.at)
        .with("expires", order.expires)
        .with("dry_run", order.dry_run)
        .with("reason", &order.reason)
        .text(text)
}

fn check_instant(at: UnixMicros, now: UnixMicros) -> Result<(), Stop> {
    let lead = at.since(now);
    let (seconds, hours) = (lead / 1_000_000, MAX_REBUILD_AHEAD / 3_600_000_000);
    if lead < 0 {
        return Err(Stop::usage(format!("--at is {} s ago by this host's clock", -seconds)));
    }
    if lead < LEAST_LEAD {
        let least = LEAST_LEAD / 1_000_000;
        return Err(Stop::usage(format!(
            "--at is too near: expected {least} s from now at least, so that all hear of it"
        )));
    }
    // The sequence may be a little behind the clock that is read here.
    if lead > MAX_REBUILD_AHEAD - LEAST_LEAD {
        return Err(Stop::usage(format!("--at is too far: expected less than {hours} hours from now")));
    }
    Ok(())
}

fn reason(args: &RebuildArgs) -> Result<Option<String>, Stop> {
    let Some(reason) = &args.reason else { return Ok(None) };
    if reason.chars().count() > MAX_REBUILD_REASON || reason.chars().any(char::is_control) {
        return Err(Stop::usage(format!("--reason: expected one line of at most {MAX_REBUILD_REASON} characters")));
    }
    Ok(Some(reason.clone()))
}

/// Ends one that was signed and is to come.
fn abort(args: &RebuildArgs, path: &Path, signer: &mut Signer) -> Result<Report> {
    let now = now();
    let record = files::read_record(path).map_err(|error| Stop::usage(error.to_string()))?;
    let RebuildWord::Order(order) = judge(&record, signer.network(), now)? else {
        return Err(Stop::usage(format!("{}: not a record of type rebuild", path.display())).into());
    };
    if order.at <= now {
        let seconds = now.since(order.at) / 1_000_000;
        return Err(Stop::usage(format!("{}: its instant was {seconds} s ago", path.display())).into());
    }
    let seq = signer.next_seq(now.max(order.seq.offset(1)));
    let text = RebuildAbort {
        kind: RebuildAbort::TYPE.to_owned(),
        network: order.network.clone(),
        seq,
        expires: order.expires,
        by: record.by,
        rebuild: order.seq,
        membership: signer.membership(),
    };
    let ended = signer.sign(&text)?;
    if !RebuildWord::may_end(signer.network(), &ended.by, &record.by) {
        let message = "it was signed with the network key: only that key ends it";
        return Err(Stop::new(Exit::Refused, format!("{}: {message}", path.display())).into());
    }
    signer.save(args)?;
    files::write_record(&args.out.out, &ended)?;
    let out = args.out.out.display();
    Ok(Report::new("rebuild")
        .with("out", &args.out.out)
        .with("network", &order.network)
        .with("by", ended.by)
        .with("seq", seq)
        .with("ends", order.seq)
        .text(format!("The rebuild is off once this has spread: run  node apply {out}  on any member.")))
}

fn judge(record: &SignedRecord, network: &NetworkId, now: UnixMicros) -> Result<RebuildWord, Stop> {
    let judged = judge_rebuild(&Verifier::default(), record, network, &RevocationList::default(), now);
    let judged = judged.map_err(|error| Stop::new(Exit::Refused, format!("the record would be refused: {error}")))?;
    Ok(judged.word)
}

fn nonce(random: &[u8; 32]) -> String {
    random.iter().take(NONCE_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Minutes after its instant for which it holds at most.
pub(crate) const MAX_LATE_MINUTES: i64 = MAX_REBUILD_LATE / 60_000_000;
