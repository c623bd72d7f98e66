use meshline_identity::KeyPair;

use super::*;

fn rendered(overview: &Overview, host: &str) -> String {
    let mut html = String::new();
    write_page(&mut html, overview, 120, host).expect("a string");
    html
}

fn overview(name: &str) -> Overview {
    let row = Row {
        id: KeyPair::from_secret([1; 32]).id(),
        name: name.parse().expect("a name"),
        roles: vec![Role::Node, Role::Proxy],
        addresses: vec!["192.0.2.1:6001".parse().expect("an address")],
    };
    Overview {
        open: vec![OpenNetwork { name: "lab".to_owned(), members: 2, rows: vec![row] }],
        more_open: 0,
        closed_networks: 1,
        closed_members: 3,
    }
}

#[test]
fn names_from_outside_are_text_and_never_part_of_the_page() {
    let html = rendered(&overview("<script>'\"&x"), "a\"><b>");
    assert!(html.contains("&lt;script&gt;&#39;&quot;&amp;x"), "{html}");
    assert!(html.contains("http://a&quot;&gt;&lt;b&gt;"), "{html}");
    assert!(!html.contains("<script"));
}

#[test]
fn members_of_open_networks_are_shown_and_closed_networks_are_counted() {
    let html = rendered(&overview("bobby"), "192.0.2.9:6000");
    for wanted in
        ["<b>bobby</b><i>~", "node, proxy", "192.0.2.1:6001", "1 closed network with 3 members", "and 1 member more"]
    {
        assert!(html.contains(wanted), "{wanted} in {html}");
    }
    assert!(html.contains("http://192.0.2.9:6000/v1/nodes"));
}

#[test]
fn an_empty_server_says_so() {
    let html = rendered(&Overview::default(), "x");
    assert!(html.contains("Nobody is here at the moment."));
}
