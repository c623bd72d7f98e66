//! `check`: says of every file whether the program it is for would take it.

use std::path::Path;

use anyhow::Result;
use meshline_daemon::config::{
    ConfigError, Document, Finding, Input, NodeConfig, Place, Program, ProxyConfig, Settings, Severity,
    SignalServerConfig, ViewConfig, check_files, evaluate, now, state_home,
};
use meshline_daemon::exit::Exit;
use meshline_identity::{JoinRequestText, RecordError, RevocationList, Verifier, judge_rebuild, verify};
use meshline_ledger::Genesis;
use meshline_ledger::consensus::{GENESIS_SCHEMA, GenesisError};
use meshline_protocol::message::{
    Announcement, Membership, RebuildAbort, RebuildOrder, RebuildProposal, RecordText, Revocation,
};
use meshline_protocol::{NetworkId, SignedRecord, UnixMicros};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::CheckArgs;
use crate::members::{self, MemberList};
use crate::network;
use crate::report::Report;

/// What was found out about one file.
struct Verdict {
    kind: String,
    findings: Vec<Finding>,
}

impl Verdict {
    fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Checks every file and says what is wrong with each.
pub(crate) fn run(args: &CheckArgs) -> Result<Report> {
    let verdicts: Vec<(&Path, Verdict)> =
        args.files.iter().map(|path| (path.as_path(), check(path, args.role))).collect();
    let rows: Vec<Value> = verdicts.iter().map(|(path, verdict)| row(path, verdict)).collect();
    let fine = verdicts.iter().filter(|(_, verdict)| verdict.is_ok());
    let text: Vec<String> = fine.map(|(path, verdict)| format!("OK {} ({})", path.display(), verdict.kind)).collect();
    let ok = text.len() == verdicts.len();
    let findings = verdicts.iter().flat_map(|(_, verdict)| verdict.findings.iter().map(ToString::to_string));
    Ok(Report::new("check").with("ok", ok).with("files", rows).text(text.join("\n")).warnings(findings).exit(if ok {
        Exit::Done
    } else {
        Exit::Usage
    }))
}

fn row(path: &Path, verdict: &Verdict) -> Value {
    json!({ "file": path, "kind": verdict.kind, "ok": verdict.is_ok(), "findings": verdict.findings })
}

fn check(path: &Path, role: Option<Program>) -> Verdict {
    match Document::read(path) {
        Ok(document) => check_document(document, role),
        Err(error) => Verdict { kind: "unreadable".to_owned(), findings: error.findings },
    }
}

fn check_document(document: Document, role: Option<Program>) -> Verdict {
    let value = document.value();
    if role.is_none() && value.get("signed").is_some() {
        return check_record(&document);
    }
    match value.get("schema").and_then(Value::as_str) {
        Some(network::SCHEMA) => check_network(&document),
        Some(GENESIS_SCHEMA) => check_genesis(&document),
        Some(members::SCHEMA) => check_as::<MemberList>(&document, "list of members"),
        Some(_) | None => check_config(document, role),
    }
}

fn check_config(document: Document, role: Option<Program>) -> Verdict {
    let program = role.unwrap_or_else(|| Program::guess(document.path(), document.value()));
    let result = match program {
        Program::Node => findings::<NodeConfig>(document),
        Program::View => findings::<ViewConfig>(document),
        Program::Proxy => findings::<ProxyConfig>(document),
        Program::SignalServer => findings::<SignalServerConfig>(document),
    };
    Verdict { kind: program.name().to_owned(), findings: result.unwrap_or_else(|error| error.findings) }
}

/// A file is judged by itself, without the environment of whoever checks it.
fn findings<T: Settings>(document: Document) -> Result<Vec<Finding>, ConfigError> {
    let input = Input { file: Some(document), state_home: state_home(), ..Input::default() };
    let now = now();
    Ok(check_files::<T>(evaluate(&input, now)?, &input, now)?.warnings)
}

fn check_network(document: &Document) -> Verdict {
    let network = document.value().get("network").cloned().unwrap_or_default();
    let findings = match serde_json::from_value::<NetworkId>(network) {
        Ok(_) => Vec::new(),
        Err(error) => vec![fault(document, "/network", error.to_string())],
    };
    Verdict { kind: "network".to_owned(), findings }
}

/// Its block is made anew from the parameters: its hash shows whether one was changed.
fn check_genesis(document: &Document) -> Verdict {
    let findings = match Genesis::from_json(document.value().to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(error) => vec![fault(document, pointer_of(&error), error.to_string())],
    };
    Verdict { kind: "genesis file of a ledger".to_owned(), findings }
}

/// Where in the file the fault is.
fn pointer_of(error: &GenesisError) -> &'static str {
    match error {
        GenesisError::Schema => "/schema",
        GenesisError::Subsidy(_) => "/subsidy",
        GenesisError::Prefix(_) => "/prefix",
        GenesisError::Bits => "/bits",
        GenesisError::Owner => "/genesis/owner",
        GenesisError::NotAHash(_) | GenesisError::Hash(_) => "/genesis/hash",
        GenesisError::ProofOfWork => "/genesis/nonce",
        GenesisError::Json(_) | GenesisError::Params(_) | GenesisError::TooLong => "",
    }
}

fn check_as<T: DeserializeOwned>(document: &Document, kind: &str) -> Verdict {
    let findings = match serde_json::from_value::<T>(document.value().clone()) {
        Ok(_) => Vec::new(),
        Err(error) => vec![fault(document, "", error.to_string())],
    };
    Verdict { kind: kind.to_owned(), findings }
}

/// A record is judged by what it says of itself: who must have signed it follows from its type.
fn check_record(document: &Document) -> Verdict {
    let record: SignedRecord = match serde_json::from_value(document.value().clone()) {
        Ok(record) => record,
        Err(error) => {
            return Verdict { kind: "record".to_owned(), findings: vec![fault(document, "", error.to_string())] };
        }
    };
    let text: Value = serde_json::from_str(&record.signed).unwrap_or_default();
    let kind = text.get("type").and_then(Value::as_str).unwrap_or_default();
    let network = serde_json::from_value(text.get("network").cloned().unwrap_or_default());
    let result = match (kind, network) {
        (Membership::TYPE, Ok(network)) => judge::<Membership>(&record, &network, true),
        (Revocation::TYPE, Ok(network)) => judge::<Revocation>(&record, &network, true),
        (RebuildOrder::TYPE | RebuildAbort::TYPE | RebuildProposal::TYPE, Ok(network)) => judge_any(&record, &network),
        (JoinRequestText::TYPE, Ok(network)) => judge::<JoinRequestText>(&record, &network, false),
        (Announcement::TYPE, Ok(network)) => judge::<Announcement>(&record, &network, false),
        _ => Err(RecordError::WrongForm),
    };
    let findings = result.err().map(|error| fault(document, "/signed", error.to_string()));
    let kind = if kind.is_empty() { "record" } else { kind };
    Verdict { kind: kind.replace('_', " "), findings: findings.into_iter().collect() }
}

/// Of records about choosing links anew, who may sign follows from what they hold.
fn judge_any(record: &SignedRecord, network: &NetworkId) -> Result<UnixMicros, RecordError> {
    let judged = judge_rebuild(&Verifier::default(), record, network, &RevocationList::default(), now())?;
    Ok(judged.expires())
}

fn judge<T: RecordText>(
    record: &SignedRecord,
    network: &NetworkId,
    by_network: bool,
) -> Result<UnixMicros, RecordError> {
    if by_network && network.key() != Some(record.by) {
        return Err(RecordError::Foreign);
    }
    verify::<T>(record, network, now()).map(|text| text.expires())
}

fn fault(document: &Document, pointer: &str, message: String) -> Finding {
    let (line, column) = document.position(pointer, false);
    let place = Place::File { path: document.path().to_path_buf(), line, column };
    Finding { severity: Severity::Error, place, pointer: pointer.to_owned(), message }
}
