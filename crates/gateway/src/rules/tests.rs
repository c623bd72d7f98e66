//! The rules as a table.

use meshline_protocol::message::Role;
use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Code, NodeId};

use super::*;
use crate::directory::Member;

fn member(name: &str, roles: &[Role]) -> Member {
    Member {
        id: NodeId::from_bytes([1; 32]),
        name: name.to_owned(),
        is_name_proved: true,
        roles: roles.to_vec(),
        cost_us: Some(1),
    }
}

fn rules(text: &str) -> Rules {
    serde_json::from_str(text).expect("valid rules")
}

fn target(text: &str) -> OpenStream {
    OpenStream { target: Some(text.parse().expect("a target")), ..OpenStream::default() }
}

#[test]
fn nobody_is_meant_unless_said() {
    let rules = rules(r#"{"expose":[{"name":"web","target":"tcp://127.0.0.1:80"}],"exit":{"rules":[{}]}}"#);
    let anyone = member("alice", &[Role::Node]);
    assert_eq!(
        rules.grant(&target("tcp://127.0.0.1:81"), &anyone),
        Ok(Grant::ByRule("tcp://127.0.0.1:81".parse().expect("valid")))
    );
    let service = OpenStream { service: Some("web".parse().expect("valid")), ..OpenStream::default() };
    assert_eq!(rules.grant(&service, &anyone).expect_err("refused").code, Code::NoSuchService);
    let judged = rules.judge_address([192, 0, 2, 1].into(), 80, &anyone);
    assert_eq!(judged.expect_err("refused").code, Code::Forbidden);
}

#[test]
fn what_is_exposed_is_found_by_name_port_or_target() {
    let rules = rules(
        r#"{"expose":[{"name":"web","target":"tcp://127.0.0.1:80","allow":["*"]},
                      {"name":"dns","target":"udp://10.0.0.1:53","allow":["role:view"]},
                      {"name":"meter","target":"serial:/dev/ttyUSB0,9600","allow":["alice"]}]}"#,
    );
    let alice = member("alice", &[Role::View]);
    let web = Ok(Grant::Exposed("tcp://127.0.0.1:80".parse().expect("valid")));
    assert_eq!(rules.grant(&target("tcp://localhost:80"), &alice), web);
    assert_eq!(rules.grant(&OpenStream { port: Some(80), ..OpenStream::default() }, &alice), web);
    let dns = OpenStream { port: Some(53), udp: true, ..OpenStream::default() };
    assert!(matches!(rules.grant(&dns, &alice), Ok(Grant::Exposed(_))));
    assert!(rules.grant(&OpenStream { udp: false, ..dns.clone() }, &alice).is_err(), "tcp is another port");
    assert!(rules.grant(&dns, &member("alice", &[Role::Node])).is_err(), "another role");
    let meter = target("serial:/dev/ttyUSB0,115200");
    assert_eq!(
        rules.grant(&meter, &alice),
        Ok(Grant::Exposed("serial:/dev/ttyUSB0,9600".parse().expect("valid"))),
        "the speed is the exposer's"
    );
    let both = OpenStream { service: Some("web".parse().expect("valid")), ..target("tcp://127.0.0.1:81") };
    assert_eq!(rules.grant(&both, &alice).expect_err("refused").code, Code::NoSuchService);
    assert_eq!(rules.grant(&OpenStream::default(), &alice).expect_err("refused").code, Code::InvalidMessage);
}

#[test]
fn networks_and_ports_have_edges() {
    let network = |text: &str| Network::try_from(text.to_owned());
    let inside = |text: &str, ip: &str| network(text).expect("valid").contains(ip.parse().expect("valid"));
    assert!(inside("10.0.0.0/8", "10.255.255.255") && !inside("10.0.0.0/8", "11.0.0.0"));
    assert!(inside("192.0.2.1", "192.0.2.1") && !inside("192.0.2.1", "192.0.2.0"));
    assert!(inside("10.0.0.0/8", "::ffff:10.1.1.1") && !inside("::/0", "10.1.1.1"));
    assert!(inside("0.0.0.0/0", "192.0.2.1") && inside("::/0", "2001:db8::1") && !inside("fd00::/8", "fe00::1"));
    for wrong in ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10/8", "", "example.org"] {
        assert!(network(wrong).is_err(), "{wrong}");
    }
    let ports = |text: &str| Ports::try_from(text.to_owned());
    let range = ports("80-443").expect("valid");
    assert!(range.contains(80) && range.contains(443) && !range.contains(79) && !range.contains(444));
    for wrong in ["0", "2-1", "65536", "", "a"] {
        assert!(ports(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn addresses_that_hold_a_guarded_one_are_guarded() {
    let all = rules(r#"{"exit":{"rules":[{"allow":["*"]}]}}"#);
    let open = |ip: &str| all.judge_address(ip.parse().expect("an address"), 80, &member("a", &[])).is_ok();
    for ip in [
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "64:ff9b:1:7f00:0:100::",
        "64:ff9b:1:7f:0:1::",
        "64:ff9b:1::7f:0:100:0",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1::",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ] {
        assert!(!open(ip), "{ip}");
    }
    for ip in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:201"] {
        assert!(open(ip), "{ip}");
    }
}

#[test]
fn a_translated_address_is_judged_by_the_one_it_ends_at() {
    let ten = rules(r#"{"exit":{"rules":[{"allow":["*"],"networks":["10.0.0.0/8"]}]}}"#);
    let six = rules(r#"{"exit":{"rules":[{"allow":["*"],"networks":["::/0"]}]}}"#);
    let open = |rules: &Rules, ip: &str| rules.judge_address(ip.parse().expect("valid"), 80, &member("a", &[])).is_ok();
    for ip in ["64:ff9b::a00:1", "64:ff9b:1::a00:1", "64:ff9b:1:a00:0:100::", "2002:a00:1::", "::ffff:10.0.0.1"] {
        assert!(open(&ten, ip) && !open(&six, ip), "{ip}");
    }
    for ip in ["64:ff9b::c000:201", "64:ff9b:1::c000:201"] {
        assert!(!open(&ten, ip) && !open(&six, ip), "{ip}");
    }
    assert!(open(&six, "2001:db8::1") && open(&six, "64:ff9b:2::1"), "what holds no other is itself");
}

#[test]
fn sockets_are_made_where_a_rule_says_and_nowhere_around() {
    let rules =
        rules(r#"{"exit":{"listen":[{"allow":["alice"],"paths":["/run/mesh/","/tmp/one.sock"]},{"allow":["*"]}]}}"#);
    let may = |path: &str, name: &str| {
        rules.judge_listen(&format!("unix:{path}").parse().expect("a target"), &member(name, &[])).is_ok()
    };
    for path in ["/run/mesh/a", "/run/mesh/..a", "/tmp/one.sock"] {
        assert!(may(path, "alice") && !may(path, "eddy"), "{path}");
    }
    for path in [
        "/run/mesh/",
        "/run/mesh/..",
        "/run/mesh/.",
        "/run/mesh/../x",
        "/run/mesh/a/b",
        "/run/mesh",
        "/tmp/one.sock/x",
        "/tmp/one.sockx",
        "/tmp/two.sock",
    ] {
        assert!(!may(path, "alice"), "{path}");
    }
    for wrong in ["", "run/", "/run/../etc/", "/a//b", "./a"] {
        assert!(SocketPath::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn allow_reads_as_it_is_written() {
    let id = NodeId::from_bytes([1; 32]).to_string();
    for text in ["*", "alice", "role:exit", &id] {
        assert_eq!(Allow::try_from(text.to_owned()).expect("valid").to_string(), text);
    }
    for wrong in ["", "role:", "role:king", "role:other", "a/b"] {
        assert!(Allow::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
    let of_id = Allow::try_from(id).expect("valid");
    assert!(of_id.fits(&member("x", &[])));
    assert!(!Allow::Role(Role::Other).fits(&member("x", &[Role::Other])), "an unknown role is nobody's");
}

#[test]
fn unknown_keys_of_rules_are_refused() {
    for text in [
        r#"{"exits":{}}"#,
        r#"{"exit":{"rules":[{"alow":["*"]}]}}"#,
        r#"{"expose":[{"name":"a","target":"tcp://a:1","to":[]}]}"#,
    ] {
        assert!(serde_json::from_str::<Rules>(text).is_err(), "{text}");
    }
}
