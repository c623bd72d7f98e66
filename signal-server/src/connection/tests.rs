use std::sync::Arc;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn one_address_gets_so_many_connections_and_they_come_free_again() {
    let slots = Arc::new(Slots::default());
    let mut held: Vec<Slot> =
        (0..MAX_CONNECTIONS_PER_ADDRESS).map(|_| slots.take(ip("192.0.2.1")).expect("room")).collect();
    assert_eq!(slots.take(ip("192.0.2.1")).expect_err("beyond"), NoSlot::Address);
    drop(slots.take(ip("192.0.2.2")).expect("another address"));
    held.pop();
    held.push(slots.take(ip("192.0.2.1")).expect("room again"));
    drop(held);
    assert_eq!(slots.total(), 0);
    assert!(slots.lock().by_account.is_empty(), "who is not connected is not remembered");
}

#[test]
fn loopback_is_limited_by_the_total_alone() {
    let slots = Arc::new(Slots::default());
    let _held: Vec<Slot> = (0..MAX_CONNECTIONS).map(|_| slots.take(ip("127.0.0.1")).expect("room")).collect();
    assert_eq!(slots.take(ip("127.0.0.1")).expect_err("beyond"), NoSlot::Total);
    assert_eq!(slots.take(ip("192.0.2.1")).expect_err("beyond"), NoSlot::Total);
}
