//! Ten members on hosts of their own are parted in halves, and become one again.

use meshline_lab::{Lab, Site};

use super::{Crowd, NODES};

#[test]
fn halves_that_wrote_while_they_were_parted_have_all_of_it_once_they_are_one_again() {
    let Some(lab) = Lab::new() else { return };
    let sites: Vec<Site> = (0..NODES).map(|_| lab.site()).collect();
    let mut crowd = Crowd::start(NODES, &sites);
    let all: Vec<usize> = (0..NODES).collect();
    let (one, other) = all.split_at(NODES / 2);
    let parted = lab.part(&sites[NODES / 2..]);
    for half in [one, other] {
        crowd.say(half[0], &format!("{half:?}: is anybody there?"));
    }
    let before = crowd.said.clone();
    for half in [one, other] {
        crowd.wait_for_one_mesh(half);
        crowd.say(half[1], &format!("{half:?}: we are on our own"));
    }
    for half in [one, other] {
        let mine = format!("{half:?}: ");
        let theirs = crowd.said.extract_if(.., |text| text.starts_with('[') && !text.starts_with(&mine));
        let theirs: Vec<String> = theirs.collect();
        crowd.wait_until_read(half);
        crowd.said.extend(theirs);
    }
    assert!(before.len() < crowd.said.len());
    parted.heal();
    crowd.wait_for_one_mesh(&all);
    crowd.wait_until_read(&all);
    crowd.say(other[2], "one again");
    crowd.wait_until_read(&all);
}
