use meshline_protocol::NodeId;

use crate::ring::{RingMember, ring_order};

fn member(n: u8, next: Option<u8>) -> RingMember {
    let address = |n: u8| format!("127.0.0.1:{}", 6000 + u16::from(n)).parse().expect("valid");
    RingMember { id: NodeId::from_bytes([n; 32]), addresses: vec![address(n)], next: next.map(address) }
}

fn order(members: &[(u8, Option<u8>)]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|(n, next)| member(*n, *next)).collect();
    let mut backwards = members.clone();
    backwards.reverse();
    let order = ring_order(&members);
    assert_eq!(order, ring_order(&backwards), "the order in which members are heard of must not matter");
    order.iter().map(|id| id.as_bytes()[0]).collect()
}

#[test]
fn the_configured_order_is_the_order() {
    assert_eq!(order(&[(1, Some(3)), (3, Some(2)), (2, Some(1))]), [1, 3, 2]);
}

#[test]
fn a_missing_member_is_passed_over() {
    assert_eq!(order(&[(1, Some(9)), (3, Some(2)), (2, Some(1))]), [3, 2, 1]);
}

#[test]
fn all_with_the_same_successor_still_make_one_ring() {
    let all = order(&[(1, None), (2, Some(1)), (3, Some(1)), (4, Some(1))]);
    assert_eq!(all.len(), 4);
    let place = |n: u8| all.iter().position(|id| *id == n).expect("present");
    assert_eq!((place(2) + 1) % 4, place(1), "the smallest claimant has the successor it wants");
}

#[test]
fn a_newcomer_stands_before_the_successor_it_names() {
    let ring = order(&[(1, Some(2)), (2, Some(3)), (3, Some(1)), (9, Some(1))]);
    assert_eq!(ring.len(), 4);
    let at = ring.iter().position(|id| *id == 9).expect("present");
    assert_eq!(ring[(at + 1) % 4], 1);
}

#[test]
fn two_circles_become_one_and_nobody_follows_themselves() {
    let ring = order(&[(1, Some(2)), (2, Some(1)), (3, Some(4)), (4, Some(3)), (5, Some(5))]);
    let mut sorted = ring.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4, 5], "{ring:?}");
}
