//! Members go and come back all the time, and never all of them are there.

use super::{NODES, with_crowd};

/// The next one goes before this many have found back.
const APART: usize = 3;

#[test]
fn each_of_ten_goes_and_comes_back_with_others_on_the_way_and_nobody_misses_anything() {
    with_crowd(&[], |crowd| {
        for at in 0..NODES {
            let node = &mut crowd.nodes[at];
            // Every other one has time to say that it goes.
            if at % 2 == 0 {
                node.process_mut().kill();
            } else {
                node.process_mut().terminate();
            }
            crowd.say((at + NODES / 2) % NODES, &format!("without {at}"));
            crowd.nodes[at].start();
            // Whoever speaks next has been back for a while.
            if let Some(back) = at.checked_sub(APART) {
                crowd.wait_until_read(&[back]);
            }
        }
        crowd.wait_for_one_mesh(&crowd.all());
        crowd.wait_until_read(&crowd.all());
        crowd.say(0, "all are back");
        crowd.wait_until_read(&crowd.all());
    });
}
