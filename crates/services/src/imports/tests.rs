//! What is announced on the segment becomes a service of the mesh, cut down, counted and bounded.

use meshline_protocol::limits::{MAX_SERVICE_PAIRS, MAX_SERVICE_TEXT};

use super::{Announced, Imports, MARK, MAX_ALIKE, MAX_IMPORTED};

fn announced(instance: &str, addresses: &[&str], text: &[(&str, &str)]) -> Announced {
    Announced {
        kind: "_http._tcp".parse().expect("a kind"),
        instance: instance.to_owned(),
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        text: text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn names(imports: &Imports) -> Vec<&str> {
    imports.offered().map(|imported| imported.name.as_str()).collect()
}

#[test]
fn a_name_of_the_segment_becomes_one_of_the_mesh() {
    for (instance, name) in [
        ("Anna's printer (2nd floor)", "anna-s-printer-2nd-floor"),
        ("wiki", "wiki"),
        ("ёж 🦔", "service"),
        ("", "service"),
        ("a name that is longer than names may be here", "a-name-that-is-longer-than-n"),
        ("\u{1b}[31mred\u{202e}", "31mred"),
    ] {
        let mut imports = Imports::default();
        assert_eq!(imports.see(&announced(instance, &["10.0.0.2:80"], &[])), Ok(()));
        assert_eq!(names(&imports), [name], "{instance:?}");
    }
}

#[test]
fn alike_names_get_numbers_and_keep_them() {
    let mut imports = Imports::default();
    let one = |number: usize| announced(&format!("wiki{}", "!".repeat(number)), &["10.0.0.2:80"], &[]);
    for number in 0..MAX_ALIKE {
        assert_eq!(imports.see(&one(number)), Ok(()));
    }
    assert_eq!(imports.see(&one(MAX_ALIKE)), Err("name_taken"));
    assert_eq!(names(&imports)[..3], ["wiki", "wiki-2", "wiki-3"]);
    imports.forget(&"_http._tcp".parse().expect("a kind"), "wiki");
    assert_eq!(imports.see(&one(1)), Ok(()));
    assert_eq!(names(&imports)[0], "wiki-2", "another one's end renames nothing");
    assert_eq!(imports.see(&one(0)), Ok(()));
    assert_eq!(names(&imports)[0], "wiki");
}

#[test]
fn a_flood_of_names_is_bounded_and_counted() {
    let mut imports = Imports::default();
    for number in 0..5_000 {
        let expected = if number < MAX_IMPORTED { Ok(()) } else { Err("too_many") };
        assert_eq!(imports.see(&announced(&format!("n{number}"), &["10.0.0.2:80"], &[])), expected);
    }
    assert_eq!(imports.offered().count(), MAX_IMPORTED);
    assert_eq!(imports.passed_over().get("too_many"), Some(&(5_000 - MAX_IMPORTED as u64)));
    assert_eq!(imports.see(&announced("n0", &["10.0.0.3:80"], &[])), Ok(()), "what is known may move");
}

#[test]
fn what_is_not_there_or_comes_from_a_mesh_is_passed_over() {
    let mut imports = Imports::default();
    for (addresses, reason) in [
        (&[][..], "not_on_the_segment"),
        (&["127.0.0.1:80", "[::1]:80"], "not_on_the_segment"),
        (&["10.0.0.2:0"], "not_on_the_segment"),
    ] {
        assert_eq!(imports.see(&announced("wiki", addresses, &[])), Err(reason), "{addresses:?}");
    }
    for mark in [MARK, "MeshLine"] {
        assert_eq!(imports.see(&announced("wiki", &["10.0.0.2:80"], &[(mark, "1")])), Err("of_a_mesh"));
    }
    assert_eq!(imports.offered().count(), 0);
}

#[test]
fn text_that_is_too_much_or_deceives_is_left_out() {
    let mut imports = Imports::default();
    let long = "x".repeat(MAX_SERVICE_TEXT);
    let mut text = vec![("path", "/plan"), ("bad=key", "1"), ("turn", "\u{202e}x"), ("path", "again"), ("long", &long)];
    let keys: Vec<String> = (0..MAX_SERVICE_PAIRS * 2).map(|number| format!("key{number}")).collect();
    text.extend(keys.iter().map(|key| (key.as_str(), "v")));
    assert_eq!(imports.see(&announced("wiki", &["10.0.0.2:80"], &text)), Ok(()));
    let imported = imports.offered().next().expect("one");
    assert_eq!(imported.text.get("path"), Some("/plan"));
    assert_eq!(imported.text.pairs().count(), MAX_SERVICE_PAIRS);
    assert!(imported.text.get("turn").is_none() && imported.text.get("long").is_none());
}

#[test]
fn what_is_not_announced_in_a_new_round_is_gone() {
    let mut imports = Imports::default();
    for name in ["stays", "goes"] {
        assert_eq!(imports.see(&announced(name, &["10.0.0.2:80"], &[])), Ok(()));
    }
    imports.begin_round();
    assert_eq!(names(&imports), ["goes", "stays"], "nothing is gone before there was time to say so");
    assert_eq!(imports.see(&announced("stays", &["10.0.0.2:80"], &[])), Ok(()));
    imports.forget_silent();
    assert_eq!(names(&imports), ["stays"]);
}
