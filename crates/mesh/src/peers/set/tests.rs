//! Who is chosen, who goes, who shares a prefix.

use std::collections::BTreeSet;
use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_protocol::message::LinkPurpose;
use meshline_protocol::{Address, Code, NodeId, UnixMicros};

use super::draw::Draw;
use super::eviction::{Candidate, evicted};
use super::far::{far_place, position};
use super::group::{Group, is_counted};
use super::knocks::{Knocks, MANY};
use super::parting::{MAX_PARTING, PARTED};
use super::purposes::Purposes;
use super::shape::Shape;
use super::trial::TRIAL;
use super::{Around, Choice, LinkSet};
use crate::config::Config;
use crate::gossip::Members;
use crate::input::{LinkId, Transport};
use crate::link::Links;
use crate::now::{Mono, Now};
use crate::peers::book::Book;
use crate::shared::{Shared, UpPeer};

pub(super) fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// How far two ids are from each other on the ring, the shorter way round.
fn distance(one: &NodeId, other: &NodeId) -> u64 {
    let clockwise = position(one).wrapping_sub(position(other));
    clockwise.min(clockwise.wrapping_neg())
}

fn shared() -> Shared {
    let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
    let now = Now { mono: Mono(0), wall: UnixMicros::new(1_800_000_000_000_000) };
    Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], now)
}

fn group(text: &str) -> Group {
    Group::of(&address(text))
}

#[test]
fn every_shape_has_room_for_what_it_promises_and_a_place_for_newcomers() {
    assert_eq!(Shape::of(3), None);
    for links in 4..=4_096 {
        let shape = Shape::of(links).expect("enough links");
        assert!(shape.room < links, "{links}: {shape:?}");
        assert!(shape.fill < shape.room, "{links}: {shape:?}");
        assert!(2 * shape.side + shape.far <= shape.room, "{links}: {shape:?}");
    }
    let eight = Shape::of(8).expect("enough links");
    assert_eq!((eight.side, eight.near, eight.far, eight.fill, eight.room), (1, 1, 2, 6, 7));
    let default = Shape::of(64).expect("enough links");
    assert_eq!((default.side, default.near, default.far, default.fill, default.room), (2, 8, 16, 52, 60));
}

#[test]
fn so_few_links_that_nothing_can_be_mixed_have_no_shape_and_four_have_one() {
    assert!((0..4).all(|links| Shape::of(links).is_none()));
    let four = Shape::of(4).expect("enough links");
    assert_eq!((four.side, four.near, four.far, four.fill, four.room), (1, 1, 1, 2, 3));
}

/// Ids as good as random.
fn ids(count: u32) -> Vec<NodeId> {
    use sha2::{Digest, Sha256};
    (0..count).map(|n| NodeId::from_bytes(Sha256::digest(n.to_be_bytes()).into())).collect()
}

#[test]
fn both_ends_agree_on_what_is_drawn_and_another_number_draws_others() {
    let ids = ids(300);
    let draw = |nonce: &str| Draw::new(nonce, ids.iter().copied(), 1);
    let (one, other) = (draw("a"), draw("b"));
    let mut same = 0;
    for id in &ids {
        let partners: Vec<NodeId> = one.partners(id).into_iter().take(4).collect();
        assert_eq!(partners.len(), 4);
        assert!(partners.iter().all(|partner| one.agrees(partner, id, 4) && one.agrees(id, partner, 4)));
        same += other.partners(id).into_iter().take(4).filter(|partner| partners.contains(partner)).count();
    }
    assert!(same < 300, "{same} of 1,200 are the same");
}

#[test]
fn what_is_drawn_is_spread_over_the_distances_and_never_a_neighbour() {
    let mut order = ids(512);
    order.sort_unstable();
    let draw = Draw::new("a", order.iter().copied(), 2);
    let (mut octaves, mut chosen) = ([0_usize; 9], std::collections::BTreeMap::<NodeId, usize>::new());
    for (at, id) in order.iter().enumerate() {
        for partner in draw.partners(id).into_iter().take(2) {
            let other = order.iter().position(|id| *id == partner).expect("one of them");
            let ahead = (other + order.len() - at) % order.len();
            let distance = ahead.min(order.len() - ahead);
            assert!(distance > 2, "a neighbour");
            octaves[usize::try_from(distance.ilog2()).expect("small")] += 1;
            *chosen.entry(partner).or_default() += 1;
        }
    }
    // 1,024 draws over the octaves from 4 to 256.
    assert!(octaves[2..8].iter().all(|count| *count > 60), "{octaves:?}");
    assert!(chosen.values().all(|count| *count <= 12), "nobody is chosen by many");
}

#[test]
fn whoever_is_alone_or_among_neighbours_only_is_drawn_with_nobody() {
    let few = ids(5);
    let draw = Draw::new("a", few.iter().copied(), 2);
    assert!(few.iter().all(|id| draw.partners(id).is_empty()));
    assert!(Draw::new("a", std::iter::empty(), 1).partners(&id(1)).is_empty());
}

#[test]
fn purposes_are_told_and_read_alike_and_unknown_ones_are_nothing() {
    let purposes = Purposes::from_iter([LinkPurpose::Far, LinkPurpose::Ring, LinkPurpose::Other]);
    assert_eq!(purposes.names(), ["ring", "far"]);
    assert_eq!(Purposes::from_iter(purposes.told().purposes.iter().copied()), purposes);
    assert!(purposes.is_needed());
    assert!(!Purposes::from_iter([LinkPurpose::Other, LinkPurpose::Entry]).is_needed());
}

#[test]
fn addresses_of_one_prefix_are_one_group_and_private_ones_are_not_counted() {
    assert_eq!(group("203.0.113.7:1"), group("203.0.9.200:6000"));
    assert_ne!(group("203.0.113.7:1"), group("203.1.113.7:1"));
    assert_eq!(group("[2001:db8:1::7]:1"), group("[2001:db8:1:ff::]:1"));
    assert_ne!(group("[2001:db8:1::7]:1"), group("[2001:db8:2::7]:1"));
    assert_eq!(group("[::ffff:203.0.113.7]:1"), group("203.0.113.7:1"));
    assert_eq!(group("one.example.org:1"), group("two.example.org:1"));
    assert_ne!(group("one.example.org:1"), group("one.example.net:1"));
    for private in
        ["127.0.0.1:1", "10.1.2.3:1", "192.168.1.7:1", "[::1]:1", "[fd00::1]:1", "localhost:1", "[fe80::1]:1"]
    {
        assert!(!is_counted(&address(private)), "{private}");
    }
    for counted in ["203.0.113.7:1", "[2001:db8::1]:1", "example.org:1", "[::ffff:8.8.8.8]:1"] {
        assert!(is_counted(&address(counted)), "{counted}");
    }
}

#[test]
fn far_places_are_as_often_in_each_octave_of_distance() {
    let mut shared = shared();
    let (members, draws) = (1_000, 20_000);
    let mut octaves = [0_u32; 64];
    for _ in 0..draws {
        let away = distance(&shared.id.clone(), &far_place(&mut shared, members));
        octaves[usize::try_from(away.max(1).ilog2()).expect("small")] += 1;
    }
    let used: Vec<u32> = octaves.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(used.len(), 10, "a thousand members are ten octaves");
    assert!(used.iter().all(|count| (1_800..2_200).contains(count)), "{used:?}");
}

fn candidates(addresses: &[&str]) -> Vec<Candidate> {
    let candidate = |(n, text): (usize, &&str)| {
        let n = u8::try_from(n).expect("small");
        let since = Mono(u64::from(n));
        Candidate {
            peer: id(n),
            since,
            rtt_us: Some(1_000),
            brought: 0,
            address: address(text),
            is_needed: true,
            is_pressing: false,
        }
    };
    addresses.iter().enumerate().map(candidate).collect()
}

/// Whoever may go.
fn all_evicted(of: &[Candidate]) -> BTreeSet<NodeId> {
    let draws = (0..8).flat_map(|first| (0..8).map(move |second| [first, second]));
    draws
        .filter_map(|draws| {
            let mut draws = draws.into_iter();
            evicted(of.to_vec(), |bound| draws.next().map_or(0, |draw| draw % bound.max(1))).map(|one| one.peer)
        })
        .collect()
}

#[test]
fn who_goes_is_of_the_most_crowded_prefix_and_any_of_it() {
    let of = candidates(&["198.51.100.1:1", "203.0.113.1:1", "203.0.113.2:1"]);
    assert_eq!(all_evicted(&of), BTreeSet::from([id(1), id(2)]));
    assert!(evicted(Vec::new(), |_| 0).is_none());
}

#[test]
fn where_prefixes_have_as_many_links_each_anybody_goes() {
    let of = candidates(&["11.1.0.1:1", "198.51.100.1:1", "203.0.113.1:1"]);
    assert_eq!(all_evicted(&of), BTreeSet::from([id(0), id(1), id(2)]));
}

#[test]
fn who_says_that_it_needs_the_link_stays_before_others_of_its_prefix_only() {
    let mut of = candidates(&["11.1.0.1:1", "203.0.113.1:1", "203.0.113.2:1"]);
    of[0].is_needed = false;
    assert_eq!(all_evicted(&of), BTreeSet::from([id(1), id(2)]), "a crowd goes before one that is idle elsewhere");
    of[1].is_needed = false;
    assert_eq!(all_evicted(&of), BTreeSet::from([id(1)]));
}

#[test]
fn the_longest_lived_the_quickest_and_the_most_useful_do_not_go() {
    // Eight of one prefix: two are spared for each of the three reasons.
    let mut of = candidates(&["203.0.113.1:1"; 8]);
    (of[4].rtt_us, of[5].rtt_us) = (Some(1), Some(2));
    (of[6].brought, of[7].brought) = (9, 8);
    assert_eq!(all_evicted(&of), BTreeSet::from([id(2), id(3)]));
}

#[test]
fn whom_a_node_chose_before_is_remembered_while_every_member_is_linked() {
    let (mut set, mut shared) = (LinkSet::default(), shared());
    set.restore((1..=5).map(id));
    set.unbound(&mut shared);
    let anchors = set.anchors(&Links::default(), &shared);
    assert_eq!(anchors, [id(1), id(2), id(3), id(4)], "four are kept");
}

#[test]
fn two_links_part_at_once_and_the_next_waits_until_one_is_gone() {
    let mut set = LinkSet::default();
    for n in 0..2 {
        assert!(set.begin_parting(id(n), Mono(u64::from(n))));
    }
    assert_eq!(MAX_PARTING, 2);
    assert!(!set.begin_parting(id(2), Mono(2)) && !set.is_parting(&id(2)));
    assert_eq!(set.parting.longest_if_full(), Some(id(0)), "for a neighbour it goes early");
    assert_eq!(set.parting.next_timeout(), Some(Mono(0).after(PARTED)));
    set.failed(id(0), Code::NotNeeded, Mono(3));
    assert!(!set.is_parting(&id(0)) && set.is_parting(&id(1)));
    assert_eq!(set.parting.longest_if_full(), None, "there is room");
    assert!(set.begin_parting(id(2), Mono(3)));
}

/// A set of eight links, of which these are up.
pub(super) fn linked(up: &[u8]) -> (LinkSet, Shared, Shape) {
    let mut shared = shared();
    for n in up {
        let up = UpPeer { link: LinkId(u64::from(*n)), transport: Transport::Tcp, is_view: false, is_proxy: false };
        shared.up.insert(id(*n), up);
    }
    let shape = Shape::of(8);
    (LinkSet { shape, ..LinkSet::default() }, shared, shape.expect("enough links"))
}

/// What is made of guests, and of what is tried and parts.
fn judge(set: &mut LinkSet, shape: Shape, shared: &mut Shared) -> Choice {
    let (links, members, book) = (Links::default(), Members::default(), Book::default());
    let around = Around { links: &links, members: &members, book: &book };
    let mut choice = Choice::default();
    set.end_parted(shape, around, (&*shared, &mut choice));
    set.judge_guests(shape, around, (&mut *shared, &mut choice));
    set.judge_trials(shape, &*shared, &mut choice);
    choice
}

#[test]
fn what_bears_nothing_bears_nothing_until_it_has_ended() {
    let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7, 8, 10]);
    set.guests.insert(id(8), shared.now.mono);
    set.handle_purpose(id(8), Purposes::from_iter([LinkPurpose::Far]), shared.now.mono);
    assert!(set.begin_parting(id(10), shared.now.mono));
    shared.now.mono = shared.now.mono.after(PARTED);
    let choice = judge(&mut set, shape, &mut shared);
    assert_eq!(choice.ended, [id(10), id(8)]);
    assert!(!set.bears(&id(8)) && !set.bears(&id(10)), "nobody is told that what nobody knew of is gone");
    for n in [8, 10] {
        set.failed(id(n), Code::NotNeeded, shared.now.mono);
        assert!(set.bears(&id(n)), "the next link to it is another one");
    }
}

#[test]
fn a_choice_that_has_to_go_is_none_any_more() {
    let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7]);
    set.far.redraw([id(5), id(6), id(7)].into_iter(), shared.now.mono);
    assert!(set.begin_parting(id(6), shared.now.mono));
    assert!(!set.is_own(&id(6)) && set.is_own(&id(5)));
    assert_eq!(judge(&mut set, shape, &mut shared).promoted, []);
    shared.now.mono = shared.now.mono.after(PARTED);
    assert_eq!(judge(&mut set, shape, &mut shared).ended, [id(6)]);
}

#[test]
fn a_choice_is_told_to_nobody_until_it_has_lasted() {
    let (mut set, mut shared, shape) = linked(&[1, 2, 3, 4, 5, 6, 7]);
    set.far.redraw([id(6), id(7)].into_iter(), shared.now.mono);
    set.try_out(shape, id(5), &shared);
    assert!(set.bears(&id(5)), "it is no choice of this node");
    set.try_out(shape, id(6), &shared);
    set.try_out(shape, id(7), &shared);
    assert!(!set.bears(&id(6)) && !set.bears(&id(7)));
    assert!(judge(&mut set, shape, &mut shared).promoted.is_empty());
    set.failed(id(7), Code::NotNeeded, shared.now.mono);
    shared.up.remove(&id(7));
    shared.now.mono = set.trials.next_timeout().expect("one is tried");
    assert_eq!(shared.now.mono, Mono(0).after(TRIAL));
    assert_eq!(judge(&mut set, shape, &mut shared).promoted, [id(6)]);
    assert!(set.bears(&id(6)) && set.trials.next_timeout().is_none());
}

#[test]
fn whoever_has_hardly_any_links_tells_of_a_choice_at_once() {
    let (mut set, mut shared, shape) = linked(&[1, 2, 6, 7]);
    set.far.redraw([id(6), id(7)].into_iter(), shared.now.mono);
    set.try_out(shape, id(6), &shared);
    assert!(!set.bears(&id(6)), "three others are enough");
    shared.up.remove(&id(1));
    shared.up.remove(&id(2));
    assert_eq!(judge(&mut set, shape, &mut shared).promoted, [id(6)], "no more");
    set.try_out(shape, id(7), &shared);
    assert!(set.bears(&id(7)));
}

#[test]
fn a_prefix_presses_when_so_many_different_members_came_out_of_it_and_is_forgotten_after_an_hour() {
    let mut knocks = Knocks::default();
    let (here, beside) = (address("203.0.113.1:1"), address("203.0.9.9:2"));
    for _ in 0..9 {
        knocks.note(id(1), &here, Mono(1));
    }
    assert!(!knocks.are_many(&here), "it is always the same member");
    for n in 2..=4 {
        assert!(!knocks.are_many(&here));
        knocks.note(id(n), &beside, Mono(1));
    }
    assert_eq!(MANY, 4);
    assert!(knocks.are_many(&here) && knocks.are_many(&beside) && !knocks.are_many(&address("203.1.0.1:1")));
    knocks.note(id(1), &address("198.51.100.1:1"), Mono(0).after(Duration::from_secs(3_700)));
    assert!(!knocks.are_many(&here));
}

#[test]
fn prefixes_that_mean_nothing_do_not_press_and_of_too_many_those_go_with_the_fewest() {
    let mut knocks = Knocks::default();
    for n in 0..9 {
        knocks.note(id(n), &address("192.168.1.7:1"), Mono(1));
        knocks.note(id(n), &address("203.0.113.1:1"), Mono(1));
    }
    assert!(!knocks.are_many(&address("192.168.1.7:1")));
    for n in 0..1_000 {
        knocks.note(id(1), &address(&format!("{}.{}.0.1:1", 20 + n / 250, n % 250)), Mono(1));
    }
    assert!(knocks.are_many(&address("203.0.113.1:1")), "others that came once do not wash it away");
    assert!(knocks.len() <= 256, "{} prefixes", knocks.len());
}

#[test]
fn links_out_of_prefixes_from_which_many_come_go_first() {
    let mut of = candidates(&["203.0.113.1:1", "203.0.113.2:1", "198.51.100.1:1"]);
    of[2].is_pressing = true;
    assert_eq!(all_evicted(&of), BTreeSet::from([id(2)]));
}
