//! What waits, in which order it goes, and what is dropped at each bound.

use super::*;

/// A datagram of a flow with a body of so many bytes.
pub(in crate::link) fn waiting(flow: u32, length: usize) -> Waiting {
    let id = |byte| NodeId::from_bytes([byte; 32]);
    let service = "test".parse().unwrap();
    let datagram = Box::new(meshline_mesh::datagram_line(id(1), id(2), flow, service));
    Waiting { datagram, from: None, head: Bytes::from_static(b"{}\n"), body: Bytes::from(vec![b'x'; length]) }
}

fn flows_in_order(fair: &mut Fair) -> Vec<u32> {
    std::iter::from_fn(|| fair.pop(usize::MAX)).map(|next| next.datagram.flow).collect()
}

#[test]
fn flows_take_turns_by_bytes_not_by_frames() {
    let mut fair = Fair::default();
    for _ in 0..4 {
        assert_eq!(fair.push(waiting(1, 16_000)), None);
    }
    for _ in 0..8 {
        assert_eq!(fair.push(waiting(2, 4_000)), None);
    }
    let order = flows_in_order(&mut fair);
    assert_eq!(order, [1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 1, 1]);
}

#[test]
fn a_line_of_text_passes_a_bulk_flow_after_one_piece_of_it() {
    let mut fair = Fair::default();
    for _ in 0..20 {
        assert_eq!(fair.push(waiting(1, 16_000)), None);
    }
    assert_eq!(fair.push(waiting(2, 50)), None);
    assert_eq!(flows_in_order(&mut fair).iter().position(|flow| *flow == 2), Some(1));
}

#[test]
fn the_largest_frames_pass_although_they_take_several_turns() {
    let mut fair = Fair::default();
    assert_eq!(fair.push(waiting(1, 65_536)), None);
    assert_eq!(fair.push(waiting(2, 65_536)), None);
    assert_eq!(flows_in_order(&mut fair), [1, 2]);
    assert_eq!(fair.depth(), (0, 0));
}

#[test]
fn what_does_not_fit_into_a_write_stays_and_keeps_its_turn() {
    let mut fair = Fair::default();
    assert_eq!(fair.push(waiting(1, 1_000)), None);
    assert_eq!(fair.pop(1_002), None);
    assert_eq!(fair.pop(1_003).map(|next| next.len()), Some(1_003));
}

#[test]
fn a_flow_that_is_full_loses_its_newest_and_no_other() {
    let mut fair = Fair::default();
    let each = waiting(1, 16_000).weight();
    for _ in 0..MAX_FLOW_BYTES / each {
        assert_eq!(fair.push(waiting(1, 16_000)), None);
    }
    assert_eq!(fair.push(waiting(1, 16_000)), Some(Dropped::this(Overflow::Flow)));
    assert_eq!(fair.push(waiting(2, 16_000)), None);
}

#[test]
fn when_all_is_full_the_newest_of_the_longest_flow_goes() {
    let mut fair = Fair::default();
    let each = waiting(1, 40_000).weight();
    for _ in 0..MAX_FLOW_BYTES / each {
        assert_eq!(fair.push(waiting(1, 40_000)), None);
    }
    while fair.depth().1 + each <= MAX_WAITING_BYTES {
        let flow = u32::try_from(fair.depth().0).unwrap();
        assert_eq!(fair.push(waiting(1_000 + flow, 40_000)), None);
    }
    let before = fair.flows[&waiting(1, 1).flow()].waiting.len();
    let dropped = fair.push(waiting(2, 40_000));
    assert_eq!(dropped, Some(Dropped { reason: Overflow::Link, others: 1, this: false }));
    assert_eq!(fair.flows[&waiting(1, 1).flow()].waiting.len(), before - 1);
    assert!(fair.depth().1 <= MAX_WAITING_BYTES);
    let of_the_longest = fair.push(waiting(1, 40_000));
    assert_eq!(of_the_longest, Some(Dropped { reason: Overflow::Link, others: 0, this: true }));
}

#[test]
fn there_are_only_so_many_flows_and_a_flow_that_is_through_makes_room() {
    let mut fair = Fair::default();
    for flow in 0..u32::try_from(MAX_FLOWS).unwrap() {
        assert_eq!(fair.push(waiting(flow, 10)), None);
    }
    assert_eq!(fair.push(waiting(u32::MAX, 10)), Some(Dropped::this(Overflow::Flows)));
    assert!(fair.pop(usize::MAX).is_some());
    assert_eq!(fair.push(waiting(u32::MAX, 10)), None);
}

#[test]
fn empty_datagrams_take_room_too() {
    let mut fair = Fair::default();
    let taken = (0..usize::MAX).take_while(|_| fair.push(waiting(1, 0)).is_none()).count();
    assert_eq!(taken, MAX_FLOW_BYTES / (WAITING_OVERHEAD + 3));
}

#[test]
fn small_bodies_do_not_hold_the_read_they_came_in() {
    let mut fair = Fair::default();
    let read = Bytes::from(vec![0; 64 * 1024]);
    for length in [COPIED_BODY - 1, COPIED_BODY] {
        let body = read.slice(..length);
        assert_eq!(fair.push(Waiting { body, ..waiting(1, 0) }), None);
    }
    let small = fair.pop(usize::MAX).unwrap().body;
    let large = fair.pop(usize::MAX).unwrap().body;
    assert_ne!(small.as_ptr(), read.as_ptr(), "copied");
    assert_eq!(large.as_ptr(), read.as_ptr(), "not copied");
}

/// Counts how often it is woken.
#[derive(Default)]
struct Filler(AtomicUsize);

impl std::task::Wake for Filler {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_fills_a_flow_hears_that_it_is_enough_and_when_half_is_gone() {
    let filler = Arc::new(Filler::default());
    let woken = || filler.0.load(Ordering::Relaxed);
    let mut fair = Fair::default();
    let is_enough = |fair: &mut Fair| fair.is_enough(&waiting(1, 0).flow(), || filler.clone().into());
    assert!(!is_enough(&mut fair), "nothing waits");
    while !is_enough(&mut fair) {
        assert_eq!(fair.push(waiting(1, 16_000)), None, "enough comes before too much");
    }
    assert!(fair.depth().1 >= FLOW_ENOUGH);
    while fair.depth().1 > FLOW_ENOUGH / 2 {
        assert_eq!(woken(), 0);
        assert!(fair.pop(usize::MAX).is_some());
    }
    assert_eq!(woken(), 1);
    while !is_enough(&mut fair) {
        assert_eq!(fair.push(waiting(1, 16_000)), None);
    }
    assert!(!fair.drain().is_empty());
    assert_eq!(woken(), 2, "the link is gone: others may have room");
}

#[test]
fn when_the_node_is_full_each_link_still_has_its_share() {
    let in_all = Arc::new(AtomicUsize::new(0));
    let each = waiting(1, 16_000).weight();
    let mut links: Vec<Fair> = vec![];
    let refused = Some(Dropped::this(Overflow::Node));
    'filled: loop {
        let mut link = Fair::sharing(Arc::clone(&in_all));
        for number in 0..MAX_WAITING_BYTES / each {
            let result = link.push(waiting(u32::try_from(number % 4).unwrap(), 16_000));
            if result.is_some() {
                assert_eq!(result, refused);
                links.push(link);
                break 'filled;
            }
        }
        links.push(link);
    }
    let all = in_all.load(Ordering::Relaxed);
    assert!(all <= MAX_WAITING_IN_ALL + MAX_WAITING_CROWDED && all + each > MAX_WAITING_IN_ALL, "{all}");
    let mut other = Fair::sharing(Arc::clone(&in_all));
    while other.depth().1 + each <= MAX_WAITING_CROWDED {
        assert_eq!(other.push(waiting(1, 16_000)), None, "its share is free");
    }
    assert_eq!(other.push(waiting(2, 16_000)), refused);
    drop(other);
    assert_eq!(in_all.load(Ordering::Relaxed), all, "a link that is gone gives its room back");
    assert!(!links[0].drain().is_empty());
    assert_eq!(links[1].push(waiting(9, 10)), None, "there is room again");
    links.iter_mut().for_each(|link| while link.pop(usize::MAX).is_some() {});
    assert_eq!(in_all.load(Ordering::Relaxed), 0);
}
