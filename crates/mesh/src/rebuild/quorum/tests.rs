//! How many have an order: exact among few, estimated among many, and nobody invents members where all are known.

use meshline_protocol::limits::MAX_REBUILD_TOKENS;
use meshline_protocol::{NodeId, UnixMicros};
use sha2::{Digest, Sha256};

use super::{FLUSH_AFTER, Quorum, token_of};
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
    assert_eq!(quorum.next_timeout(), Some(due));
    assert_eq!(quorum.take_unsent(due).map(|known| known.tokens.len()), Some(5));
    quorum.merge(&tokens(1..5), None, due);
    assert_eq!((quorum.next_timeout(), quorum.take_unsent(due.after(FLUSH_AFTER))), (None, None), "all were known");
    assert_eq!(quorum.all().tokens.len(), 5);
}

#[test]
fn where_all_members_are_known_numbers_that_are_nobodys_do_not_count() {
    let mut quorum = quorum();
    quorum.merge(&tokens(1..200), Some(&Members::default()), Mono(0));
    assert_eq!(quorum.count(), 1);
}
