use super::*;

fn id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

fn with(samples: &[(u8, Option<u64>)]) -> Warm {
    let mut warm = Warm::default();
    for (byte, rtt_us) in samples {
        let sample = Sample { rtt_us: *rtt_us, measured_at: Mono(0), ..Sample::default() };
        warm.samples.insert(id(*byte), sample);
    }
    warm
}

fn consider(warm: &mut Warm, bytes: &[u8], now: Mono) -> Vec<NodeId> {
    for byte in bytes {
        warm.consider(id(*byte), |_| true, now);
    }
    warm.chosen.clone()
}

#[test]
fn the_two_quickest_are_chosen_and_a_little_quicker_is_no_reason_to_change() {
    let mut warm = with(&[(1, Some(40_000)), (2, Some(20_000)), (3, Some(36_000)), (4, Some(10_000))]);
    assert_eq!(consider(&mut warm, &[1, 2], Mono(1)), [id(2), id(1)]);
    assert_eq!(consider(&mut warm, &[3], Mono(1)), [id(2), id(1)], "a tenth");
    assert_eq!(consider(&mut warm, &[4], Mono(1)), [id(4), id(2)], "by far");
}

#[test]
fn a_difference_counts_from_a_quarter_and_two_milliseconds_on() {
    assert!(!is_quicker(8_000, 12_000));
    assert!(is_quicker(8_000, 12_001));
    assert!(!is_quicker(0, 2_000));
    assert!(!is_quicker(u64::MAX, u64::MAX));
}

#[test]
fn a_proxy_that_failed_for_several_members_stands_behind_the_others_for_a_while() {
    let mut warm = with(&[(1, Some(1_000)), (2, Some(50_000)), (3, Some(60_000))]);
    consider(&mut warm, &[1, 2], Mono(1));
    warm.blame(id(1), id(9), Mono(1));
    warm.blame(id(1), id(9), Mono(2));
    assert_eq!(consider(&mut warm, &[3], Mono(2)), [id(1), id(2)], "one member fails through every proxy");
    warm.blame(id(1), id(8), Mono(2));
    assert_eq!(consider(&mut warm, &[3], Mono(3)), [id(2), id(3)]);
    let later = Mono(3).after(BLAMED_FOR);
    assert_eq!(consider(&mut warm, &[1], later), [id(1), id(2)], "it is forgiven");
}

#[test]
fn blame_is_remembered_for_so_many_members() {
    let mut warm = with(&[(1, None)]);
    for byte in 0..u8::MAX {
        warm.blame(id(1), id(byte), Mono(1));
    }
    assert_eq!(warm.samples[&id(1)].blamed_for.len(), MAX_BLAME);
}

#[test]
fn one_is_tried_at_a_time_and_not_again_for_a_while() {
    let mut warm = with(&[(1, None), (2, None), (3, Some(5))]);
    warm.choose_tries(Mono(1));
    assert_eq!(warm.wanted().collect::<Vec<_>>(), [id(1)]);
    warm.choose_tries(Mono(1).after(TRY_LIMIT));
    assert_eq!(warm.wanted().collect::<Vec<_>>(), [id(2)], "the first could not be measured");
    warm.choose_tries(Mono(1).after(TRY_LIMIT * 2));
    assert_eq!(warm.wanted().count(), 0);
    warm.choose_tries(Mono(2).after(MEASURED_FOR));
    assert_eq!(warm.wanted().collect::<Vec<_>>(), [id(1)], "what was measured long ago holds no more");
}
