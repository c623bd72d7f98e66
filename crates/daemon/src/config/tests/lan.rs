//! `lan`: off unless told, and what is wrong with it said where it stands.

use super::{evaluated, faults};
use crate::config::{MemberConfig, NodeConfig, ViewConfig};

const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

fn closed(lan: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "{ID}", "membership": "m", "listen": ["0.0.0.0:1"], "lan": {lan}}}"#)
}

fn open(keys: &str, lan: &str) -> String {
    format!(r#"{{"name": "bobby", "network": "lab", {keys} "lan": {lan}}}"#)
}

const ALL: &str = r#"{"discover": true, "offer": [{"service": "wiki", "listen": "tcp://0.0.0.0:8088"}],
    "import": [{"kind": "_http._tcp", "allow": ["*"]}, {"kind": "_coap._udp", "allow": ["bobby"]}]}"#;

#[test]
fn nothing_is_on_unless_told() {
    let config = evaluated::<NodeConfig>(&open("", "{}")).expect("right").config;
    assert!(!config.lan.is_wanted());
    let config = evaluated::<NodeConfig>(&closed(ALL)).expect("right").config;
    assert!(config.lan.is_wanted() && config.lan.discover);
    let forwards: Vec<_> = config.lan.forwards().collect();
    assert_eq!((forwards.len(), forwards[0].peer.as_str()), (1, "service:wiki"));
    assert_eq!(forwards[0].check(), Ok(()));
    let text = closed(r#"{"discover": true}"#).replace(r#""listen": ["0.0.0.0:1"], "#, "");
    assert!(evaluated::<ViewConfig>(&text).expect("right").config.into_node().lan.discover);
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let offer = |listen: &str| closed(&format!(r#"{{"offer": [{{"service": "wiki", "listen": "{listen}"}}]}}"#));
    let discover = r#"{"discover": true}"#;
    let many = |entry: &str, count: usize| vec![entry; count].join(", ");
    let offers = many(r#"{"service": "wiki", "listen": "tcp://0.0.0.0:0"}"#, 17);
    let imports = many(r#"{"kind": "_http._tcp", "allow": ["*"]}"#, 16);
    for (text, part) in [
        (open("", discover), "/lan/discover: found true on the open network \"lab\""),
        (
            open("\"open\": true, \"plain\": true,", discover),
            "/lan/discover: found true, expected false because of \"plain\"",
        ),
        (offer("tcp://127.0.0.1:80"), "/lan/offer/0/listen: found \"tcp://127.0.0.1:80\", where nobody"),
        (offer("unix:/run/x"), "/lan/offer/0/listen: found \"unix:/run/x\", expected tcp://host:port"),
        (closed(r#"{"offer": [{"service": "A wiki", "listen": "tcp://0.0.0.0:1"}]}"#), "/lan/offer/0/service"),
        (
            closed(
                r#"{"offer": [{"service": "a", "listen": "tcp://0.0.0.0:9"}, {"service": "b", "listen": "tcp://0.0.0.0:9"}]}"#,
            ),
            "/lan/offer/1/listen: found \"tcp://0.0.0.0:9\", where another offer listens",
        ),
        (closed(&format!(r#"{{"offer": [{offers}]}}"#)), "/lan/offer: found 17 entries, expected 16 at most"),
        (
            closed(&format!(r#"{{"offer": [{offers}]}}"#)),
            "/lan/offer/1/service: found the service \"wiki\" a second time",
        ),
        (closed(r#"{"import": [{"kind": "http", "allow": ["*"]}]}"#), "/lan/import/0/kind"),
        (closed(&format!(r#"{{"import": [{imports}]}}"#)), "/lan/import: found 16 entries, expected 15 at most"),
        (
            closed(&format!(r#"{{"import": [{imports}]}}"#)),
            "/lan/import/1/kind: found the kind \"_http._tcp\" a second time",
        ),
        (
            open("", r#"{"import": [{"kind": "_http._tcp", "allow": ["bobby"]}]}"#),
            "/lan/import/0/allow/0: found the name",
        ),
        (closed(r#"{"discovers": true}"#), "did you mean \"discover\"?"),
    ] {
        let found = faults::<NodeConfig>(&text);
        assert!(found.iter().any(|found| found.contains(part)), "{part}\nin {found:#?}");
    }
    let forwards = r#""forwards": [{"listen": "tcp://0.0.0.0:8088", "peer": "web"}],"#;
    let found =
        faults::<NodeConfig>(&open(forwards, r#"{"offer": [{"service": "wiki", "listen": "tcp://0.0.0.0:8088"}]}"#));
    assert!(found.iter().any(|found| found.contains("where a forward listens")), "{found:?}");
}

#[test]
fn what_is_doubtful_is_a_warning() {
    for (text, part) in [
        (closed(r#"{"discover": true}"#).replace("0.0.0.0", "127.0.0.1"), "finds others only"),
        (closed(r#"{"import": [{"kind": "_http._tcp"}]}"#), "nobody may use what is found"),
    ] {
        let warnings = evaluated::<NodeConfig>(&text).expect("right").warnings;
        assert!(warnings.iter().any(|warning| warning.to_string().contains(part)), "{warnings:?}");
    }
}
