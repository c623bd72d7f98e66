//! Two hosts that reach a third but not each other: a proxy there relays their link.

use meshline_lab::{Lab, Ring, until};
use serde_json::json;

#[test]
fn members_that_cannot_reach_each_other_are_linked_by_a_proxy() {
    let Some(lab) = Lab::new() else { return };
    let sites = [lab.site(), lab.site()];
    let middle = lab.site();
    for site in &sites {
        site.isolate();
    }
    let ring = Ring::write_on(&sites, &middle, "");
    let _signal = ring.start_signal();
    let proxy = ring.start_proxy();
    let nodes = ring.start(2);
    let [bobby, donald] = nodes.as_slice() else { panic!("two nodes") };
    for (node, other) in [(bobby, donald), (donald, bobby)] {
        node.wait_until_linked_to(&[other.name(), "proxy"]);
        let row = until("a relayed row", || node.peer(other.name()).ok_or_else(|| "no row".to_owned()));
        assert_eq!(
            (&row["reachable"], &row["direct"], &row["hops"]),
            (&json!(true), &json!(false), &json!(2)),
            "{row}"
        );
        assert_eq!(row["via"], proxy.id(), "{row}");
        assert_eq!(row["path"], json!([proxy.id(), other.id()]), "{row}");
        let status = node.status();
        let links = status["links"].as_array().expect("links");
        let link = links.iter().find(|link| link["name"] == other.name()).expect("linked");
        assert_eq!(link["transport"], "relay", "{link}");
    }
    proxy.wait_for("relaying a link");
    bobby.chat_to("through the middle", 2);
    assert_eq!(donald.read("through the middle")["name"], "bobby");
}
