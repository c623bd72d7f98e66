//! Addresses before they are dialled.

use super::*;

#[test]
fn an_own_port_is_own_only_at_addresses_of_this_host() {
    let own = OwnPorts(vec![7001]);
    let is = |text: &str| is_own(text.parse().expect("an address"), &own);
    assert!(is("127.0.0.1:7001") && is("0.0.0.0:7001"));
    assert!(!is("127.0.0.1:7002") && !is("192.0.2.1:7001"));
}

#[tokio::test]
async fn what_the_judge_refuses_is_not_dialled_and_its_reason_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let target: Target = format!("tcp://localhost:{}", address.port()).parse().expect("a target");
    let refusal = reach(&target, &|address| Err(refuse(Code::Forbidden, address.ip().to_string()))).await;
    assert_eq!(refusal.err().map(|refusal| refusal.code), Some(Code::Forbidden));
    let only_v4 = |address: SocketAddr| {
        if address.is_ipv4() { Ok(()) } else { Err(refuse(Code::Forbidden, "not this one")) }
    };
    let reached = reach(&target, &only_v4).await.map_err(|refusal| refusal.detail).expect("one address passes");
    assert_eq!(reached.address, Some(address));
}

#[tokio::test]
async fn a_name_that_is_not_found_and_port_0_are_refused() {
    let all = |_: SocketAddr| Ok(());
    let code = |target: &str| {
        let target: Target = target.parse().expect("a target");
        async move { reach(&target, &all).await.err().map(|refusal| refusal.code) }
    };
    assert_eq!(code("tcp://nothing.invalid:80").await, Some(Code::TargetUnreachable));
    assert_eq!(code("tcp://127.0.0.1:0").await, Some(Code::InvalidMessage));
    assert_eq!(code("unix:/nothing/there").await, Some(Code::TargetRefused));
    assert_eq!(code("serial:/dev/nothing-there").await, Some(Code::TargetRefused));
}
