//! Ten members on hosts of their own are parted in halves, and become one again.

use meshline_lab::{Lab, Site};

use super::{NODES, with_crowd};

#[test]
fn halves_that_wrote_while_they_were_parted_have_all_of_it_once_they_are_one_again() {
    let Some(lab) = Lab::new() else { return };
    let sites: Vec<Site> = (0..NODES).map(|_| lab.site()).collect();
    with_crowd(&sites, |crowd| {
        let all = crowd.all();
        let (one, other) = all.split_at(NODES / 2);
        let parted = lab.part(&sites[NODES / 2..]);
        let mut heard = [crowd.said.clone(), crowd.said.clone()];
        // Before anybody has noticed, and when each half knows that it is on its own.
        for (half, heard) in [one, other].into_iter().zip(&mut heard) {
            heard.push(crowd.say(half[0], &format!("is anybody there? {half:?}")));
        }
        for (half, heard) in [one, other].into_iter().zip(&mut heard) {
            crowd.wait_for_one_mesh(half);
            heard.push(crowd.say(half[1], &format!("just us: {half:?}")));
            crowd.wait_until_just_read(half, heard);
        }
        parted.heal();
        crowd.wait_for_one_mesh(&all);
        crowd.wait_until_read(&all);
        crowd.say(other[2], "one again");
        crowd.wait_until_read(&all);
    });
}
