//! Which link leads to the root, and what becomes of the others.

use super::super::peer::PLACES;
use super::super::place::{DISTRUST, GAIN_EVERY, GAINS_AT_ONCE, HOLD, MAX_HOPS};
use super::*;

fn tell(tree: &mut Tree, from: u8, said: BroadcastPlace, now: Mono) -> Vec<Step> {
    tree.placed(&node(from), said, now);
    steps(tree)
}

fn graft(to: u8) -> Step {
    Step::Graft { to: node(to) }
}

fn prune(to: u8) -> Step {
    Step::Prune { to: node(to) }
}

/// What is told when it is time.
fn told(tree: &mut Tree, now: Mono) -> Vec<BroadcastPlace> {
    tree.handle_timeout(now);
    let told = |step| if let Step::Place { place, .. } = step { Some(place) } else { None };
    steps(tree).into_iter().filter_map(told).collect()
}

#[test]
fn a_link_is_lazy_unless_it_leads_to_the_least_root_over_the_fewest_links() {
    let mut tree = linked(4);
    assert_eq!(steps(&mut tree), [], "a link that comes up costs nothing yet");
    assert_eq!(tell(&mut tree, 1, place(120, 0), at(0)), [], "our own id is less");
    assert_eq!(tell(&mut tree, 1, place(50, 1), at(1)), [graft(1)]);
    assert_eq!(tell(&mut tree, 2, place(50, 1), at(2)), [], "as good is no better");
    assert_eq!(tell(&mut tree, 2, place(50, 0), at(3)), [prune(1), graft(2)]);
    assert_eq!(tell(&mut tree, 3, place(49, 9), at(4)), [prune(2), graft(3)]);
    assert_eq!(tree.eager_peers().collect::<Vec<_>>(), [node(3)]);
}

#[test]
fn a_place_is_told_to_all_a_little_later_and_once() {
    let mut tree = linked(3);
    tell(&mut tree, 1, place(50, 1), at(10));
    assert_eq!(told(&mut tree, at(99)), []);
    assert_eq!(told(&mut tree, at(100)), [place(50, 2); 3]);
    tree.link_up(node(4), at(200));
    assert_eq!(told(&mut tree, at(300)), [place(50, 2)], "the others know it");
    assert_eq!(tree.next_timeout(), None);
}

#[test]
fn a_node_that_passes_nothing_on_takes_a_link_and_tells_no_place() {
    let mut tree = Tree::new(node(1), true, 1);
    tree.link_up(node(2), at(0));
    assert_eq!(tell(&mut tree, 2, place(2, 0), at(0)), [graft(2)], "however little its own id is");
    assert_eq!(told(&mut tree, at(1_000)), []);
}

#[test]
fn a_lost_root_is_not_heard_of_from_those_who_come_after_us() {
    let mut tree = linked(3);
    tell(&mut tree, 1, place(50, 3), at(0));
    // It comes after us, and has not heard of what follows.
    tell(&mut tree, 2, place(50, 5), at(1));
    assert_eq!(told(&mut tree, at(100)), [place(50, 4); 3]);
    let now = at(60_000);
    tree.link_down(&node(1), now);
    assert!(!steps(&mut tree).is_empty(), "it is without a link, and takes one for now");
    assert_eq!(told(&mut tree, now.after(SECOND)), [place(100, 0); 2]);
    assert!(tell(&mut tree, 3, place(50, 3), now.after(SECOND)).contains(&graft(3)), "nearer than we were");
    tree.link_down(&node(3), now.after(SECOND));
    told(&mut tree, now.after(2 * SECOND));
    // What is still said when all have heard of it holds.
    tree.handle_timeout(now.after(SECOND + HOLD));
    assert!(steps(&mut tree).contains(&graft(2)));
}

#[test]
fn two_that_are_as_far_never_take_each_other() {
    let mut tree = linked(3);
    let (mut less, mut more) = (Tree::new(node(101), false, 1), Tree::new(node(102), false, 1));
    for (tree, other) in [(&mut less, 102), (&mut more, 101)] {
        tree.link_up(node(1), at(0));
        tree.link_up(node(other), at(0));
        tell(tree, 1, place(50, 3), at(0));
        tell(tree, other, place(50, 4), at(100));
    }
    less.link_down(&node(1), at(200));
    more.link_down(&node(1), at(200));
    assert_eq!(told(&mut less, at(300)), [place(101, 0)]);
    assert_eq!(told(&mut more, at(300)), [place(50, 5)]);
    assert_eq!(tell(&mut tree, 1, place(50, MAX_HOPS), at(0)), [], "wrong news ends somewhere");
}

#[test]
fn whoever_draws_the_tree_to_itself_again_and_again_does_so_once_in_five_seconds_in_the_end() {
    let mut tree = linked(2);
    tell(&mut tree, 1, place(50, 9), at(0));
    let mut drawn = 0_u32;
    for round in 0..600_u64 {
        let now = at(1_000 * (round + 1));
        // It says that it is near, and when it has been taken that it is not.
        let near = place(if round % 2 == 0 { 10 } else { 60 }, 1);
        drawn += u32::from(tell(&mut tree, 2, near, now).contains(&graft(2)));
    }
    let later = 600 / u32::try_from(GAIN_EVERY.as_secs()).expect("small");
    println!("taken {drawn} times of 300 in ten minutes");
    assert!((GAINS_AT_ONCE..=GAINS_AT_ONCE + later + 1).contains(&drawn), "{drawn}");
}

#[test]
fn of_a_peer_that_tells_too_many_places_none_is_believed() {
    let mut tree = linked(2);
    assert_eq!((0..=PLACES.burst).filter(|_| tree.placed(&node(1), place(50, 1), at(0))).count(), 128);
    assert!(!tree.is_eager(&node(1)));
    tree.placed(&node(1), place(50, 1), at(1_000));
    assert!(tree.is_eager(&node(1)));
}

#[test]
fn a_peer_that_is_very_late_leads_nowhere_for_a_while() {
    let mut tree = linked(3);
    tell(&mut tree, 1, place(50, 1), at(0));
    tell(&mut tree, 2, place(50, 1), at(0));
    tree.grafted(&node(3), at(0));
    arrive(&mut tree, 1, 3, at(0));
    tree.again(&message(1), node(1), along(7), at(2_000));
    assert!(tree.is_eager(&node(2)) && !tree.is_eager(&node(1)));
    tell(&mut tree, 1, place(50, 0), at(10_000));
    assert!(!tree.is_eager(&node(1)), "however near it says that it is");
    tell(&mut tree, 1, place(50, 0), at(2_000).after(DISTRUST));
    assert!(tree.is_eager(&node(1)));
}

#[test]
fn a_loop_ends_at_the_link_that_was_taken_for_want_of_another() {
    let mut tree = tree(4);
    asked_for(&mut tree);
    tree.handle_timeout(at(2_300));
    steps(&mut tree);
    assert!(tree.is_eager(&node(3)));
    arrive(&mut tree, 2, 3, at(5_000));
    tree.again(&message(2), node(1), along(0), at(5_001));
    assert_eq!(steps(&mut tree), [prune(3)], "node 1 leads to the root");
}
