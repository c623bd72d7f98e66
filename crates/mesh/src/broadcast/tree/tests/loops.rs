//! Which link goes when copies meet, and how the tree finds back to its shape.

use super::*;

/// Node 100 at three links from root 0: its parent is node 1, node 2 comes after it, node 3 is a stopgap.
fn with_stopgap() -> Tree {
    let mut tree = tree(5);
    tree.placed(&node(2), place(0, 4), at(0));
    asked_for(&mut tree);
    tree.handle_timeout(at(2_300));
    assert!(tree.is_stopgap(&node(3)));
    steps(&mut tree);
    tree
}

fn prunes(tree: &mut Tree) -> Vec<NodeId> {
    let pruned = |step| if let Step::Prune { to } = step { Some(to) } else { None };
    steps(tree).into_iter().filter_map(pruned).collect()
}

#[test]
fn a_stopgap_goes_as_soon_as_the_tree_brings_what_it_brought() {
    let mut tree = with_stopgap();
    arrive(&mut tree, 2, 3, at(3_000));
    tree.again(&message(2), node(1), along(0), at(3_010));
    assert_eq!(prunes(&mut tree), [node(3)], "whichever copy was first");
    assert!(tree.is_eager(&node(1)));
    for entry in [0, 9] {
        let mut tree = with_stopgap();
        arrive(&mut tree, 2, 1, at(3_000));
        tree.again(&message(2), node(3), along(entry), at(3_010));
        assert_eq!(prunes(&mut tree), [node(3)], "wherever it entered the tree");
    }
}

#[test]
fn what_a_stopgap_brings_is_announced_to_the_parent_and_handed_to_the_others() {
    let mut tree = with_stopgap();
    let pushed: Vec<NodeId> = arrive(&mut tree, 2, 3, at(3_000))
        .into_iter()
        .flat_map(|step| if let Step::Push { to, .. } = step { to } else { Vec::new() })
        .collect();
    assert_eq!(pushed, [node(2)], "what the parent hands down shows that the stopgap is not needed");
    tree.handle_timeout(at(3_050));
    assert!(steps(&mut tree).into_iter().any(|step| matches!(step, Step::Have { to, .. } if to == node(1))));
}

#[test]
fn a_loop_of_two_links_that_are_both_of_the_tree_is_closed_elsewhere_and_ends_there() {
    let mut tree = tree(5);
    tree.placed(&node(2), place(0, 4), at(0));
    tree.grafted(&node(4), at(0));
    steps(&mut tree);
    arrive(&mut tree, 1, 2, at(1_000));
    tree.again(&message(1), node(1), along(0), at(1_010));
    assert_eq!(prunes(&mut tree), [], "neither the parent nor one that comes after us");
    tree.again(&message(1), node(4), along(0), at(1_020));
    assert_eq!(prunes(&mut tree), [node(4)], "it is not known to come after us");
}

#[test]
fn whoever_its_parent_pruned_takes_it_again_a_second_later() {
    let mut tree = tree(3);
    tree.pruned(&node(1), at(0));
    assert!(tree.is_eager(&node(2)), "there is another link");
    tree.handle_timeout(at(999));
    assert_eq!(steps(&mut tree), []);
    tree.handle_timeout(at(1_000));
    assert_eq!(steps(&mut tree), [Step::Graft { to: node(1) }]);
}
