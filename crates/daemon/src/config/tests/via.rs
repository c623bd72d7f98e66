//! `via`: one word for all, or one for each, and what is wrong with either.

use super::{evaluated, faults};
use crate::config::{NodeConfig, ViaConfig, ViewConfig, evaluate};

const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

fn open(via: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "lab", "via": {via}}}"#)
}

fn closed(via: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "{ID}", "membership": "m", "via": {via}}}"#)
}

fn via(text: &str) -> ViaConfig {
    evaluated::<NodeConfig>(text).expect("it is right").config.via.expect("said")
}

fn words(via: &ViaConfig) -> [Option<String>; 3] {
    [&via.peers, &via.signal, &via.proxies].map(|via| via.as_ref().map(ToString::to_string))
}

#[test]
fn one_word_is_for_all_and_an_object_for_each() {
    let said = |word: &str| Some(word.to_owned());
    for text in [open("\"auto\""), open(r#"{"peers": "auto", "signal": "auto", "proxies": "auto"}"#)] {
        assert_eq!(words(&via(&text)), [said("auto"), said("auto"), said("auto")]);
    }
    assert_eq!(words(&via(&closed(r#"{"signal": "donald", "proxies": null}"#))), [None, said("donald"), None]);
    assert_eq!(words(&via(&open(&format!("\"{ID}\"")))), [said(ID), said(ID), said(ID)]);
    assert_eq!(evaluated::<NodeConfig>(&open("null")).expect("right").config.via, None);
    let view = evaluated::<ViewConfig>(&open("\"auto\"")).expect("right").config;
    assert!(view.via.is_some(), "a view has connections of its own too");
}

#[test]
fn a_name_where_anybody_may_claim_it_oneself_and_other_forms_are_faults() {
    let one = |text: &str| faults::<NodeConfig>(text).join("; ");
    for (found, part) in [
        (one(&open("\"donald\"")), "/via: found the name \"donald\" on an open network"),
        (one(&closed("\"bobby\"")), "/via: found \"bobby\", which is this member itself"),
        (one(&open("5")), "/via: found 5, expected a member, \"auto\", or an object"),
        (one(&open("\"a~b\"")), "/via: found \"a~b\", not a member"),
        (one(&open(r#"{"peer": "auto"}"#)), "/via/peer: found the unknown key \"peer\""),
    ] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn the_environment_says_it_in_either_form() {
    let read = |value: &str| {
        let mut input = super::input(r#"{"name": "bobby", "network": "lab"}"#);
        input.environment.insert("MESHLINE_VIA".to_owned(), value.to_owned());
        evaluate::<NodeConfig>(&input, super::NOW).expect("right").config.via.expect("said")
    };
    assert_eq!(words(&read("auto"))[0].as_deref(), Some("auto"));
    assert_eq!(words(&read(r#"{"signal": "auto"}"#)), [None, Some("auto".to_owned()), None]);
}
