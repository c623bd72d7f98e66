//! What an exit lets pass, and the search for one.

use meshline_gateway::{Allow, ExitRule, ExitRules, Gateway, GatewaySettings, Rules};
use meshline_protocol::message::Role;
use meshline_protocol::{Code, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

fn anything() -> ExitRules {
    let rule: ExitRule = serde_json::from_str(r#"{"allow":["*"]}"#).unwrap();
    ExitRules { rules: vec![rule], listen: vec![] }
}

async fn refused(from: &Gateway, peer: &str, target: &str) -> Code {
    within(from.connect(peer, Some(target.parse().unwrap()))).await.unwrap_err().code
}

#[tokio::test]
async fn an_exit_without_rules_reaches_nothing() {
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let alice = members.plain(2, "alice").await;
    for target in ["tcp://192.0.2.1:80", "udp://192.0.2.1:53", "unix:/run/x", "serial:/dev/ttyS0"] {
        assert_eq!(refused(&alice, "bobby", target).await, Code::Forbidden, "{target}");
    }
}

#[tokio::test]
async fn no_exit_rule_opens_loopback_link_local_multicast_or_devices() {
    let members = Members::default();
    let settings = GatewaySettings { rules: Rules { exit: anything(), ..Rules::default() }, ..Default::default() };
    let _bobby = members.start(1, "bobby", &[Role::Exit], settings).await;
    let alice = members.plain(2, "alice").await;
    let port = echo_server().await.port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.1.1", "224.0.0.1", "[fe80::1]"]
    {
        let target = format!("tcp://{host}:{port}");
        assert_eq!(refused(&alice, "bobby", &target).await, Code::Forbidden, "{target}");
        assert_eq!(refused(&alice, "auto", &target).await, Code::Forbidden, "{target}");
    }
    assert_eq!(refused(&alice, "bobby", "unix:/run/x").await, Code::Forbidden);
    assert_eq!(refused(&alice, "bobby", "serial:/dev/ttyS0").await, Code::Forbidden);
}

#[tokio::test]
async fn a_member_that_was_started_anew_is_asked_once_more_and_no_oftener() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    members.pipes.forget(id(1));
    let connected = within(alice.connect("service:echo", None)).await;
    assert!(connected.is_ok(), "{connected:?}");
    members.pipes.forget(id(1));
    members.pipes.forget(id(1));
    assert_eq!(refused(&alice, "bobby", &target.to_string()).await, Code::TunnelLost);
}

#[tokio::test]
async fn what_is_exposed_goes_to_those_it_is_meant_for() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let rules = Rules { expose: vec![expose("echo", &target, &["alice"])], ..Rules::default() };
    let bobby = members.start(1, "bobby", &[], GatewaySettings { rules, ..Default::default() }).await;
    let alice = members.plain(2, "alice").await;
    let eddy = members.plain(3, "eddy").await;
    assert!(alice.connect("bobby", Some(target.clone())).await.is_ok());
    assert_eq!(refused(&eddy, "bobby", &target.to_string()).await, Code::Forbidden);
    assert_eq!(within(eddy.connect("service:echo", None)).await.unwrap_err().code, Code::NoSuchService);
    bobby.set_exposed(vec![expose("echo", &target, &["role:node"])]);
    assert!(eddy.connect("service:echo", None).await.is_ok());
    bobby.set_exposed(vec![expose("echo", &target, &[])]);
    assert_eq!(refused(&alice, "bobby", &target.to_string()).await, Code::Forbidden);
    assert_eq!(bobby.report().served.refused.values().sum::<u64>(), 3);
}

#[tokio::test]
async fn auto_finds_who_reaches_the_target_and_remembers_it() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let dead = tcp(closed_port().await);
    // The nearest has a rule for nothing, the next exposes a dead port, the third reaches it.
    let near = members.start(1, "near", &[Role::Exit], GatewaySettings::default()).await;
    let exposing = |target: &Target| {
        let rules = Rules { expose: vec![expose("x", target, &["*"])], ..Rules::default() };
        GatewaySettings { rules, ..GatewaySettings::default() }
    };
    let far = members.start(3, "far", &[Role::Exit], exposing(&target)).await;
    let alice = members.plain(9, "alice").await;
    let connected = within(alice.connect("auto", Some(target.clone()))).await.unwrap();
    assert_eq!(connected.stream.peer(), id(3));
    let near_before = near.report().served.connections;
    within(alice.connect("auto", Some(target.clone()))).await.unwrap();
    assert_eq!(near.report().served.connections, near_before, "who worked is asked first");
    // It moves to another member.
    far.set_exposed(vec![]);
    near.set_exposed(vec![expose("x", &target, &["*"])]);
    let connected = within(alice.connect("auto", Some(target))).await.unwrap();
    assert_eq!(connected.stream.peer(), id(1));
    near.set_exposed(vec![expose("x", &dead, &["*"])]);
    let refusal = within(alice.connect("auto", Some(dead))).await.unwrap_err();
    assert_eq!(refusal.code, Code::TargetRefused);
    assert!(
        refusal.detail.contains("near: target_refused") && refusal.detail.contains("far: forbidden"),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn without_an_exit_auto_says_so() {
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let alice = members.plain(2, "alice").await;
    let refusal = within(alice.connect("auto", Some("tcp://192.0.2.1:80".parse().unwrap()))).await.unwrap_err();
    assert_eq!(refusal.code, Code::NoRoute);
    assert!(refusal.detail.contains("role exit"), "{refusal:?}");
}

#[tokio::test]
async fn a_serial_device_is_found_and_serves_one_at_a_time() {
    let (mut device, path) = device();
    let target: Target = format!("serial:{path},9600").parse().unwrap();
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let _donald = members.exposing(3, "donald", "meter", &target).await;
    let alice = members.plain(2, "alice").await;
    let mut connected = within(alice.connect("auto", Some(target.clone()))).await.unwrap();
    assert_eq!(connected.stream.peer(), id(3));
    connected.stream.write_all(b"ask\n").await.unwrap();
    let mut asked = [0; 4];
    let _device = within(tokio::task::spawn_blocking(move || {
        std::io::Read::read_exact(&mut device, &mut asked).unwrap();
        std::io::Write::write_all(&mut device, b"42\n").unwrap();
        assert_eq!(&asked, b"ask\n", "raw, with nothing changed");
        device
    }))
    .await
    .unwrap();
    let mut answer = [0; 3];
    within(connected.stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"42\n", "raw, with nothing added");
    let busy = within(alice.connect("donald", Some(target))).await.unwrap_err();
    assert_eq!((busy.code, busy.detail.contains("in use")), (Code::TargetRefused, true), "{busy:?}");
}

fn rules_of(expose: Vec<meshline_gateway::Expose>) -> GatewaySettings {
    GatewaySettings { rules: Rules { expose, ..Rules::default() }, ..Default::default() }
}

#[tokio::test]
async fn what_is_exposed_through_another_member_is_reached_there_by_its_rules() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let payloads = udp(udp_echo_server().await);
    let eddy = members
        .start(
            3,
            "eddy",
            &[Role::Exit],
            rules_of(vec![expose("web", &target, &["bobby"]), expose("dns", &payloads, &["bobby"])]),
        )
        .await;
    let through = vec![expose_via("web", &target, "eddy"), expose_via("dns", &payloads, "auto")];
    let bobby = members.start(1, "bobby", &[], rules_of(through)).await;
    let alice = members.plain(2, "alice").await;
    assert_eq!(refused(&alice, "eddy", &target.to_string()).await, Code::Forbidden, "only bobby may");
    let mut connected = within(alice.connect("bobby", Some(target.clone()))).await.unwrap();
    assert_eq!(connected.stream.peer(), id(1));
    connected.stream.write_all(b"hello").await.unwrap();
    connected.stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(connected.stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"hello", "to the end in both directions");
    let connected = within(alice.connect("bobby", Some(payloads))).await.unwrap();
    let flow = connected.flow.unwrap();
    within(async {
        loop {
            flow.send(bytes::Bytes::from_static(b"ask"));
            let answered = tokio::time::timeout(std::time::Duration::from_millis(500), flow.recv()).await;
            if let Ok(answer) = answered {
                return assert_eq!(answer.as_deref(), Some(b"ask".as_slice()));
            }
        }
    })
    .await;
    // What goes wrong there is told here.
    eddy.set_exposed(vec![]);
    assert_eq!(refused(&alice, "bobby", &target.to_string()).await, Code::Forbidden);
    bobby.set_exposed(vec![expose_via("web", &target, "nobody")]);
    assert_eq!(refused(&alice, "bobby", &target.to_string()).await, Code::NoSuchPeer);
}

#[tokio::test]
async fn members_that_expose_through_each_other_end_after_some_hops() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let bobby = members.start(1, "bobby", &[], rules_of(vec![expose_via("web", &target, "eddy")])).await;
    let eddy = members.start(3, "eddy", &[], rules_of(vec![expose_via("web", &target, "bobby")])).await;
    let alice = members.plain(2, "alice").await;
    let refusal = within(alice.connect("bobby", Some(target))).await.unwrap_err();
    assert_eq!(refusal.code, Code::TargetUnreachable);
    assert!(refusal.detail.contains("3 members have passed this on"), "{refusal:?}");
    let served = |of: &Gateway| of.report().served.connections;
    assert_eq!((served(&bobby), served(&eddy)), (2, 2), "the fourth refuses");
}

#[tokio::test]
async fn a_file_that_is_no_device_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let target: Target = format!("serial:{}", file.path().to_str().unwrap()).parse().unwrap();
    let members = Members::default();
    let _bobby = members.exposing(1, "bobby", "file", &target).await;
    let alice = members.plain(2, "alice").await;
    assert_eq!(within(alice.connect("bobby", Some(target))).await.unwrap_err().code, Code::TargetUnreachable);
}

/// A terminal device and what stands for the machine behind it.
fn device() -> (std::fs::File, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let behind = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&behind).unwrap();
    unlockpt(&behind).unwrap();
    let path = ptsname(&behind, vec![]).unwrap().into_string().unwrap();
    (behind.into(), path)
}

#[tokio::test]
async fn rules_name_members_only_where_names_are_proved() {
    let member = |proved| meshline_gateway::Member {
        id: id(1),
        name: "alice".to_owned(),
        is_name_proved: proved,
        roles: vec![],
        cost_us: None,
    };
    let allow = Allow::try_from("alice".to_owned()).unwrap();
    assert!(allow.fits(&member(true)) && !allow.fits(&member(false)));
}

/// An address of this host beyond loopback, whose traffic stays on the host; nothing is sent to find it.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[tokio::test]
async fn an_exit_rule_opens_its_network_and_ports_but_never_own_ports() {
    let Some(ip) = own_address() else {
        eprintln!("skipped: this host has no address beyond loopback");
        return;
    };
    let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let rule = |ports: &str| -> Rules {
        let rule = format!(r#"{{"exit":{{"rules":[{{"allow":["*"],"networks":["{ip}"],"ports":["{ports}"]}}]}}}}"#);
        serde_json::from_str(&rule).unwrap()
    };
    let exit = |own: Vec<u16>| GatewaySettings {
        rules: rule(&address.port().to_string()),
        own_ports: meshline_gateway::OwnPorts(own),
        ..Default::default()
    };
    let members = Members::default();
    let bobby = members.start(1, "bobby", &[Role::Exit], exit(vec![])).await;
    let _eddy = members.start(3, "eddy", &[], exit(vec![address.port()])).await;
    let alice = members.plain(2, "alice").await;
    let connected = within(alice.connect("auto", Some(tcp(address)))).await.unwrap();
    assert_eq!(connected.opened.address, Some(address.into()));
    assert_eq!(refused(&alice, "eddy", &tcp(address).to_string()).await, Code::Forbidden);
    bobby.set_rules(rule("1-2"));
    assert_eq!(refused(&alice, "bobby", &tcp(address).to_string()).await, Code::Forbidden);
}

#[tokio::test]
async fn a_member_has_as_many_streams_here_as_the_bound_says_and_others_still_get_theirs() {
    use meshline_gateway::Carrier;
    use meshline_gateway::limits::MAX_SERVED_PER_MEMBER;
    let members = Members::default();
    let bobby = members.plain(1, "bobby").await;
    let _alice = members.plain(2, "alice").await;
    let hostile = members.pipes.join(id(2));
    let mut held = vec![];
    for _ in 0..MAX_SERVED_PER_MEMBER {
        held.push(hostile.open(id(1)).await.unwrap());
    }
    within(async {
        while bobby.report().served.open < MAX_SERVED_PER_MEMBER as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut one_more = hostile.open(id(1)).await.unwrap();
    assert!(within(one_more.read_u8()).await.is_err());
    let eddy = members.plain(3, "eddy").await;
    assert_eq!(refused(&eddy, "bobby", "tcp://192.0.2.1:80").await, Code::Forbidden, "an answer");
    held.pop();
    let mut again = hostile.open(id(1)).await.unwrap();
    again.write_all(b"{\"open\":{}}\n").await.unwrap();
    assert_eq!(within(again.read_u8()).await.unwrap(), b'{');
}
