//! Three, five and eight of ten die at one instant, and half of them hang.

use meshline_lab::Member;

use super::with_crowd;

#[test]
fn three_then_five_then_eight_of_ten_die_at_once_and_the_others_are_one_mesh_each_time() {
    with_crowd(&[], |crowd| {
        for gone in [0..3, 4..9, 2..10] {
            let alive = crowd.but(&gone);
            let struck: Vec<usize> = gone.clone().collect();
            crowd.strike(&struck, "KILL");
            crowd.say(alive[0], &format!("{} die", gone.len()));
            crowd.nodes[gone.clone()].iter_mut().for_each(|node| node.process_mut().kill());
            crowd.wait_for_one_mesh(&alive);
            crowd.say(alive[1], &format!("{} are dead", gone.len()));
            crowd.wait_until_read(&alive);
            // They come back, and have what was said without them.
            crowd.nodes[gone].iter_mut().for_each(Member::start);
            crowd.wait_for_one_mesh(&crowd.all());
            crowd.wait_until_read(&crowd.all());
        }
    });
}

#[test]
fn half_of_ten_hang_without_a_word_and_have_what_was_said_when_they_go_on() {
    with_crowd(&[], |crowd| {
        let hung = 3..8;
        let alive = crowd.but(&hung);
        let struck: Vec<usize> = hung.collect();
        crowd.strike(&struck, "STOP");
        crowd.say(alive[0], "whoever is there");
        crowd.wait_for_one_mesh(&alive);
        crowd.say(alive[1], "half of us");
        crowd.wait_until_read(&alive);
        crowd.strike(&struck, "CONT");
        crowd.wait_for_one_mesh(&crowd.all());
        crowd.wait_until_read(&crowd.all());
        crowd.say(struck[0], "here again");
        crowd.wait_until_read(&crowd.all());
    });
}
