//! What a node says of members whose links ended.

use meshline_sim::{Pair, SECOND, seed};

#[test]
fn who_was_linked_says_that_nobody_is_at_the_moment() {
    let mut pair = Pair::linked(seed(1));
    pair.run_for(60 * SECOND);
    pair.kill(1);
    pair.run_for(60 * SECOND);
    let ready = pair.status(0).ready;
    assert_eq!((ready.ready, ready.reason.as_str()), (true, "alone: no other member is linked at the moment"));
    pair.restart(0);
    pair.run_for(60 * SECOND);
    assert_eq!(pair.status(0).ready.reason, "alone: no other member could be linked so far", "a new run, a new start");
}
