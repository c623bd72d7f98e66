//! What is held of proposals: one a member, the newest, as long as it counts.

use meshline_protocol::message::{RebuildCause, RebuildProposal, RecordText};
use meshline_protocol::{NodeId, SignedRecord, UnixMicros};

use super::orders::Taken;
use super::proposals::{LEAST_BETWEEN, MAX_PROPOSALS, Proposals};

fn id(n: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(n).expect("few"); 32])
}

fn put(proposals: &mut Proposals, by: usize, seq: u64, cause: RebuildCause) -> Taken {
    let proposal = RebuildProposal {
        kind: RebuildProposal::TYPE.to_owned(),
        network: "lab".parse().expect("a name"),
        seq: UnixMicros::new(seq),
        expires: UnixMicros::new(seq + 100),
        cause,
        membership: None,
    };
    let record = SignedRecord { signed: seq.to_string(), by: id(by), sig: String::new() };
    proposals.put(proposal, &record)
}

#[test]
fn the_newest_word_of_each_member_counts_and_no_more_members_than_fit() {
    let mut proposals = Proposals::default();
    for by in 0..MAX_PROPOSALS {
        assert_eq!(put(&mut proposals, by, 10, RebuildCause::LongWays), Taken::News);
    }
    assert_eq!(put(&mut proposals, MAX_PROPOSALS, 10, RebuildCause::LongWays), Taken::Full);
    assert_eq!(put(&mut proposals, 1, 10, RebuildCause::LongWays), Taken::Known);
    let later = 10 + LEAST_BETWEEN.unsigned_abs();
    assert_eq!(put(&mut proposals, 1, later - 1, RebuildCause::Other), Taken::Known, "said a moment ago");
    assert!(proposals.has_newer(&id(1), UnixMicros::new(later - 1)), "nor is it asked for");
    assert!(!proposals.has_newer(&id(1), UnixMicros::new(later)));
    assert_eq!(put(&mut proposals, 1, later, RebuildCause::IdleLinks), Taken::News, "somebody who is held already");
    assert_eq!(put(&mut proposals, 1, 9, RebuildCause::LongWays), Taken::Known, "said before");
    assert_eq!(proposals.causes().get("idle_links"), Some(&1));
    assert_eq!(proposals.others(&id(1)), MAX_PROPOSALS - 1);
    assert!(proposals.named(&id(1), UnixMicros::new(10)).is_none());
    assert!(proposals.has_newer(&id(1), UnixMicros::new(10)), "what was said before is not asked for");
    assert!(proposals.named(&id(1), UnixMicros::new(later)).is_some());
}

#[test]
fn what_has_ended_and_what_is_answered_is_forgotten() {
    let mut proposals = Proposals::default();
    for by in 0..4 {
        put(&mut proposals, by, 10 * u64::try_from(by).expect("few"), RebuildCause::UnevenLoad);
    }
    proposals.expire(UnixMicros::new(100));
    assert_eq!(proposals.len(), 3);
    proposals.answer(UnixMicros::new(20));
    assert_eq!(proposals.len(), 1);
    proposals.forget(&id(3));
    assert_eq!(proposals.len(), 0);
}
