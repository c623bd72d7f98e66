//! Who is meant by a word.

use super::*;

fn member(number: u8, name: &str) -> Member {
    let id = NodeId::from_bytes([number; 32]);
    Member { id, name: name.to_owned(), is_name_proved: true, roles: vec![], cost_us: None }
}

#[test]
fn a_name_an_id_or_the_beginning_of_one_finds_a_member() {
    let members = [member(1, "bobby"), member(2, "Bobby"), member(3, "eddy")];
    let found = |text: &str| find(&members, text).expect("not several");
    let id = members[2].id.to_string();
    assert_eq!(found("bobby"), Some(members[0].id), "exactly before nearly");
    assert_eq!(found("EDDY"), Some(members[2].id));
    assert_eq!(found(&id[..8]), Some(members[2].id));
    assert_eq!(found(&id[..7]), None);
    assert_eq!(found(&format!("eddy~{}", &id[..4])), Some(members[2].id));
    assert_eq!(found("eddy~2222"), None);
    assert_eq!(
        found(&NodeId::from_bytes([9; 32]).to_string()),
        Some(NodeId::from_bytes([9; 32])),
        "an id needs nobody"
    );
}

#[test]
fn a_word_that_may_mean_several_names_them() {
    let members = [member(1, "bobby"), member(2, "bobby")];
    let refusal = find(&members, "bobby").expect_err("several");
    assert!(members.iter().all(|member| refusal.detail.contains(&member.id.to_string())), "{refusal:?}");
}

/// Knows a member from the second time on that it is told there is something new.
struct Late(std::sync::atomic::AtomicUsize);

impl Directory for Late {
    fn members(&self) -> Vec<Member> {
        let is_there = self.0.load(std::sync::atomic::Ordering::Relaxed) >= 2;
        if is_there { vec![member(1, "bobby")] } else { vec![] }
    }

    fn changed(&self) -> Task<'_, ()> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Box::pin(tokio::task::yield_now())
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_becomes_known_in_time_is_waited_for_and_no_other() {
    assert!(soon(&Late(0.into()), member(1, "bobby").id).await.is_some());
    let began = tokio::time::Instant::now();
    struct Nobody;
    impl Directory for Nobody {
        fn members(&self) -> Vec<Member> {
            vec![]
        }
    }
    assert!(soon(&Nobody, member(1, "bobby").id).await.is_none());
    assert_eq!(began.elapsed().as_secs(), KNOWN_LIMIT.as_secs());
}
