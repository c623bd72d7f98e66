//! How many have an order: exact among few, estimated among many, and nobody invents members where all are known.

use meshline_protocol::limits::MAX_REBUILD_TOKENS;
use meshline_protocol::{NodeId, UnixMicros};
use sha2::{Digest, Sha256};

use super::{FIRST_RETELL, FLUSH_AFTER, LAST_RETELL, Quorum, token_of};
use crate::gossip::Members;
use crate::now::Mono;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

fn id(n: u32) -> NodeId {
    NodeId::from_bytes(Sha256::digest(n.to_be_bytes()).into())
}

fn quorum() -> Quorum {
    Quorum::new((UnixMicros::new(1), id(0)), NONCE, &id(0), Mono(0))
}

fn tokens(members: std::ops::Range<u32>) -> Vec<u32> {
    members.map(|n| token_of(&id(n), NONCE)).collect()
}

#[test]
fn few_are_counted_one_by_one_and_each_once() {
    let mut quorum = quorum();
    assert_eq!(quorum.count(), 1, "this node");
    quorum.merge(&tokens(0..40), None, Mono(0));
    quorum.merge(&tokens(20..60), None, Mono(0));
    assert_eq!(quorum.count(), 60);
}

#[test]
fn of_many_the_count_is_about_right_and_no_more_is_kept_or_sent_than_fits() {
    for members in [1_000, 10_000] {
        let mut quorum = quorum();
        quorum.merge(&tokens(0..members), None, Mono(0));
        assert_eq!(quorum.all().tokens.len(), MAX_REBUILD_TOKENS);
        let count = u32::try_from(quorum.count()).expect("some thousand");
        assert!(count.abs_diff(members) < members / 4, "{count} of {members}");
    }
}

#[test]
fn what_is_new_goes_on_together_and_once() {
    let mut quorum = quorum();
    assert_eq!(quorum.take_unsent(Mono(0)), None, "it waits for more");
    quorum.merge(&tokens(1..5), None, Mono(0));
    let due = Mono(0).after(FLUSH_AFTER);
    assert_eq!(quorum.next_timeout(), due);
    assert_eq!(quorum.take_unsent(due).map(|(known, is_first, _)| (known.tokens.len(), is_first)), Some((5, true)));
    quorum.merge(&tokens(1..5), None, due);
    assert_eq!(quorum.take_unsent(due.after(FLUSH_AFTER)), None, "all were known");
    assert_eq!(quorum.all().tokens.len(), 5);
}

#[test]
fn a_peer_that_has_just_got_the_order_hears_everything_once() {
    let (mut quorum, own) = (quorum(), tokens(7..8));
    let answered = |quorum: &mut Quorum, tokens: &[u32]| {
        quorum.meet(id(7), tokens, Mono(0));
        quorum.take_unsent(Mono(0).after(FLUSH_AFTER)).is_some_and(|(.., unanswered)| unanswered.contains(&id(7)))
    };
    assert!(!answered(&mut quorum, &tokens(1..4)), "others have it");
    assert!(answered(&mut quorum, &own));
    assert!(!answered(&mut quorum, &own));
    quorum.forget_but(|_| false);
    assert!(answered(&mut quorum, &own), "it was linked anew");
}

#[test]
fn everything_is_told_again_and_again_more_and_more_seldom_until_there_is_news() {
    let mut quorum = quorum();
    let (mut now, mut told) = (Mono(0), 0);
    quorum.take_unsent(now.after(FLUSH_AFTER));
    while now.since(Mono(0)) < LAST_RETELL * 20 {
        now = quorum.next_timeout();
        assert!(quorum.take_retell(now) && !quorum.take_retell(now), "once each time");
        told += 1;
    }
    assert!((20..30).contains(&told), "{told} times in twenty minutes");
    quorum.merge(&tokens(1..2), None, now);
    assert!(quorum.take_retell(now.after(FIRST_RETELL)));
}

#[test]
fn where_all_members_are_known_numbers_that_are_nobodys_do_not_count() {
    let mut quorum = quorum();
    quorum.merge(&tokens(1..200), Some(&Members::default()), Mono(0));
    assert_eq!(quorum.count(), 1);
}
