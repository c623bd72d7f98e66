//! `ledger`: its faults, and the file it names.

use std::path::Path;

use super::{evaluated, faults, input};
use crate::config::{Document, MemberConfig, NodeConfig, ViewConfig, check_files, evaluate, now};
use crate::ledger::{CreateOrder, LedgerPlace, create};

/// The address of a key that is nobody's.
const ADDRESS: &str = "mesh1qp5sez3punh6d9mwrxw7c29n2u9led8cscggkdkj";

fn with(ledger: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "lab", "ledger": {ledger}}}"#)
}

#[test]
fn keys_are_known_and_paths_are_beside_the_file() {
    let text = with(r#"{"genesis": "genesis.json", "data_dir": "coins", "mine_to": "x", "mine_threads": 2}"#);
    let config = evaluated::<NodeConfig>(&text).expect("it is right").config;
    let place = LedgerPlace::of(&config);
    assert!(place.genesis.is_absolute() && place.genesis.ends_with("genesis.json"), "{place:?}");
    assert!(place.folder.is_absolute() && place.folder.ends_with("coins"), "{place:?}");
    assert!(place.wallet.starts_with(&config.data_dir), "{place:?}");
    let typo = faults::<NodeConfig>(&with(r#"{"mine_too": "x"}"#)).join("; ");
    assert!(typo.contains("did you mean \"mine_to\""), "{typo}");
    assert!(faults::<NodeConfig>(&with(r#"{"mine_threads": 0}"#)).join("; ").contains("from 1 to 1024"));
    assert!(place.filters, "unless told");
    let without = evaluated::<NodeConfig>(&with(r#"{"filters": false}"#)).expect("it is right").config;
    assert!(!LedgerPlace::of(&without).filters);
    assert!(!faults::<NodeConfig>(&with(r#"{"filters": "no"}"#)).is_empty());
}

#[test]
fn each_key_has_its_variable() {
    let mut input = input(&with("{}"));
    input.environment = [("MESHLINE_LEDGER_MINE_TO".to_owned(), ADDRESS.to_owned())].into();
    let config = evaluate::<NodeConfig>(&input, now()).expect("it is right").config;
    assert_eq!(config.ledger.mine_to.as_deref(), Some(ADDRESS));
}

/// What is said of a configuration in this folder, its files judged.
fn said(folder: &Path, ledger: &str) -> String {
    let path = folder.join("node.json");
    let mut input = input("{}");
    input.file = Some(Document::parse(&path, &with(ledger)).expect("JSON"));
    let effective = evaluate::<NodeConfig>(&input, now()).expect("it is right");
    let findings = match check_files(effective, &input, now()) {
        Ok(effective) => effective.warnings,
        Err(error) => error.findings,
    };
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn the_genesis_file_and_the_address_are_judged_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = said(folder.path(), r#"{"genesis": "genesis.json"}"#);
    assert!(missing.contains("/ledger/genesis") && missing.contains("ledger create"), "{missing}");
    assert_eq!(said(folder.path(), "{}"), "", "none is fine");
    let early = said(folder.path(), &format!(r#"{{"mine_to": "{ADDRESS}"}}"#));
    assert!(early.contains("there is none yet"), "{early}");
    let place = LedgerPlace {
        genesis: folder.path().join("genesis.json"),
        folder: folder.path().join("coins"),
        wallet: folder.path().join("wallet"),
        filters: true,
        is_light: false,
    };
    drop(create(&place, &CreateOrder::default(), ADDRESS, &mut |_, _| {}).expect("a chain"));
    let to = |address: &str| said(folder.path(), &format!(r#"{{"genesis": "genesis.json", "mine_to": "{address}"}}"#));
    assert_eq!(to(ADDRESS), "");
    assert!(to("nonsense").contains("/ledger/mine_to"));
}

#[test]
fn a_view_follows_a_ledger_and_makes_no_blocks() {
    let config =
        evaluated::<ViewConfig>(&with(r#"{"genesis": "genesis.json"}"#)).expect("it is right").config.into_node();
    assert!(config.ledger.light && LedgerPlace::of(&config).genesis.is_absolute());
    let node = evaluated::<NodeConfig>(&with("{}")).expect("it is right").config;
    assert!(!node.ledger.light);
    for key in [r#"{"mine_to": "x"}"#, r#"{"filters": true}"#] {
        assert!(!faults::<ViewConfig>(&with(key)).is_empty(), "{key}");
    }
}
