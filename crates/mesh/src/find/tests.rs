//! When the node is to be woken for what it looks for.

use super::*;

#[test]
fn without_a_link_nobody_is_to_be_asked() {
    let mut find = Find::new(Mono(0));
    find.settle_at = Some((Mono(5), FIRST_SETTLE));
    assert_eq!((find.next_timeout(true), find.next_timeout(false)), (Some(Mono(5)), None));
}
