use meshline_protocol::NodeId;

use crate::event::Direction::{Inbound, Outbound};
use crate::input::Transport::{Relay, Tcp};
use crate::link::{Contender, newer_wins};

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

#[test]
fn both_sides_keep_the_same_of_two_links() {
    for (first, second) in [(Outbound, Inbound), (Inbound, Outbound), (Outbound, Outbound), (Inbound, Inbound)] {
        for (one, two) in [(Tcp, Tcp), (Tcp, Relay), (Relay, Tcp), (Relay, Relay)] {
            let mirrored = |direction| if direction == Outbound { Inbound } else { Outbound };
            let here = newer_wins(
                id(1),
                id(2),
                Contender { transport: one, direction: first },
                Contender { transport: two, direction: second },
            );
            let there = newer_wins(
                id(2),
                id(1),
                Contender { transport: one, direction: mirrored(first) },
                Contender { transport: two, direction: mirrored(second) },
            );
            assert_eq!(here, there, "{first:?} {one:?}, then {second:?} {two:?}");
        }
    }
}

#[test]
fn the_order_in_which_two_crossing_links_are_seen_does_not_matter() {
    let (ours, theirs) =
        (Contender { transport: Tcp, direction: Outbound }, Contender { transport: Tcp, direction: Inbound });
    assert!(!newer_wins(id(1), id(2), ours, theirs), "the smaller id dialled the first");
    assert!(newer_wins(id(1), id(2), theirs, ours), "the smaller id dialled the second");
}

#[test]
fn a_direct_link_replaces_a_relayed_one_and_never_the_other_way() {
    for direction in [Outbound, Inbound] {
        let relayed = Contender { transport: Relay, direction };
        let direct = Contender { transport: Tcp, direction };
        assert!(newer_wins(id(1), id(2), relayed, direct));
        assert!(!newer_wins(id(1), id(2), direct, relayed));
    }
}
